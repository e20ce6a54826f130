"""Drift: does the motion or the picture leave where it started, over minutes?

Motion is cut into windows of WINDOW_SECONDS. The distance of a window is the Fréchet distance (`metrics.frechet`)
between the Gaussian of its frames, pooled over clips, and that of all recorded frames:

    d_w = FD(mean_w, cov_w; mean, cov),        drift = slope of d_w against the window's middle, per minute

Windows are shorter than the recording, so d_w is above 0 for a motion that does not drift; its slope is 0. Pictures are
watched by tracks with one figure a frame (sharpness here, cosines of `metrics.long.identity`): window means divided by
the first window's, and `trend` for the slope of a single track.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy import stats

from afjax.metrics import frechet

WINDOW_SECONDS = 10.0


class Trend(NamedTuple):
    """Least-squares slope per minute of a track and its 95 % interval."""

    slope: float
    low: float
    high: float


def window_moments(motion: np.ndarray, recorded: np.ndarray, fps: float = 25.0) -> np.ndarray | None:
    """Pooled moments for `slope_per_minute`, per clip; None for clips shorter than two windows.

    Args:
      motion: `[n, T, D]`, channels of comparable size.
      recorded: `[n, S, D]`, the distribution to stay in.
      fps: frames a second.

    Returns:
      `[n, W + 1, D, D + 1]`, moments (`frechet.moments`) of W whole windows, then of the clip's recorded motion. Frames
      after the last whole window are left out.
    """
    length = round(WINDOW_SECONDS * fps)
    windows = motion.shape[1] // length
    if windows < 2:
        return None
    parts = [frechet.moments(motion[:, w * length : (w + 1) * length]) for w in range(windows)]
    return np.stack([*parts, frechet.moments(recorded)], axis=1)


def distances(means: np.ndarray) -> np.ndarray:
    """Distance of every window, from clip means of `window_moments`: `[r, W + 1, D, D + 1] -> [r, W]`."""
    mean, covariance = frechet.gaussian(means)
    return frechet.distance(mean[:, :-1], covariance[:, :-1], mean[:, -1:], covariance[:, -1:])


def slope_per_minute(means: np.ndarray) -> np.ndarray:
    """Statistic for `bootstrap.interval` on `window_moments`: slope of the distance per minute, `[r]`."""
    track = distances(means)
    minutes = np.arange(track.shape[1]) * WINDOW_SECONDS / 60.0
    centred = minutes - minutes.mean()
    return track @ centred / (centred @ centred)


def trend(track: np.ndarray, seconds: float = WINDOW_SECONDS) -> Trend:
    """Slope of one track `[W]` with a value every `seconds`, W at least 3.

    The interval is Student's, for residuals without memory: give it window means, not frames.
    """
    track = np.asarray(track, np.float64)
    if track.ndim != 1 or len(track) < 3:
        raise ValueError(f"a trend needs at least 3 values in a row, got shape {track.shape}")
    minutes = np.arange(len(track)) * seconds / 60.0
    fit = stats.linregress(minutes, track)
    half = stats.t.ppf(0.975, len(track) - 2) * fit.stderr
    return Trend(float(fit.slope), float(fit.slope - half), float(fit.slope + half))


def window_means(track: np.ndarray, fps: float = 25.0) -> np.ndarray:
    """Means of the whole windows of a track with a value a frame: `[..., T] -> [..., W]`."""
    length = round(WINDOW_SECONDS * fps)
    windows = track.shape[-1] // length
    return track[..., : windows * length].reshape(*track.shape[:-1], windows, length).mean(axis=-1)


def against_first(track: np.ndarray, fps: float = 25.0) -> np.ndarray:
    """Window means over the first window's, `[..., T] -> [..., W]`; 1 = as at the start, NaN where that is 0."""
    means = window_means(np.asarray(track, np.float64), fps)
    first = means[..., :1]
    return np.where(first != 0, means / np.where(first == 0, 1.0, first), np.nan)


def sharpness(pictures: Iterable[np.ndarray]) -> np.ndarray:
    """Variance of the Laplacian of every picture, one at a time -> `[T]`.

    Args:
      pictures: `[H, W]` or `[H, W, 3]` with values 0 .. 255, at least 3 x 3; colours are averaged with the weights of
        ITU-R BT.601. The Laplacian is the sum of the four neighbours minus four times the pixel, without the border.
    """
    return np.fromiter((_laplacian_variance(picture) for picture in pictures), np.float64)


def _laplacian_variance(picture: np.ndarray) -> float:
    grey = np.asarray(picture, np.float32)
    if grey.ndim == 3:
        grey = grey @ np.array([0.299, 0.587, 0.114], np.float32)
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4.0 * grey[1:-1, 1:-1]).var(dtype=np.float64))
