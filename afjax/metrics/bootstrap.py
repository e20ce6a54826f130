"""Intervals over clips, or over groups of clips that share people.

Every figure of a table is a function of a mean over clips, f(mean_i v_i): a plain mean (f = identity), the peak of
a mean curve, a ratio of means, a distance between pooled moments. Groups of clips are drawn again with replacement, f
is taken again of each drawn mean, and the interval is what the middle 95 % of the draws span. A peak of a mean curve is
therefore never a mean of peaks, which is biased upwards. `permutation_test` exchanges the entries of two rows group by
group to test whether they differ. Clips of one conversation or person are no independent evidence: they are drawn and
exchanged together, as a group.

Draws of n groups have (n - 1) / n of the variance of a mean and know nothing of Student's t, so that plain percentiles
are too narrow with few groups. The percentiles here are those of a normal at the bounds that an interval of Student's t
would have (Hesterberg 2015, "What teachers should know about the bootstrap", section 4.1). There are no bounds below
LEAST_GROUPS groups, which are too few for that.
"""

from collections.abc import Callable

import numpy as np
from scipy import stats

Estimate = dict[str, float | int | None]
EMPTY: Estimate = {"mean": None, "low": None, "high": None, "n": 0}
LEAST_GROUPS = 6


def interval(
    values: np.ndarray,
    seed: int = 0,
    statistic: Callable[[np.ndarray], np.ndarray] | None = None,
    resamples: int = 1000,
    centred: bool = False,
    folded: bool = False,
    groups: np.ndarray | None = None,
) -> Estimate:
    """`{"mean", "low", "high", "n"}` of `statistic(mean over clips)`; "mean" is its point estimate, n counts clips.

    Args:
      values: `[n, ...]`, one entry per clip. Clips with a NaN had nothing to measure and are left out of n.
      seed: of the draws.
      statistic: `[r, ...] -> [r]`, applied to r means at once; None takes `values` `[n]` as they are.
      resamples: number of draws.
      centred: move the draws so that their median is the point estimate. For distances between pools, which are at
        least 0: drawing clips adds sampling noise a second time, and all draws may lie above the point estimate.
      folded: give the size of a signed statistic. Its bounds are folded, not its draws: these are all above a 0.
      groups: `[n]`, which clips belong together; None: each stands for itself.

    Undefined figures (no clip left, or a statistic of NaN) are None. Where fewer than LEAST_GROUPS of the given groups
    are left the bounds are None.
    """
    values = np.asarray(values, np.float64)
    whole = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    values, member = values[whole], _members(groups, whole)
    n, count = values.shape[0], member.shape[0]
    if not n:
        return dict(EMPTY)
    flat = values.reshape(n, -1)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=resamples)
    means = (draws @ (member @ flat)) / (draws @ member.sum(axis=1))[:, None]
    means = np.concatenate([flat.mean(axis=0)[None], means]).reshape(-1, *values.shape[1:])
    figures = np.asarray(means if statistic is None else statistic(means), np.float64)
    point, drawn = figures[0], figures[1:][np.isfinite(figures[1:])]
    if not np.isfinite(point) or not len(drawn):
        return {**EMPTY, "n": n}
    if groups is not None and count < LEAST_GROUPS:
        return {**EMPTY, "mean": float(abs(point) if folded else point), "n": n}
    if centred:
        drawn = np.maximum(drawn + point - np.median(drawn), 0.0)
    low, high = np.quantile(drawn, _tails(count))
    if folded:
        low, high = (0.0 if low <= 0.0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))
        point = abs(point)
    return {"mean": float(point), "low": float(low), "high": float(high), "n": n}


def _tails(count: int) -> tuple[float, float]:
    """Shares of the draws of `count` groups below the bounds of a 95 % interval."""
    if count < 2:
        return 0.0, 1.0
    tail = stats.norm.cdf(stats.t.ppf(0.025, count - 1) * np.sqrt(count / (count - 1)))
    return tail, 1.0 - tail


def _members(groups: np.ndarray | None, kept: np.ndarray) -> np.ndarray:
    """Which of the kept clips belong to which of their groups, `[groups, clips]` of 0 and 1."""
    if groups is None:
        return np.eye(int(kept.sum()))
    own = np.unique(np.asarray(groups)[kept], return_inverse=True)[1]
    return (np.arange(own.max(initial=-1) + 1)[:, None] == own).astype(float)


def permutation_test(
    first: np.ndarray,
    second: np.ndarray,
    seed: int = 0,
    statistic: Callable[[np.ndarray], np.ndarray] | None = None,
    flips: int = 999,
    groups: np.ndarray | None = None,
) -> float | None:
    """p-value of a paired permutation test: do two rows differ in `statistic(mean over clips)`?

    Each flip exchanges the two rows' entries of a group of clips with probability one half; for a plain mean this is
    the sign-flip test of the differences. p = (1 + flips that differ at least as much) / (1 + flips), two-sided. Groups
    are taken to be independent. Shuffled pairs are, except for the user whom two clips share.

    Args:
      first, second: `[n, ...]`, the same clips in the same order; clips with a NaN in either are left out.
      seed: of the flips.
      statistic: as in `interval`.
      flips: number of flips; no p is below 1 / (1 + flips). Where g groups have no more patterns, each of them is taken
        once, and no p is below 2 / 2^g.
      groups: as in `interval`.

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
    member = _members(groups, whole)
    kept = _patterns(len(member), flips, seed) @ member
    step = kept @ (first - second) / n
    means = (second.mean(axis=0) + step, first.mean(axis=0) - step)
    figures = [m.reshape(-1, *shape) if statistic is None else statistic(m.reshape(-1, *shape)) for m in means]
    size = np.abs(np.asarray(figures[0], np.float64) - figures[1])
    if not np.isfinite(size[0]):
        return None
    drawn = size[np.isfinite(size)]
    return float((drawn >= size[0] - 1e-12).mean())


def _patterns(groups: int, flips: int, seed: int) -> np.ndarray:
    """Which groups keep their row, `[flips, groups]` of 0 and 1, the first with all: each pattern once, or draws."""
    if groups < 31 and 2**groups <= flips + 1:
        return 1.0 - (np.arange(2**groups)[:, None] >> np.arange(groups) & 1)
    drawn = np.random.default_rng(seed).integers(2, size=(flips, groups))
    return np.concatenate([np.ones((1, groups)), drawn])


def ratio(means: np.ndarray) -> np.ndarray:
    """Statistic for values `[n, 2]`: mean of the first over mean of the second, NaN where that is 0."""
    below = means[:, 1]
    return np.where(below != 0, means[:, 0] / np.where(below == 0, 1.0, below), np.nan)
