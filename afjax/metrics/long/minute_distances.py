"""Drift over many minutes of many sessions: Fréchet distances of minutes, and the band of recorded minutes.

A minute is the Gaussian of its frames, all sessions together; a distance is Fréchet's (`metrics.frechet`):

    to_recorded [m]   FD(minute m, recorded), averaged over the references below
    to_first [m]      FD(minute m, minute 0): how far the motion went, wherever it began

A model that moves too little is far from the recorded motion from its first minute on, which is no drift; hence the
second distance. Both are judged by what recorded motion does. A draw r splits the recorded conversations in two halves:
`references[r]` is the Gaussian of one half, `drawn[r, 0]` that of a minute of as many sessions from the same half, and
`drawn[r, 1]` that of a minute from the other half, so that no conversation is compared with itself:

    band of to_recorded   FD(drawn[r, 1], references[r])         2.5th to 97.5th percentile over r
    band of to_first      FD(drawn[r, 0], drawn[r, 1])

A minute above its band is outside. The slope per minute is the least-squares line's; its interval draws sessions again
(the distances are then taken to the mean of the references).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from afjax.metrics import bootstrap, frechet
from afjax.metrics.long import drift

MINUTE = 60.0


class Recorded(NamedTuple):
    """Pooled moments (`frechet.moments`) of recorded motion: references `[r, d, d + 1]`, drawn `[r, 2, d, d + 1]`."""

    references: np.ndarray
    drawn: np.ndarray


def measure(minutes: np.ndarray, recorded: Recorded, channels: Sequence[int]) -> dict[str, dict]:
    """`to_recorded` and `to_first` of some channels.

    Args:
      minutes: `[s, m, d, d + 1]`, moments of each of m >= 3 minutes of s sessions.
      recorded: of motion in the same units.
      channels: which of the d count.

    Returns:
      By name: `minutes` (the distances `[m]`; `to_first` has m - 1, from the second minute on), `band` (low, high),
      `inside` (is the last minute not above the band), `slope` per minute as `bootstrap.interval` gives it.
    """
    minutes, references, drawn = (_subset(moments, channels) for moments in (minutes, *recorded))
    pooled, whole = minutes.mean(axis=0), references.mean(axis=0)
    far = _distance(pooled, references[:, None]).mean(axis=0)
    usual = _distance(drawn[:, 1], references)
    moved = _distance(pooled[1:], pooled[0])
    apart = _distance(drawn[:, 0], drawn[:, 1])
    return {
        "to_recorded": _drift_verdict(far, usual, minutes, lambda means: _distance(means, whole)),
        "to_first": _drift_verdict(moved, apart, minutes, lambda means: _distance(means[:, 1:], means[:, :1])),
    }


def _subset(moments: np.ndarray, channels: Sequence[int]) -> np.ndarray:
    channels = np.asarray(channels)
    return moments[..., channels[:, None], np.append(channels, moments.shape[-1] - 1)]


def _distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return frechet.distance(*frechet.gaussian(first), *frechet.gaussian(second))


def _drift_verdict(track: np.ndarray, usual: np.ndarray, minutes: np.ndarray, distances) -> dict:
    low, high = np.percentile(usual, [2.5, 97.5])
    return {
        "minutes": track,
        "band": (float(low), float(high)),
        "inside": bool(track[-1] <= high),
        "slope": bootstrap.interval(
            minutes, statistic=lambda means: drift.slope(distances(means), MINUTE), resamples=400
        ),
    }


def shift(pooled: np.ndarray, recorded: Recorded) -> tuple[np.ndarray, np.ndarray]:
    """Mean minus the recorded mean, and deviation over the recorded one, `[..., d]`, of moments `[..., d, d + 1]`.

    The deviation of a channel that never moves in the recording is divided by 1.
    """
    mean, deviation = _spread(pooled)
    recorded_mean, unit = _spread(recorded.references.mean(axis=0))
    return mean - recorded_mean, deviation / np.where(unit > 0, unit, 1.0)


def _spread(pooled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, covariance = frechet.gaussian(pooled)
    return mean, np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 0.0))
