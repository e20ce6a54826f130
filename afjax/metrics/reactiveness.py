"""rPCC and the lagged response of the avatar's motion to the user's.

x is the user's motion, y the recorded avatar's, z the generated one's.

  rPCC       abs(PCC(y, x) - PCC(z, x)) per clip, PCC averaged over the channels of a group. 0 = as related as life
             at lag 0, which a motion of any quality can be.
  rPCC corpus  abs(mean PCC(y, x) - mean PCC(z, x)), the means over clips: chance of single clips cancels out, of which
             rPCC per clip mostly consists where clips are short. The paper does not say which of the two it prints.
  rPCC-lag   abs(P(y) - P(z)), P the peak over lags of the clip-averaged curve of the same group average.
  response   r[lag] = PCC(x[t], z[t + lag]) per clip. Peak and lag are those of the curve averaged over clips.
"""

import numpy as np

LAGS = 51
"""Lags 0 .. 2 s at 25 fps."""


def pcc(a: np.ndarray, b: np.ndarray, axis: int = -2) -> np.ndarray:
    """Pearson correlation along `axis` (time); 0 where a track is constant."""
    a = np.asarray(a, np.float64)
    b = np.asarray(b, np.float64)
    a, b = a - a.mean(axis=axis, keepdims=True), b - b.mean(axis=axis, keepdims=True)
    below = np.sqrt(np.square(a).sum(axis=axis) * np.square(b).sum(axis=axis))
    return np.where(below > 1e-12, (a * b).sum(axis=axis) / np.maximum(below, 1e-12), 0.0)


def constant_tracks(motion: np.ndarray) -> np.ndarray:
    """Share of each clip's channels that never move, `[n, t, d]` -> `[n]`: their correlation is defined as 0."""
    return (np.ptp(motion, axis=1) < 1e-6).mean(axis=1)


def rpcc(recorded: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """rPCC `[n]` from correlations with the user `[n, d]`; the two may belong to different users (shuffled pairs)."""
    return np.abs(recorded.mean(axis=-1) - generated.mean(axis=-1))


def response_curve(user: np.ndarray, avatar: np.ndarray, lags: int = LAGS) -> np.ndarray:
    """Correlation of one user channel with one avatar channel: `[n, t]` twice -> `[n, lags]`.

    Entry k relates user frame t to avatar frame t + k over the frames that both have.
    """
    frames = user.shape[1]
    return np.stack([pcc(user[:, : frames - k], avatar[:, k:], axis=1) for k in range(min(lags, frames - 1))], axis=1)


def group_curve(user: np.ndarray, avatar: np.ndarray, lags: int = LAGS) -> np.ndarray:
    """The response curve of each user channel with the same avatar channel, averaged over channels.

    `[n, t, d]` twice, the channels of one group -> `[n, lags]`; entry 0 is the correlation of rPCC.
    """
    frames = user.shape[1]
    used = range(min(lags, frames - 1))
    return np.stack([pcc(user[:, : frames - k], avatar[:, k:]).mean(axis=-1) for k in used], axis=1)


def response_map(user: np.ndarray, avatar: np.ndarray, lags: int = LAGS) -> tuple[np.ndarray, np.ndarray]:
    """Peak of every user channel against every avatar channel.

    Args:
      user, avatar: `[n, t, d]`, `[n, t, e]`.
      lags: number of lags, from 0.

    Returns:
      The entry of largest size of the clip-averaged curve `[d, e]`, with its sign, and its lag in frames `[d, e]`.
    """
    frames = user.shape[1]
    curves = []
    for k in range(min(lags, frames - 1)):
        a, b = _unit(user[:, : frames - k]), _unit(avatar[:, k:])
        curves.append(np.matmul(a.swapaxes(1, 2), b).mean(axis=0))
    curves = np.stack(curves)
    lag = np.abs(curves).argmax(axis=0)
    return np.take_along_axis(curves, lag[None], axis=0)[0], lag


def _unit(motion: np.ndarray) -> np.ndarray:
    centred = np.asarray(motion, np.float64)
    centred = centred - centred.mean(axis=1, keepdims=True)
    length = np.sqrt(np.square(centred).sum(axis=1, keepdims=True))
    return np.where(length > 1e-6, centred / np.maximum(length, 1e-6), 0.0)


def peak(curves: np.ndarray) -> np.ndarray:
    """Statistic for `bootstrap.interval`: highest value of each mean curve, `[r, lags] -> [r]`."""
    return curves.max(axis=1)


def peak_lag(curves: np.ndarray) -> np.ndarray:
    """Statistic: index of the highest value of each mean curve; NaN where the curve is flat."""
    return np.where(np.ptp(curves, axis=1) > 1e-9, curves.argmax(axis=1).astype(float), np.nan)


def corpus_difference(means: np.ndarray) -> np.ndarray:
    """Statistic for correlations `[r, 2]` of the row and the recorded: rPCC of the corpus, with its sign."""
    return means[:, 0] - means[:, 1]


def peak_difference(curves: np.ndarray) -> np.ndarray:
    """Statistic for curves `[r, 2, lags]`: abs(peak of the first - peak of the second), rPCC-lag."""
    return np.abs(curves[:, 0].max(axis=1) - curves[:, 1].max(axis=1))


def peak_share(curves: np.ndarray) -> np.ndarray:
    """Statistic for curves `[r, 2, lags]`: peak of the first over peak of the second."""
    below = curves[:, 1].max(axis=1)
    return np.where(below > 1e-9, curves[:, 0].max(axis=1) / np.maximum(below, 1e-9), np.nan)
