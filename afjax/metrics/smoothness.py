"""Jitter: mean size of the second difference of motion, inside blocks and across their boundaries.

The second difference at frame t is motion[t - 1] - 2 motion[t] + motion[t + 1]. Those of the two frames beside a
boundary reach across it; all others lie inside a block. Each figure is divided by the recorded motion's over the same
frames, so 1 is as smooth as recorded motion. The ratio of the two would hide a motion that shakes everywhere.
"""

import numpy as np


def across(frames: int, block: int) -> np.ndarray:
    """bool `[frames - 2]`: which second differences, of frames 1 .. frames - 2, reach across a block boundary."""
    t = np.arange(1, frames - 1)
    return (t % block == 0) | (t % block == block - 1)


def shake(motion: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean absolute second difference inside blocks and across boundaries: `[n, t, d]` -> `[n]`, `[n]`.

    A clip without frames of a kind gives NaN for it (a single block has no boundary).
    """
    second = np.abs(np.diff(np.asarray(motion, np.float64), n=2, axis=1)).mean(axis=-1)
    reaches = across(motion.shape[1], block)

    def mean(chosen):
        return second[:, chosen].mean(axis=1) if chosen.any() else np.full(len(second), np.nan)

    return mean(~reaches), mean(reaches)
