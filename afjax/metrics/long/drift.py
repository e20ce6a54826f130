"""Drift of motion or picture over minutes.

Motion is cut into windows of WINDOW_SECONDS. The distance of a window is the Fréchet distance (`metrics.frechet`)
between the Gaussian of its frames, pooled over clips, and that of all recorded frames:

    d_w = FD(mean_w, cov_w; mean, cov),        drift = slope of d_w against the window's middle, per minute

Windows are shorter than the recording, so d_w is above 0 for a motion that does not drift; its slope is 0. All figures
of minutes use `slope`. `trend` is the slope of a single track, with an interval.
"""

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
    """Pooled moments for `distance_slope`, per clip; None for clips shorter than two windows.

    Args:
      motion: `[n, t, d]`, channels of comparable size.
      recorded: `[n, s, d]`, the distribution to stay in.
      fps: frames per second.

    Returns:
      `[n, w + 1, d, d + 1]`, moments (`frechet.moments`) of w whole windows, then of the clip's recorded motion. Frames
      after the last whole window are left out.
    """
    length = round(WINDOW_SECONDS * fps)
    windows = motion.shape[1] // length
    if windows < 2:
        return None
    parts = [frechet.moments(motion[:, w * length : (w + 1) * length]) for w in range(windows)]
    return np.stack([*parts, frechet.moments(recorded)], axis=1)


def distances(means: np.ndarray) -> np.ndarray:
    """Distance of every window, from clip means of `window_moments`: `[r, w + 1, d, d + 1]` -> `[r, w]`."""
    mean, covariance = frechet.gaussian(means)
    return frechet.distance(mean[:, :-1], covariance[:, :-1], mean[:, -1:], covariance[:, -1:])


def slope(tracks: np.ndarray, seconds: float) -> np.ndarray:
    """Least-squares slope per minute of tracks with a value every `seconds`: `[..., m]` -> `[...]`."""
    minutes = np.arange(tracks.shape[-1]) * seconds / 60.0
    centred = minutes - minutes.mean()
    return np.asarray(tracks, np.float64) @ centred / (centred @ centred)


def distance_slope(means: np.ndarray) -> np.ndarray:
    """Statistic for `bootstrap.interval` on `window_moments`: slope of the distance per minute, `[r]`."""
    return slope(distances(means), WINDOW_SECONDS)


def trend(track: np.ndarray, seconds: float = WINDOW_SECONDS) -> Trend:
    """Slope of one track `[w]` with a value every `seconds`, w at least 3.

    The interval is Student's, for residuals without memory: give it window means, not frames.
    """
    track = np.asarray(track, np.float64)
    if track.ndim != 1 or len(track) < 3:
        raise ValueError(f"a trend needs at least 3 values in a row, got shape {track.shape}")
    error = stats.linregress(np.arange(len(track)) * seconds / 60.0, track).stderr
    middle, half = float(slope(track, seconds)), float(stats.t.ppf(0.975, len(track) - 2) * error)
    return Trend(middle, middle - half, middle + half)


def window_means(track: np.ndarray, fps: float = 25.0) -> np.ndarray:
    """Means of the whole windows of a track with one value per frame: `[..., t]` -> `[..., w]`."""
    length = round(WINDOW_SECONDS * fps)
    windows = track.shape[-1] // length
    return track[..., : windows * length].reshape(*track.shape[:-1], windows, length).mean(axis=-1)
