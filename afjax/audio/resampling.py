"""Resampling to 16 kHz as sound comes in, chunk by chunk, with the same result whatever the chunks are.

  y[m] = sum_k x[k] h(k - m rate / 16000),   h(t) ~ sinc(c t) kaiser(c t / ZEROS),   c = ROLL_OFF min(1, 16000 / rate)

y[m] stands for the time of x[m rate / 16000], so nothing is shifted. It is given out as soon as the last sample that it
reads has come: at most 2.3 ms later from 16 kHz up, 4.5 ms from 8 kHz. The state is two numbers and the last inputs, so
a stream can be stored and continued to the bit. libsoxr's stream can't be stored and is up to 37 ms behind at 48 kHz.
"""

import functools
import math

import numpy as np

from afjax.audio.framing import RATE

ZEROS = 32
"""Zero crossings of h on either side."""
ROLL_OFF = 0.94
"""Middle of the transition band, as a share of the lower Nyquist frequency."""
BETA = 8.0
PHASES = 2000
"""Positions between two samples that are told apart; rates that need more (44 101 Hz) are placed to -70 dB."""
_PIECE = 2048


class Resampler:
    """One unbroken piece of sound at `rate` (whole Hz), which begins with silence. Sound at 16 kHz passes as it is."""

    def __init__(self, rate: int):
        self.rate = rate
        self.made = 0
        self.first = -_kernel(rate).shape[1]
        self.recent = np.zeros(-self.first, np.float32)

    def __call__(self, chunk: np.ndarray) -> np.ndarray:
        """The samples float32 `[m]` that `chunk` float32 `[n]` completes."""
        if self.rate == RATE:
            return chunk
        kernel = _kernel(self.rate)
        phases, taps = kernel.shape
        sound = np.concatenate([self.recent, chunk])
        ready = -(-(self.first + len(sound) - taps // 2 - 1) * RATE // self.rate)
        pieces = [np.zeros(0, np.float32)]
        while self.made < ready:
            made = np.arange(self.made, min(ready, self.made + _PIECE))
            place, phase = np.divmod((made * self.rate * phases + RATE // 2) // RATE, phases)
            windows = np.lib.stride_tricks.sliding_window_view(sound, taps)[place - taps // 2 + 1 - self.first]
            pieces.append(np.einsum("mt,mt->m", windows, kernel[phase]))
            self.made += len(made)
        kept = min(max(self.made * self.rate // RATE - taps // 2 - self.first, 0), len(sound))
        self.recent, self.first = sound[kept:].copy(), self.first + kept
        return np.concatenate(pieces)

    def flush(self) -> np.ndarray:
        """The samples `[m]` up to the end of the sound, which is followed by silence. The piece is then finished."""
        if self.rate == RATE:
            return np.zeros(0, np.float32)
        left = -(-(self.first + len(self.recent)) * RATE // self.rate) - self.made
        return self(np.zeros(_kernel(self.rate).shape[1], np.float32))[: max(left, 0)]


@functools.lru_cache(maxsize=8)
def _kernel(rate: int) -> np.ndarray:
    """h for every phase p: float32 `[phases, taps]`, taps at k = 1 - taps / 2 .. taps / 2 around p / phases."""
    cutoff = ROLL_OFF * min(1.0, RATE / rate)
    phases = min(RATE // math.gcd(RATE, rate), PHASES)
    reach = math.ceil(ZEROS / cutoff)
    times = cutoff * (np.arange(1 - reach, reach + 1) - np.arange(phases)[:, None] / phases)
    window = np.i0(BETA * np.sqrt(np.clip(1 - np.square(times / ZEROS), 0, None)))
    taps = np.sinc(times) * window * (np.abs(times) < ZEROS)
    return (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
