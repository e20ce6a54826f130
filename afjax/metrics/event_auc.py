"""Area under the curve of reactions after the user's events against what the avatar does anyway.

    auc = P(S after an event > S after a frame without one) + P(they are equal) / 2

S is `metrics.events.strength`, so that no threshold decides. A face too still for a detector, or with nods half as
large as the recorded ones, still has 1 if its reactions always follow the cause and never come otherwise. Chance is .5;
an avatar that does the contrary is below it. Frames without an event are those of `events.causes`.

The curve is drawn over steps of the strength, so that a clip is two histograms and a figure is a function of their mean
over clips. STEPS of them are equally likely for the recorded strengths. Above the largest recorded strength, for faces
that move more, each is 2^(1/8) times the one before, up to 64 times. Several kinds together are weighed by their
numbers of events.
"""

from collections.abc import Sequence

import numpy as np

from afjax.metrics import events

STEPS = 100
_ABOVE = 2.0 ** (np.arange(49) / 8)
BINS = STEPS + len(_ABOVE)


def edges(recorded: Sequence[np.ndarray], kind: str) -> np.ndarray:
    """Bounds between the bins `[BINS - 1]` of a kind, from recorded motion, `[t, d]` per clip."""
    found = np.concatenate([np.zeros(1), *(events.strength(motion, kind) for motion in recorded)])
    return np.concatenate([np.quantile(found, np.arange(1, STEPS) / STEPS), found.max() * _ABOVE])


def histograms(motion: np.ndarray, event_frames, kind: str, bounds: np.ndarray) -> np.ndarray:
    """Strengths of one clip after its events and after frames without one, `[2, BINS]`; `bounds` from `edges`."""
    strength = events.strength(motion, kind)
    seen, idle = events.causes(len(strength), event_frames)
    bins = np.searchsorted(bounds, strength)
    return np.stack([np.bincount(bins[of], minlength=BINS) for of in (seen, idle)]).astype(float)


def area(means: np.ndarray) -> np.ndarray:
    """Statistic for means over clips `[..., k, 2, BINS]` of k kinds -> `[...]`; nan where no event can be compared."""
    means = np.asarray(means, np.float64)
    total = means.sum(axis=-1)
    share = means / np.where(total > 0, total, 1.0)[..., None]
    after, idle = share[..., 0, :], share[..., 1, :]
    below = np.cumsum(idle, axis=-1) - idle / 2
    each = np.where((total > 0).all(axis=-1), (after * below).sum(axis=-1), np.nan)
    weight = np.where(np.isnan(each), 0.0, total[..., 0])
    found = (weight * np.nan_to_num(each)).sum(axis=-1)
    count = weight.sum(axis=-1)
    return np.where(count > 0, found / np.where(count > 0, count, 1.0), np.nan)
