"""Variance of motion, and SID: how much it moves and how varied it is.

SID is the entropy in bits of a clip's histogram over K k-means clusters of its frames (after Ng et al. 2022). It is at
most log2(K). The clusters are fitted on recorded motion; figures with another K or other clusters do not compare.
Neither measure is better for being higher than the recorded one.
"""

import numpy as np

EXPRESSION_CLUSTERS = 15
POSE_CLUSTERS = 9
_FRAMES = 20_000
_RESTARTS = 4


def scale(recorded: np.ndarray) -> np.ndarray:
    """Standard deviation of each channel over all recorded frames, `[n, t, d]` -> `[d]`; 1 for a constant channel.

    Motion is divided by it wherever channels of different units are added up.
    """
    deviation = np.asarray(recorded, np.float64).reshape(-1, recorded.shape[-1]).std(axis=0)
    return np.where(deviation > 1e-6, deviation, 1.0)


def variance(motion: np.ndarray) -> np.ndarray:
    """Variance along time, averaged over channels: `[n, t, d]` -> `[n]`."""
    return np.asarray(motion, np.float64).var(axis=1).mean(axis=-1)


def fit_clusters(recorded: np.ndarray, clusters: int, seed: int = 0) -> np.ndarray:
    """k-means centres `[clusters, d]` of the frames of `[n, t, d]`: Lloyd from k-means++ starts, best of four."""
    rng = np.random.default_rng(seed)
    frames = np.asarray(recorded, np.float64).reshape(-1, recorded.shape[-1])
    if len(frames) > _FRAMES:
        frames = frames[rng.choice(len(frames), _FRAMES, replace=False)]
    fits = [_lloyd(frames, _spread(frames, clusters, rng)) for _ in range(_RESTARTS)]
    return min(fits, key=lambda centres: _squared_distances(frames, centres).min(axis=1).sum())


def _squared_distances(frames: np.ndarray, centres: np.ndarray) -> np.ndarray:
    product = -2.0 * frames @ centres.T
    return product + np.square(frames).sum(axis=1)[:, None] + np.square(centres).sum(axis=1)


def _spread(frames: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    centres = frames[rng.integers(len(frames))][None]
    while len(centres) < clusters:
        distance = np.maximum(_squared_distances(frames, centres).min(axis=1), 0.0)
        total = distance.sum()
        chosen = rng.choice(len(frames), p=distance / total) if total > 0 else rng.integers(len(frames))
        centres = np.concatenate([centres, frames[chosen][None]])
    return centres


def _lloyd(frames: np.ndarray, centres: np.ndarray, steps: int = 50) -> np.ndarray:
    for _ in range(steps):
        member = np.eye(len(centres))[_squared_distances(frames, centres).argmin(axis=1)]
        size = member.sum(axis=0)[:, None]
        moved = np.where(size > 0, member.T @ frames / np.maximum(size, 1), centres)
        if np.abs(moved - centres).max() < 1e-9:
            break
        centres = moved
    return centres


def sid(motion: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Entropy in bits of each clip's cluster histogram: `[n, t, d]`, centres `[k, d]` -> `[n]`."""
    nearest = np.stack([_squared_distances(np.asarray(clip, np.float64), centres).argmin(axis=1) for clip in motion])
    share = (nearest[:, :, None] == np.arange(len(centres))).mean(axis=1)
    return -(share * np.log2(np.maximum(share, 1e-300))).sum(axis=1)
