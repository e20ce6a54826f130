"""Lip motion while the avatar speaks.

`curve` relates the generated mouth to a reference track of the same clip: the recorded mouth (`lip_corr`,
`lip_lag_ms`; paired data only, recorded = 1 at lag 0) or the loudness of the speech (`lip_envelope_corr`,
`lip_envelope_lag_ms`; read them beside the recorded row). A positive lag is a mouth that is late.
"""

import numpy as np

from afjax.metrics.reactiveness import pcc

REACH = 10
"""Lags run from -REACH to REACH frames."""
LEAST_FRAMES = 25
"""A clip in which fewer frames of speech are left has no lip measure (NaN)."""


def curve(mouth: np.ndarray, reference: np.ndarray, speaking: np.ndarray, reach: int = REACH) -> np.ndarray:
    """Correlation of mouth[t + lag] with reference[t] over the frames t in which the avatar speaks.

    Args:
      mouth, reference: `[n, t]`, mouth opening and the track it should follow.
      speaking: bool `[n, t]`.

    Returns:
      `[n, 2 * reach + 1]`, lag 0 in the middle.
    """
    frames = mouth.shape[1]
    times = np.arange(reach, frames - reach)
    out = np.full((len(mouth), 2 * reach + 1), np.nan)
    for clip in range(len(mouth)):
        t = times[np.asarray(speaking[clip], bool)[times]]
        if len(t) >= LEAST_FRAMES:
            shifted = mouth[clip][t[:, None] + np.arange(-reach, reach + 1)]
            out[clip] = pcc(shifted, reference[clip][t][:, None], axis=0)
    return out


def corr(curves: np.ndarray) -> np.ndarray:
    """The curve's value at lag 0: `[n, 2 * reach + 1] -> [n]`."""
    return curves[:, curves.shape[1] // 2]


def lag(curves: np.ndarray) -> np.ndarray:
    """Statistic for `bootstrap.interval`: lag in frames of each mean curve's peak; NaN where the curve is flat."""
    middle = curves.shape[1] // 2
    return np.where(np.ptp(curves, axis=1) > 1e-9, curves.argmax(axis=1) - float(middle), np.nan)
