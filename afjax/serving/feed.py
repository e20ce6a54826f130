"""A call whose page is a program: pictures and sound to give away in step, each at its time.

    feed = await open_feed(studio, rate=24_000, lead=0.06)
    feed.hear(samples, 16_000); feed.see(picture); feed.say(speech, 24_000); feed.finish(); feed.interrupt()
    async for piece in feed: ...                                      # Picture, Sound, Picture, ...

Frame n is heard and seen at `due_at(n)`. Its sound is given `lead` seconds before, into a queue of whoever plays it,
and its picture when it is due, or just before its sound where both go through one queue (`together`). Who plays is
believed to play what it is given in order, from the moment at which it has any: `Sound` holds silence in front where
its frame would be heard too early, and a silent frame is shortened where it would be heard too late. So the queue is
as long as the lead after every pause, cut and delay, and where the play-out clock is, is what has been heard.

The speech is given out as it came, at `rate`; the model alone hears 16 kHz.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.signal import resample_poly

from afjax.audio.framing import FPS
from afjax.errors import InputError
from afjax.serving.brain import Silent, Speech
from afjax.serving.call import Block, Call
from afjax.serving.clock import PageClock
from afjax.serving.outbox import Outbox
from afjax.serving.protocol import ProtocolError
from afjax.serving.seat import Seat
from afjax.serving.studio import Studio

__all__ = ["Feed", "Picture", "Sound", "open_feed"]

log = logging.getLogger("afjax.serving")
PICTURES = 50
"""Pictures that wait at most, two seconds, where nobody takes them; the oldest goes."""
LATE = 0.1
"""Seconds after its time from which a picture is left out where a newer one is there."""


@dataclass(frozen=True)
class Picture:
    """The picture of a frame: `pixels` uint8 `[H, W, 3]` RGB; `due`: when it is to be seen, on the studio's clock."""

    frame: int
    due: float
    pixels: np.ndarray


@dataclass(frozen=True)
class Sound:
    """The sound of a frame, with the silence that is needed before it.

    Attributes:
      due: when the frame's first sample is to be heard, on the studio's clock.
      samples: float32 `[n]` in -1..1 at the feed's rate.
      spoken: seconds of the speech since the last cut up to its end; None where it has no speech.
    """

    frame: int
    due: float
    samples: np.ndarray
    spoken: float | None


