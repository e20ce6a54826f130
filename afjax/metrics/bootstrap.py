"""Intervals over clips.

Every figure of a table is a function of a mean over clips, f(mean_i v_i): a plain mean (f = identity), the peak of
a mean curve, a ratio of means, a distance between pooled moments. Clips are drawn again with replacement, f is taken
again of each new mean, and the interval is the 2.5th to 97.5th percentile of what comes out. A peak of a mean curve
is therefore never a mean of peaks, which is biased upwards. Whether two rows differ is tested by exchanging their
entries clip by clip (`separation`).
"""

from collections.abc import Callable

import numpy as np

Estimate = dict[str, float | int | None]
EMPTY: Estimate = {"mean": None, "low": None, "high": None, "n": 0}


def interval(
    values: np.ndarray,
    seed: int = 0,
    statistic: Callable[[np.ndarray], np.ndarray] | None = None,
    resamples: int = 1000,
    centred: bool = False,
) -> Estimate:
    """`{"mean", "low", "high", "n"}` of `statistic(mean over clips)`; "mean" is its point estimate.

    Args:
      values: `[n, ...]`, one entry a clip. Clips with a NaN had nothing to measure and are left out of n.
      seed: of the draws.
      statistic: `[r, ...] -> [r]`, applied to r means at once; None takes `values` `[n]` as they are.
      resamples: number of draws.
      centred: move the draws so that their median is the point estimate. For distances between pools, which are at
        least 0: drawing clips adds sampling noise a second time, and all draws may lie above the point estimate.

    Figures that are undefined (no clip left, or a statistic of NaN) are None.
    """
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values.reshape(len(values), -1)).all(axis=1)]
    n = len(values)
    if not n:
        return dict(EMPTY)
    flat = values.reshape(n, -1)
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), size=resamples)
    means = np.concatenate([flat.mean(axis=0)[None], draws @ flat / n]).reshape(-1, *values.shape[1:])
    figures = np.asarray(means if statistic is None else statistic(means), np.float64)
    point, drawn = figures[0], figures[1:][np.isfinite(figures[1:])]
    if not np.isfinite(point) or not len(drawn):
        return {**EMPTY, "n": n}
    if centred:
        drawn = np.maximum(drawn + point - np.median(drawn), 0.0)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {"mean": float(point), "low": float(low), "high": float(high), "n": n}


def separation(
    first: np.ndarray,
    second: np.ndarray,
    seed: int = 0,
    statistic: Callable[[np.ndarray], np.ndarray] | None = None,
    flips: int = 999,
) -> float | None:
    """p-value of a paired permutation test: do two rows differ in `statistic(mean over clips)`?

    Each flip exchanges the two rows' entries of a clip with probability one half; for a plain mean this is the
    sign-flip test of the differences. p = (1 + flips that differ at least as much) / (1 + flips), two-sided. Clips are
    taken to be independent, which shuffled pairs are up to the user whom two clips share.

    Args:
      first, second: `[n, ...]`, the same clips in the same order; clips with a NaN in either are left out.
      seed: of the flips.
      statistic: as in `interval`.
      flips: number of flips; no p is below 1 / (1 + flips).

    Returns:
      None where the difference is undefined.
    """
    first, second = (np.asarray(values, np.float64) for values in (first, second))
    shape = first.shape[1:]
    first, second = (values.reshape(len(values), -1) for values in (first, second))
    whole = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    first, second = first[whole], second[whole]
    n = len(first)
    if not n:
        return None
    kept = np.random.default_rng(seed).integers(2, size=(flips, n))
    kept = np.concatenate([np.ones((1, n)), kept])
    step = kept @ (first - second) / n
    means = (second.mean(axis=0) + step, first.mean(axis=0) - step)
    figures = [m.reshape(-1, *shape) if statistic is None else statistic(m.reshape(-1, *shape)) for m in means]
    size = np.abs(np.asarray(figures[0], np.float64) - figures[1])
    if not np.isfinite(size[0]):
        return None
    drawn = size[1:][np.isfinite(size[1:])]
    return float((1 + (drawn >= size[0] - 1e-12).sum()) / (1 + len(drawn)))


def ratio(means: np.ndarray) -> np.ndarray:
    """Statistic for values `[n, 2]`: mean of the first over mean of the second, NaN where that is 0."""
    below = means[:, 1]
    return np.where(below != 0, means[:, 0] / np.where(below == 0, 1.0, below), np.nan)
