"""The three tracks of a conversation on the clock of the stream: user sound, user motion, the avatar's speech.

Time is counted in samples (16 kHz) and frames (25 fps) of the conversation; sample 0 is the beginning of frame 0. Each
track begins at `base`, the first sample or frame that has not been taken, and reaches AHEAD seconds beyond the next
block; NaN stands for what has not come. Nothing here grows with the length of a conversation.

A method that adds input returns what was wrong with it (a name in `session.Counts`) or None. Its input has been
checked: it is finite and of the right shape.
"""

import math

import numpy as np

from afjax.audio.framing import FPS, FRAME, RATE
from afjax.audio.resampling import Resampler
from afjax.codec.face.track.smoothing import BRIDGE, FADE

AHEAD = 5.0
"""Seconds by which input may lie ahead of the next block's end."""
QUEUE = 600.0
"""Seconds of speech that may wait."""
SLACK = 0.015
"""Seconds by which time stamps may wander before a chunk of sound no longer counts as the sequel of the last one."""
EDGE = 80
"""Samples (5 ms) of the fades around a gap in sound."""
_CLOSE = 1e-6


class Edges:
    """Sound with gaps -> sound without clicks.

    After a seam (a gap's beginning, or a `cut`) the last sample sent out dies away linearly within EDGE samples; what
    comes after it rises linearly from zero within EDGE samples. Elsewhere the sound is unchanged.
    """

    def __init__(self):
        self.gap = False
        self.last = 0.0  # sample sent out last
        self.dying = 0.0  # sample at the seam
        self.age = EDGE  # samples since the seam
        self.risen = EDGE  # samples since sound came back

    def cut(self) -> None:
        """Marks a seam: the sound after it is no sequel of the sound before."""
        self.dying, self.age, self.risen = self.last, 0, 0

    def __call__(self, sound: np.ndarray) -> np.ndarray:
        """float32 `[s]`, s > 0, with NaN in the gaps -> float32 `[s]` within [-1, 1]."""
        missing = np.isnan(sound)
        out = np.zeros_like(sound)
        bounds = [0, *(np.flatnonzero(np.diff(missing)) + 1).tolist(), len(sound)]
        for begin, end in zip(bounds, bounds[1:], strict=False):
            if missing[begin] and not self.gap:
                self.cut()
            self.gap = bool(missing[begin])
            run = out[begin:end]
            if self.age < EDGE:
                run += self.dying * np.clip(1 - (self.age + 1 + np.arange(len(run))) / EDGE, 0, 1)
            if not self.gap:
                rise = np.minimum((self.risen + 1 + np.arange(len(run))) / EDGE, 1).astype(np.float32)
                run += rise * sound[begin:end]
                self.risen = min(EDGE, self.risen + len(run))
            self.age = min(EDGE, self.age + len(run))
            np.clip(run, -1, 1, out=run)
            self.last = float(run[-1])
        return out


class UserSound:
    """The user's sound, placed by its time stamps."""

    def __init__(self, block: int, delay: int):
        self.base = -delay * FRAME
        self.samples = np.full(round(AHEAD * RATE) + (block + delay) * FRAME, np.nan, np.float32)
        self.samples[: delay * FRAME] = 0
        self.resampler = Resampler(RATE)
        self.stamp = -math.inf  # of the last chunk
        self.end = -math.inf  # where the last chunk ends
        self.written = self.base - RATE  # samples are known up to here, somewhat before `end`
        self.edges = Edges()

    def add(self, wave: np.ndarray, rate: int, at: float | None) -> str | None:
        """Adds a chunk float32 `[s]` at `rate` Hz.

        `at`: time of its first sample in seconds; None: where the last chunk ended, or at once.
        """
        limit = self.base + len(self.samples)
        start = max(self.end, self.base, 0) if at is None else at * RATE
        if at is not None and at <= self.stamp:
            return "duplicate" if at == self.stamp else "backwards"
        if start >= limit:
            return "overflow"
        self.stamp = self.stamp if at is None else at
        if rate == self.resampler.rate and abs(start - self.end) <= SLACK * RATE:
            start = self.end
        else:
            start = round(start)
            known = math.ceil(max(0, self.end + 1 - start) * rate / RATE)
            if known >= len(wave):
                return "duplicate"
            self._write(self.resampler.flush())
            self.resampler = Resampler(rate)
            wave, start = wave[known:], start + known * RATE / rate
            self.written = round(start)
        room = max(0, int((limit - start) * rate / RATE))
        self._write(self.resampler(wave[:room]))
        self.end = start + min(room, len(wave)) * RATE / rate
        if len(wave) > room:
            return "overflow"
        return "late" if start < self.base else None

    def awaited(self, n: int) -> bool:
        """Whether sound has come lately, but not yet all of the next n samples."""
        return self.base + n - BRIDGE * RATE < self.written < self.base + n

    def take(self, n: int) -> tuple[np.ndarray, int]:
        """The next n samples `[n]`, and the number of frames that lack some."""
        sound = self.samples[:n].copy()
        self._advance(n)
        return self.edges(sound), int(np.isnan(sound).reshape(-1, FRAME).any(axis=1).sum())

    def skip(self, n: int) -> None:
        """Drops the next n samples."""
        self._advance(n)
        self.edges.cut()

    def _advance(self, n: int):
        self.base += n
        kept = max(0, len(self.samples) - n)
        self.samples[:kept] = self.samples[len(self.samples) - kept :]
        self.samples[kept:] = np.nan

    def _write(self, sound: np.ndarray):
        begin = self.written - self.base
        early = max(0, -begin)
        room = self.samples[begin + early : begin + len(sound)] if len(sound) > early else self.samples[:0]
        room[:] = sound[early : early + len(room)]
        self.written += len(sound)


