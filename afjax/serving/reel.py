"""Buffer of sound between the loop that makes it and a thread that plays it at an even pace."""

import threading

import numpy as np

__all__ = ["Reel"]

SECONDS = 4
"""Most seconds of sound that wait; sound that is due later is left out."""
FADE = 0.005
"""Seconds in which sound ends at a cut."""


class Reel:
    """A ring that is addressed by time: sample k is heard at `origin + k / rate`. Any thread may call its methods.

    Sound that comes after its time is left out, so that sound stays in step with pictures.
    """

    def __init__(self, rate: int, origin: float):
        """`origin`: time at which sample 0 is heard, on the clock of all times here."""
        self.rate, self.origin = rate, origin
        self._ring, self._taken, self._lock = np.zeros(SECONDS * rate, np.float32), 0, threading.Lock()

    def place(self, time: float) -> int:
        """Number of the sample that is heard at `time`."""
        return round((time - self.origin) * self.rate)

    def put(self, end: float, samples: np.ndarray) -> None:
        """Puts in sound, float32 `[n]` in -1..1, that ends at the time `end`."""
        last = self.place(end)
        with self._lock:
            first = max(last - len(samples), self._taken)
            count = min(last, self._taken + len(self._ring)) - first
            if count > 0:
                skipped = first - (last - len(samples))
                where = np.arange(first, first + count) % len(self._ring)
                self._ring[where] = samples[skipped : skipped + count]

    def take(self, first: int, count: int) -> np.ndarray:
        """float32 `[count]` from sample `first` on, silence where nothing was put. Samples are taken in order, once."""
        where = np.arange(first, first + count) % len(self._ring)
        with self._lock:
            if first > self._taken:
                gone = np.arange(max(self._taken, first - len(self._ring)), first) % len(self._ring)
                self._ring[gone] = 0.0
            samples = self._ring[where]
            self._ring[where] = 0.0
            self._taken = first + count
        return samples

    def cut(self) -> None:
        """Drops what has not been taken; sound ends within FADE."""
        count = round(FADE * self.rate)
        with self._lock:
            where = (self._taken + np.arange(count)) % len(self._ring)
            rest = self._ring[where] * (1.0 - np.arange(count) / count)
            self._ring[:] = 0.0
            self._ring[where] = rest
