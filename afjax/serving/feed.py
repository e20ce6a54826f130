"""A call for programs instead of pages: it gives out pictures and sound in step, each at its time.

    feed = await open_feed(studio, rate=24_000, lead=0.06)
    feed.hear(samples, 16_000); feed.see(picture); feed.say(speech, 24_000); feed.finish(); feed.interrupt()
    async for piece in feed: ...                                      # Picture, Sound, Picture, ...

Frame n is heard and seen at `due_at(n)`. Its sound is given `lead` seconds before, into the player's queue, and its
picture when it is due, or just before its sound where both go through one queue (`together`). The player is taken to
play what it is given in order, as soon as it has any. `Sound` therefore has silence in front where its frame would be
heard too early, and a silent frame is shortened where it would be heard too late. So the queue is as long as the lead
after every pause, cut and delay, and the play-out clock says what has been heard.

The speech is given out at its own quality, at `rate`; only the model hears it at 16 kHz.
"""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from afjax.audio.framing import FPS
from afjax.errors import InputError
from afjax.serving.brain import Silent, Speech
from afjax.serving.call import Block, Call
from afjax.serving.clock import PageClock
from afjax.serving.outbox import Outbox
from afjax.serving.pieces import Picture, Pieces, Sound
from afjax.serving.protocol import ProtocolError
from afjax.serving.seat import Seat
from afjax.serving.studio import Studio

__all__ = ["Feed", "Picture", "Sound", "open_feed"]

log = logging.getLogger("afjax.serving")


class SoundClock:
    """Time stamps for sound that has none, from the times at which it comes.

    Chunks follow each other by their samples, whatever the network does to them; `PageClock` follows the sender's
    clock. There was a gap, and stamps begin anew, after more than HOLE seconds without a chunk, or when for WINDOW
    seconds all chunks came more than `gap` seconds after their time.
    """

    HOLE, WINDOW = 1.0, 0.5

    def __init__(self, gap: float = 0.1):
        self._gap = gap
        self._end: float | None = None
        self._clock, self._behind = PageClock(), 0.0

    def stamp(self, seconds: float, now: float) -> float:
        """The time of the first sample of a chunk of `seconds` that has come at `now`."""
        late = 0.0 if self._end is None else now - seconds - self._end - self._clock.moved
        self._behind = self._behind + seconds if late > self._gap else 0.0
        if self._end is None or abs(late) > self.HOLE or self._behind > self.WINDOW:
            self._end, self._clock, self._behind = now - seconds, PageClock(), 0.0
        begin = self._end + self._clock.moved
        self._end += seconds
        self._clock.follow(self._end, now)
        return begin


class Feed(Seat):
    """One conversation. All methods belong to the event loop of the studio.

    Attributes:
      rate: Hz of the sound that is given out.
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
        self.rate = rate
        self.on_started: Callable[[], None] = lambda: None
        self.on_finished: Callable[[float, bool], None] = lambda seconds, interrupted: None
        self._begun, self._clock, self._sound_clock = begun, clock, SoundClock()
        self._pieces = Pieces(call, clock, rate, call.lead, together, grain)
        self._utterances, self._complete, self._started = 0, True, False

    # What comes in

    def hear(self, samples: np.ndarray, rate: int) -> None:
        """The user's sound as it comes: `[n]` floats in -1..1 or int16."""
        now = self._clock() - self._begun
        self.call.hear(samples, rate, self._sound_clock.stamp(len(samples) / rate, now))
        self._wake()

    def see(self, pixels: np.ndarray) -> None:
        """The newest picture of the user, uint8 `[h, w, 3]` RGB."""
        self.picture(pixels, self._clock() - self._begun)

    @property
    def queued(self) -> float:
        """Seconds of speech that have been queued since the last cut."""
        return self._pieces.voice.queued

    @property
    def dropped(self) -> int:
        """Pictures that came too late to be given out."""
        return self._pieces.dropped

    def speak(self, samples: np.ndarray, rate: int) -> bool:
        """Queues a piece of an utterance, `[n]` floats or int16, at any pace; False if it can't be used."""
        if not self.call.say(Speech(samples, rate, [], False)):
            return False
        self._utterances += self._complete
        self._complete = False
        wave = samples.astype(np.float32) / 32768 if samples.dtype == np.int16 else samples.astype(np.float32)
        self._pieces.voice.add(wave, rate)
        return True

    def finish(self) -> bool:
        """Ends the utterance; False where none is open."""
        if self._complete:
            return False
        self.call.say(Speech(np.zeros(0, np.float32), self.rate, [], True))
        self._complete = True
        return True

    def interrupt(self, now: float | None = None) -> float | None:
        """Stops the avatar; -> seconds of the utterance under way that were heard, None where there is none.

        The player must empty its queues, whatever this returns: what it was given and is not due yet must not be
        played.
        """
        now = self._clock() if now is None else now
        self._pieces.played(now)
        self.tick(now)
        if not self._utterances:
            return None
        cut = self.call.cut(now)
        self._pieces.clear()
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
        """Logs messages that are errors and drops the others."""
        if type == "error":
            log.warning("%s: %s", fields["code"], fields["text"])

    def play(self, block: Block) -> None:
        """The sound of a block, frame by frame."""
        self._pieces.play(block)

    def put(self, generation: int, frame: int, picture: np.ndarray) -> None:
        """The picture of a frame."""
        self._pieces.put(frame, picture)

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
        """Does nothing: nobody asks."""

    def close(self) -> Callable[[], None]:
        """Ends the feed: nothing more is given out."""
        end = super().close()
        self._pieces.close()
        return end

    # What is given out

    def __aiter__(self) -> Pieces:
        return self._pieces


async def open_feed(
    studio: Studio, portrait: str | bytes = "", rate: int = 24_000, lead: float = 0.06, together: bool = False,
    grain: float = 0.01,
) -> Feed:  # fmt: skip
    """Begins a conversation in a studio that has started; `studio.end(feed)` ends it.

    Args:
      portrait: name of one of the studio's portraits, by default the first, or the bytes of a picture.
      rate: Hz of the sound that is given out, a multiple of 25.
      lead: seconds before its time at which sound is given.
      together: pictures are given just before their sound, for a queue that holds both.
      grain: added silence is a multiple of so many seconds.

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