class UserMotion:
    """The user's motion: frame n has the newest row that has come by its end.

    A row is held for BRIDGE seconds. If none follows, the motion fades to rest within FADE seconds, and back when a
    face is there again. Frames before 0 are at rest.
    """

    def __init__(self, block: int, delay: int, rest: np.ndarray):
        self.base = -delay
        self.rest = rest
        self.rows = np.full((round(AHEAD * FPS) + block + delay, len(rest)), np.nan, np.float32)
        self.stamp = -math.inf
        self.held = rest.copy()
        self.seen = -round(BRIDGE * FPS) - 1  # frame of the held row
        self.shown = round(FADE * FPS)  # frames of fading in

    def add(self, row: np.ndarray | None, at: float) -> str | None:
        """Adds a row float32 `[d]`, None where no face is seen. A late row is held unless newer ones have come."""
        if at <= self.stamp:
            return "duplicate" if at == self.stamp else "backwards"
        if at * FPS > self.base + len(self.rows):
            return "overflow"
        self.stamp = at
        frame = max(0, math.ceil(at * FPS - _CLOSE) - 1)
        if row is not None and frame >= self.base:
            self.rows[frame - self.base] = row
        elif row is not None:
            self.held, self.seen = row.copy(), frame
        return "late" if frame < self.base else None

    def take(self, n: int) -> tuple[np.ndarray, int, int]:
        """The next n frames `[n, d]`, how many of them were held, and how many were at rest or fading."""
        out, held, absent = np.empty((n, len(self.rest)), np.float32), 0, 0
        for i in range(n):
            frame, fade = self.base + i, round(FADE * FPS)
            if not np.isnan(self.rows[i, 0]):
                self.held, self.seen = self.rows[i].copy(), frame
            there = frame - self.seen <= BRIDGE * FPS
            if frame >= 0:
                self.shown = min(fade, self.shown + 1) if there else max(0, self.shown - 1)
                held += there and self.seen < frame
                absent += not there
            share = np.float32(self.shown / fade)
            out[i] = (1 - share) * self.rest + share * self.held
        self._advance(n)
        return out, held, absent

    def skip(self, n: int) -> None:
        """Drops the next n frames but for their newest row."""
        known = np.flatnonzero(~np.isnan(self.rows[:n, 0]))
        if known.size:
            self.held, self.seen = self.rows[known[-1]].copy(), self.base + int(known[-1])
        self._advance(n)

    def _advance(self, n: int):
        self.base += n
        kept = max(0, len(self.rows) - n)
        self.rows[:kept] = self.rows[len(self.rows) - kept :]
        self.rows[kept:] = np.nan


class Speech:
    """The avatar's speech: a queue of samples that may be filled faster than it is taken."""

    def __init__(self):
        self.queue = bytearray()
        self.resampler = Resampler(RATE)
        self.edges = Edges()

    def add(self, wave: np.ndarray, rate: int) -> str | None:
        """Queues a chunk float32 `[s]` at `rate` Hz, all of it or nothing."""
        if len(self.queue) / 4 + len(wave) * RATE / rate > QUEUE * RATE:
            return "overflow"
        if rate != self.resampler.rate:
            self._finish(rate)
        self.queue += self.resampler(wave).tobytes()
        return None

    def clear(self, faded: bool = False) -> None:
        """Drops the queue; `faded`: whether the last sample sent out has already died away."""
        self.queue.clear()
        self.resampler = Resampler(RATE)
        if faded:
            self.edges.last = 0.0
        self.edges.cut()

    def take(self, n: int) -> np.ndarray:
        """The next n samples `[n]`; silence where the queue has none."""
        if len(self.queue) < 4 * n:
            self._finish(self.resampler.rate)
        sound = np.full(n, np.nan, np.float32)
        head = np.frombuffer(bytes(self.queue[: 4 * n]), np.float32)
        sound[: len(head)] = head
        del self.queue[: 4 * n]
        return self.edges(sound)

    def _finish(self, rate: int):
        self.queue += self.resampler.flush().tobytes()
        self.resampler = Resampler(rate)
