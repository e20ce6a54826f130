"""Loudness of speech per motion frame, and the frames in which somebody speaks.

The envelope is the root mean square of a frame's 640 samples to the power 0.6, near to loudness as it is heard, so that
stressed vowels don't outweigh everything else. Speech is what lies within 30 dB of the voice's loud frames (their 95th
percentile) and above -55 dB of full scale; pauses of up to 0.2 s belong to it. A constant
offset is taken away first.
"""

import numpy as np

from afjax.audio.framing import FRAME, check

__all__ = ["envelope", "speaking"]

EXPONENT = 0.6
RANGE_DB, FLOOR_DB = 30.0, -55.0
PAUSE = 5


def _rms(wave, frames: int) -> np.ndarray:
    wave = check(wave)
    wave = np.pad(wave - wave.mean(), (0, max(0, frames * FRAME - len(wave))))
    return np.sqrt(np.mean(wave[: frames * FRAME].reshape(frames, FRAME) ** 2, axis=1))


def envelope(wave, frames: int) -> np.ndarray:
    """Loudness float32 `[t]`, t = `frames`, of sound `[s]` at 16 kHz; zero after its end."""
    return _rms(wave, frames) ** EXPONENT


def speaking(wave, frames: int) -> np.ndarray:
    """Bool `[t]`: the frames of sound `[s]` at 16 kHz that hold speech (or whatever else is as loud)."""
    decibel = 20 * np.log10(_rms(wave, frames) + 1e-9)
    loud = decibel > max(FLOOR_DB, float(np.percentile(decibel, 95)) - RANGE_DB)
    times = np.flatnonzero(loud)
    for before, after in zip(times[:-1], times[1:], strict=True):
        if after - before <= PAUSE:
            loud[before:after] = True
    return loud
