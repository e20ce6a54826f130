"""Cosines of face embeddings: whether the face stays the same person.

With an ArcFace network (`metrics.pretrained.networks`) the mean cosine against the portrait is CSIM; with any other
network it is `CSIM-<network>`, and the two do not compare. Drift of identity is the slope of the cosine per minute.
"""

import numpy as np

from afjax.metrics import bootstrap
from afjax.metrics.long import drift


def cosines(embeddings: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Cosine of every frame's embedding with the portrait's: `[..., t, e]`, `[..., e]` -> `[..., t]`.

    An embedding of length 0 has cosine 0.
    """
    embeddings = np.asarray(embeddings, np.float64)
    reference = np.asarray(reference, np.float64)[..., None, :]
    below = np.linalg.norm(embeddings, axis=-1) * np.linalg.norm(reference, axis=-1)
    return np.where(below > 1e-12, (embeddings * reference).sum(axis=-1) / np.maximum(below, 1e-12), 0.0)


def measure(tracks: np.ndarray, fps: float = 25.0, seed: int = 0) -> dict[str, bootstrap.Estimate]:
    """Mean cosine and slope per minute over clips, with intervals: `[n, t]` -> {"cosine", "slope_per_min"}.

    For a single video the slope's interval is that of `drift.trend` over its windows of 10 s; both ends are None where
    it has fewer than three windows.
    """
    tracks = np.asarray(tracks, np.float64)
    slope = bootstrap.interval(drift.slope(tracks, 1.0 / fps), seed)
    if len(tracks) == 1:
        windows = drift.window_means(tracks[0], fps)
        ends = drift.trend(windows)[1:] if len(windows) >= 3 else (None, None)
        slope = {**slope, "low": ends[0], "high": ends[1]}
    return {"cosine": bootstrap.interval(tracks.mean(axis=1), seed), "slope_per_min": slope}
