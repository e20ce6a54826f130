"""Sound cut into motion frames: 16 kHz mono, 640 samples per frame, 25 frames per second."""

import numpy as np

from afjax.errors import InputError

RATE = 16_000


FPS = 25


FRAME = RATE // FPS


def count(samples: int) -> int:
    """Frames that `samples` samples fill, the last one perhaps in part."""
    return -(-samples // FRAME)


def check(wave) -> np.ndarray:
    """`[s]` as float32; raises InputError for anything but one finite, non-empty channel."""
    wave = np.asarray(wave, np.float32)
    if wave.ndim != 1:
        raise InputError(f"sound must be one channel of samples, got shape {wave.shape}", do="mix it down to mono")
    if not wave.size:
        raise InputError("sound has no samples")
    if not np.isfinite(wave).all():
        raise InputError("sound has samples that are not finite numbers")
    return wave


def fill(wave: np.ndarray) -> np.ndarray:
    """`[s]` -> `[t * 640]`, t = ceil(s / 640): the last frame is filled up with zeros."""
    return np.pad(wave, (0, count(len(wave)) * FRAME - len(wave)))


def past_windows(wave, length: int, hop: int):
    """`[n * hop]` -> `[n, length]`, NumPy or JAX: window i holds the samples before (i + 1) * hop.

    Samples before the first are taken to equal it, so that a constant offset makes no step.
    """
    xp = wave.__array_namespace__()
    padded = xp.pad(wave, (length - hop, 0), mode="edge")
    return padded[np.arange(0, len(wave), hop)[:, None] + np.arange(length)]
