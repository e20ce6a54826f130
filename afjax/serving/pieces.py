"""Pictures and sound of a call for whoever plays them, in step: each is given when it is wanted.

    pieces = Pieces(call, clock, rate=24_000, lead=0.06)
    pieces.voice.add(speech, 22_050); pieces.play(block); pieces.put(frame, picture); pieces.clear(now)
    async for piece in pieces: ...                                    # Picture, Sound, Picture, ...

Frame n is heard and seen at `due_at(n)` of the call. Its sound is given `lead` seconds before, and its picture when it
is due, or just before its sound where both go through one queue (`together`).
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.signal import resample_poly

from afjax.audio.framing import FPS
from afjax.serving.call import Block, Call

__all__ = ["Picture", "Pieces", "Sound"]

PICTURES = 50
"""Pictures that wait at most, two seconds, where nobody takes them; the oldest goes."""
LATE = 0.1
"""Seconds after its time from which a picture is left out where a newer one is there."""


@dataclass(frozen=True)
class Picture:
    """The picture of a frame: `pixels` uint8 `[h, w, 3]` RGB; `due`: when it is to be seen, on the studio's clock."""

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


class Pieces:
    """What waits to be given out. All methods belong to one event loop.

    Attributes:
      voice: the speech at its own rate; where none is added to it, `play` gives silence.
      dropped: pictures that came too late to be given out.
    """

    def __init__(
        self, call: Call, clock: Callable[[], float], rate: int, lead: float = 0.0, together: bool = False,
        grain: float = 0.01,
    ):  # fmt: skip
        """`clock`: that of the call's `now`; the others as for `afjax.serving.feed.open_feed`."""
        self.voice, self.dropped = Voice(rate), 0
        self._call, self._clock, self._rate = call, clock, rate
        self._lead, self._together, self._pace = lead, together, Pace(grain)
        self._pictures: deque[tuple[int, np.ndarray]] = deque()
        self._sounds: deque[tuple[int, np.ndarray, float | None]] = deque()
        self._news, self._open = asyncio.Event(), True

    def play(self, block: Block) -> None:
        """The sound of a block, frame by frame."""
        start, seconds = block.speech
        wave = self.voice.take(start, seconds, len(block.motion))
        for n, samples in enumerate(wave.reshape(len(block.motion), -1)):
            spoken = start + min((n + 1) / FPS, seconds) if n / FPS < seconds else None
            self._sounds.append((block.first + n, samples, spoken))
        self._news.set()

    def put(self, frame: int, picture: np.ndarray) -> None:
        """The picture of a frame."""
        if len(self._pictures) >= PICTURES:
            self._pictures.popleft()
            self.dropped += 1
        self._pictures.append((frame, picture))
        self._news.set()

    def played(self, now: float) -> None:
        """Whoever plays has played all that it was given, or dropped it."""
        self._pace.end = now

    def clear(self) -> None:
        """Forgets what has not been given out."""
        self.voice.clear()
        self._pictures.clear()
        self._sounds.clear()

    def close(self) -> None:
        """Nothing more is given out."""
        self._open = False
        self._news.set()

    def __aiter__(self):
        return self

    async def __anext__(self) -> Picture | Sound:
        while self._open:
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
        lead, late = self._lead, now - LATE
        while len(self._pictures) > 1 and self._call.due_at(self._pictures[0][0]) < late:
            self._pictures.popleft()
            self.dropped += 1
        seen = self._call.due_at(self._pictures[0][0]) if self._pictures else np.inf
        heard = self._call.due_at(self._sounds[0][0]) if self._sounds else np.inf
        show, play = seen - lead * self._together, heard - lead
        if min(show, play) > now:
            return None, min(max(0.001, min(show, play) - now), 1.0)
        if show <= play:
            return Picture(self._pictures[0][0], seen, self._pictures.popleft()[1]), 0.0
        frame, samples, spoken = self._sounds.popleft()
        gap = round(self._pace.gap(heard, now) * self._rate)
        if gap > 0:
            samples = np.pad(samples, (gap, 0))
        elif spoken is None:
            samples = samples[-gap:]
        self._pace.given(len(samples) / self._rate, now)
        return Sound(frame, heard, samples, spoken), 0.0
