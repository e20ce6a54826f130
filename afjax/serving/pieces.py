"""Pictures and sound of a call for its player, in step, each given at its time.

    pieces = Pieces(call, clock, rate=24_000, lead=0.06)
    pieces.voice.add(speech, 22_050); pieces.play(block); pieces.put(frame, picture); pieces.clear()
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
"""Most pictures that wait, two seconds, where nobody takes them; the oldest goes."""
LATE = 0.1
"""Seconds after its time from which a picture is left out if a newer one is there."""


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
    """Speech at its own rate. Blocks take the same seconds of it that they took of the model's speech."""

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
        """float32 `[frames * rate / 25]`: `seconds` from `start` on, then silence. Forgets the speech before."""
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
    """A model of a player that plays in order and at once, or silence. Attribute `end`: when all is played."""

    def __init__(self, grain: float):
        """`grain`: added silence is a multiple of so many seconds."""
        self._grain, self.end = grain, 0.0

    def gap(self, due: float, now: float) -> float:
        """Seconds of silence to add before sound that is due at `due`; below 0 where the sound is too late."""
        return round((due - max(self.end, now)) / self._grain) * self._grain

    def given(self, seconds: float, now: float) -> None:
        """Counts `seconds` of sound that the player was given."""
        self.end = max(self.end, now) + seconds


class Pieces:
    """Pictures and sound that wait to be given out. All methods belong to one event loop.

    Attributes:
      voice: the speech at its own rate; `play` gives silence where none was added.
      dropped: pictures that came too late to be given out.
    """

    def __init__(
        self, call: Call, clock: Callable[[], float], rate: int, lead: float = 0.0, together: bool = False,
        grain: float = 0.01,
    ):  # fmt: skip
        """`clock`: gives the call's `now`; other arguments as for `afjax.serving.feed.open_feed`."""
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
        """Tells that the player has played, or dropped, all that it was given."""
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
        """The piece to give at `now`, or None and the seconds after which there may be one."""
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
