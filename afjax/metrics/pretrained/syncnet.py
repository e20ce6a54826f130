"""LSE-D and LSE-C: agreement of sound and mouth, from a SyncNet's embeddings of both.

v[t] is the embedding of five frames from t on, and a[t] that of the sound of the same 0.2 s:

  d[k]   = mean over t of |v[t] - a[t + k]|,      k = -15 .. 15 frames
  LSE-D  = min d,    LSE-C = median d - min d,    lag = -argmin d

as in the evaluation of Wav2Lip (after Chung and Zisserman 2016). a[t + k] is 0 outside the clip. A positive lag is a
mouth that is late. Only the embeddings of that SyncNet give LSE; other networks' figures have names of their own.
"""

from typing import NamedTuple

import numpy as np

REACH = 15


class Sync(NamedTuple):
    """LSE-D, LSE-C and the mouth's lag in frames of one clip."""

    distance: float
    confidence: float
    lag: int


def offset_distances(video: np.ndarray, audio: np.ndarray, reach: int = REACH) -> np.ndarray:
    """d[k] for k = -reach .. reach: embeddings `[t, e]` twice -> `[2 * reach + 1]`.

    Raises:
      ValueError: the two differ in shape, or are empty.
    """
    video, audio = np.asarray(video, np.float64), np.asarray(audio, np.float64)
    if video.shape != audio.shape or video.ndim != 2 or not len(video):
        raise ValueError(f"embeddings must both be [T, E], got {video.shape} and {audio.shape}")
    padded = np.pad(audio, ((reach, reach), (0, 0)))
    shifted = (padded[k : k + len(video)] for k in range(2 * reach + 1))
    return np.array([np.linalg.norm(video - other, axis=1).mean() for other in shifted])


def sync(video: np.ndarray, audio: np.ndarray, reach: int = REACH) -> Sync:
    """LSE-D, LSE-C and lag of one clip from embeddings `[t, e]` of picture and sound."""
    track = offset_distances(video, audio, reach)
    best = int(track.argmin())
    return Sync(float(track[best]), float(np.median(track) - track[best]), reach - best)