class Voice:
    """Speech at its own rate, of which blocks take the seconds that they took of the model's."""

    def __init__(self, rate: int):
        self.rate, self.queued = rate, 0.0
        self._samples, self._base = np.zeros(0, np.float32), 0

    def add(self, wave: np.ndarray, rate: int) -> None:
        """The next piece, float32 `[n]`."""
        self.queued += len(wave) / rate
        end = round(self.queued * self.rate)
        if rate != self.rate:
            wave = resample_poly(wave, self.rate, rate).astype(np.float32)
        missing = end - self._base - len(self._samples)
        wave = np.pad(wave, (0, max(0, missing - len(wave))))[:missing]
        self._samples = np.concatenate([self._samples, wave])

    def take(self, start: float, seconds: float, frames: int) -> np.ndarray:
        """float32 `[frames * rate / 25]`: those seconds from `start` on, then silence; forgets what lies before."""
        out = np.zeros(frames * self.rate // FPS, np.float32)
        if seconds > 0:
            first, last = (round(time * self.rate) - self._base for time in (start, start + seconds))
            found = self._samples[max(0, first) : last][: len(out)]
            out[: len(found)] = found
            self._samples, self._base = self._samples[max(0, last) :], self._base + max(0, last)
        return out

    def clear(self) -> None:
        """Forgets all of it."""
        self.__init__(self.rate)


class Ears:
    """Time stamps for sound that has none, by when it comes.

    Chunks follow each other by their samples, whatever the network does to them, on a clock that is followed
    (`PageClock`). After more than HOLE seconds without any, or when for WINDOW seconds all of them came more than GAP
    after their time, there was a gap.
    """

    HOLE, WINDOW, GAP = 1.0, 0.5, 0.1

    def __init__(self):
        self._end: float | None = None
        self._clock, self._behind = PageClock(), 0.0

    def stamp(self, seconds: float, now: float) -> float:
        """The time of the first sample of a chunk of so many seconds that has come now."""
        late = 0.0 if self._end is None else now - seconds - self._end - self._clock.moved
        self._behind = self._behind + seconds if late > self.GAP else 0.0
        if self._end is None or abs(late) > self.HOLE or self._behind > self.WINDOW:
            self._end, self._clock, self._behind = now - seconds, PageClock(), 0.0
        begin = self._end + self._clock.moved
        self._end += seconds
        self._clock.follow(self._end, now)
        return begin


class Pace:
    """A model of a player: in order, at once, silence where there is nothing. Attribute `end`: when all is played."""

    def __init__(self, grain: float):
        """`grain`: seconds of which silence that is added is a multiple."""
        self._grain, self.end = grain, 0.0

    def gap(self, due: float, now: float) -> float:
        """Seconds of silence that lack before what is due then; below 0: by which it comes too late."""
        return round((due - max(self.end, now)) / self._grain) * self._grain

    def given(self, seconds: float, now: float) -> None:
        """So much has been given to it."""
        self.end = max(self.end, now) + seconds


class Feed(Seat):
    """One conversation. All methods belong to the event loop of the studio.

    Attributes:
      rate: of the sound that is given out, Hz; dropped: pictures that came too late to be given out.
      on_started: called when the first sound of an utterance is heard.
      on_finished: called with the seconds that were heard when an utterance ends, and whether it was interrupted.
    """

    encode = staticmethod(lambda picture: picture)

    def __init__(
        self, call: Call, identity: Any, track: Callable[..., Any], wake: Callable[..., None], begun: float,
        clock: Callable[[], float], rate: int, together: bool, grain: float,
    ):  # fmt: skip
        """Use `open_feed`."""
        super().__init__(call, identity, Silent(), Outbox(), track, wake)
        self.rate, self.dropped = rate, 0
        self.on_started: Callable[[], None] = lambda: None
        self.on_finished: Callable[[float, bool], None] = lambda seconds, interrupted: None
        self._begun, self._clock, self._together = begun, clock, together
        self._voice, self._ears, self._pace = Voice(rate), Ears(), Pace(grain)
        self._pictures: deque[tuple[int, np.ndarray]] = deque()
        self._sounds: deque[tuple[int, np.ndarray, float | None]] = deque()
        self._utterances, self._complete, self._started = 0, True, False
        self._news = asyncio.Event()

    # What comes in

    def hear(self, samples: np.ndarray, rate: int) -> None:
        """The user's sound as it comes: `[n]` floats in -1..1 or int16."""
        now = self._clock() - self._begun
        self.call.hear(samples, rate, self._ears.stamp(len(samples) / rate, now))
        self._wake()

    def see(self, pixels: np.ndarray) -> None:
        """The newest picture of the user, uint8 `[H, W, 3]` RGB."""
        self.picture(pixels, self._clock() - self._begun)

    @property
    def queued(self) -> float:
        """Seconds of speech that have been queued since the last cut."""
        return self._voice.queued

    def speak(self, samples: np.ndarray, rate: int) -> bool:
        """Queues a piece of an utterance, `[n]` floats or int16, as fast as it is there; False if it can't be used."""
        if not self.call.say(Speech(samples, rate, [], False)):
            return False
        self._utterances += self._complete
        self._complete = False
        wave = samples.astype(np.float32) / 32768 if samples.dtype == np.int16 else samples.astype(np.float32)
        self._voice.add(wave, rate)
        return True

    def finish(self) -> bool:
        """The utterance is complete; False where none is open."""
        if self._complete:
            return False
        self.call.say(Speech(np.zeros(0, np.float32), self.rate, [], True))
        self._complete = True
        return True

    def interrupt(self, now: float | None = None) -> float | None:
        """Stops the avatar; -> seconds of the utterance under way that were heard, None where there is none.

        What has been given out and is not due yet must not be played: whoever plays empties its queues, whatever this
        returns.
        """
        now = self._clock() if now is None else now
        self._pace.end = now
        self.tick(now)
        if not self._utterances:
            return None
        cut = self.call.cut(now)
        self._voice.clear()
        self._pictures.clear()
        self._sounds.clear()
        if cut.heard > 0:
            self._start()
        for n in range(self._utterances):
            self.on_finished(0.0 if n else cut.heard, True)
        self._utterances, self._complete, self._started = 0, True, False
        if cut.rest is not None:
            self.play(cut.rest)
        self._wake(self, cut.rest)
        return cut.heard

    # What the studio gives

    def send(self, type: str, **fields: Any) -> None:
        """Messages for people: errors are logged, the rest is nobody's."""
        if type == "error":
            log.warning("%s: %s", fields["code"], fields["text"])

    def play(self, block: Block) -> None:
        """The sound of a block, frame by frame."""
        start, seconds = block.speech
        wave = self._voice.take(start, seconds, len(block.motion))
        for n, samples in enumerate(wave.reshape(len(block.motion), -1)):
            spoken = start + min((n + 1) / FPS, seconds) if n / FPS < seconds else None
            self._sounds.append((block.first + n, samples, spoken))
        self._news.set()

    def put(self, generation: int, frame: int, picture: np.ndarray) -> None:
        """The picture of a frame."""
        if len(self._pictures) >= PICTURES:
            self._pictures.popleft()
            self.dropped += 1
        self._pictures.append((frame, picture))
        self._news.set()

    def tick(self, now: float) -> None:
        """Tells what has been heard."""
        for seconds, done in self.call.heard(now):
            if seconds > 0:
                self._start()
            if done:
                self._utterances, self._started = self._utterances - 1, False
                self.on_finished(seconds, False)

    def _start(self):
        if not self._started:
            self._started = True
            self.on_started()

    def stats(self) -> None:
        """Nobody asks."""

    def close(self) -> Callable[[], None]:
        """Ends the feed: nothing more is given out."""
        end = super().close()
        self._news.set()
        return end

    # What is given out

    def __aiter__(self):
        return self

    async def __anext__(self) -> Picture | Sound:
        while self.open:
            piece, wait = self._next(self._clock())
            if piece is not None:
                return piece
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._news.wait()
        raise StopAsyncIteration

    def _next(self, now: float) -> tuple[Picture | Sound | None, float]:
        """What is to be given now, or the seconds after which there may be something."""
        lead, late = self.call.lead, now - LATE
        while len(self._pictures) > 1 and self.call.due_at(self._pictures[0][0]) < late:
            self._pictures.popleft()
            self.dropped += 1
        seen = self.call.due_at(self._pictures[0][0]) if self._pictures else np.inf
        heard = self.call.due_at(self._sounds[0][0]) if self._sounds else np.inf
        show, play = seen - lead * self._together, heard - lead
        if min(show, play) > now:
            return None, min(max(0.001, min(show, play) - now), 1.0)
        if show <= play:
            return Picture(self._pictures[0][0], seen, self._pictures.popleft()[1]), 0.0
        frame, samples, spoken = self._sounds.popleft()
        gap = round(self._pace.gap(heard, now) * self.rate)
        if gap > 0:
            samples = np.pad(samples, (gap, 0))
        elif spoken is None:
            samples = samples[-gap:]
        self._pace.given(len(samples) / self.rate, now)
        return Sound(frame, heard, samples, spoken), 0.0


async def open_feed(
    studio: Studio, portrait: str | bytes = "", rate: int = 24_000, lead: float = 0.06, together: bool = False,
    grain: float = 0.01,
) -> Feed:  # fmt: skip
    """Begins a conversation in a studio that has started; `studio.end(feed)` ends it.

    Args:
      portrait: name of one of the studio's, by default the first, or the bytes of a picture.
      rate: of the sound that is given out, Hz, a multiple of 25.
      lead: seconds before its time at which sound is given.
      together: pictures are given just before their sound, for a queue that holds both.
      grain: seconds of which silence that is added is a multiple.

    Raises InputError where no slot is free, or the portrait or the rate can't be used.
    """
    if rate % FPS or not 8000 <= rate <= 96_000:
        raise InputError(f"sound at {rate} Hz can't be cut into frames", do="choose 16000, 24000 or 48000")
    if not studio.reserve():
        raise InputError("all slots of the engine are taken", do="give the studio an engine with more sessions")
    feed = None
    try:
        identity, said = await studio.identity(portrait or next(iter(studio.portraits)))
        for text in said:
            log.warning("portrait: %s", text)
        begun = studio.now()

        def make(**given: Any) -> Feed:
            return Feed(**given, begun=begun, clock=studio.now, rate=rate, together=together, grain=grain)

        feed = await studio.seat(begun, identity, make, lead)
    except ProtocolError as error:
        raise InputError(str(error), "portrait") from None
    finally:
        if feed is None:
            studio.give_back()
    return feed
