"""Figures that stand in for those of a famous network that is not there, under names of their own.

| in place of | figure | features |
|---|---|---|
| FID | `FD-thumbnail` | a frame at 8 x 8 pixels, 192 numbers in 0 .. 1: colours and where the head is, no detail |
| FVD | `FD-thumbnail-motion` | 16 frames at 8 x 8 pixels in grey: their mean and their mean change per frame, 128 |
| CSIM | `CSIM-dlib` | dlib's descriptor (`dlib_face`), whose weights come in a package |
| LSE-D, LSE-C | `sync-distance-opening`, `sync-confidence-opening` | five frames of mouth opening and of loudness |

They say whether something is badly wrong, and which of two systems is nearer in this plain sense. They do not compare
with anything in a paper.
"""

import numpy as np

from afjax.metrics.pretrained.pictures import SYNC_FRAMES

STAND_INS = {
    "FID": ("FD-thumbnail",),
    "FVD": ("FD-thumbnail-motion",),
    "CSIM": ("CSIM-dlib",),
    "LSE-D": ("sync-distance-opening", "sync-lag-opening"),
    "LSE-C": ("sync-confidence-opening",),
}
"""Names of the figures in place of a famous one."""
SIDE = 8
CLIP = 16
"""Frames of a clip of FVD."""
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def thumbnails(pictures: np.ndarray) -> np.ndarray:
    """Pictures uint8 `[n, h, w, 3]` -> `[n, 192]`, means over the cells of an 8 x 8 grid."""
    found = np.asarray(pictures, np.float32) / 255.0
    for axis in (1, 2):
        edges = np.linspace(0, found.shape[axis], SIDE + 1).astype(int)
        cells = np.add.reduceat(found, edges[:-1], axis=axis)
        found = cells / np.diff(edges).reshape([-1 if k == axis else 1 for k in range(4)]).astype(np.float32)
    return found.reshape(len(found), -1)


def thumbnail_motion(thumbs: np.ndarray) -> np.ndarray:
    """Thumbnails `[t, 192]` -> a row `[t // 16, 128]` for each 16 frames."""
    count = len(thumbs) // CLIP
    grey = thumbs[: count * CLIP].reshape(count, CLIP, SIDE * SIDE, 3) @ _GREY
    return np.concatenate([grey.mean(axis=1), np.abs(np.diff(grey, axis=1)).mean(axis=1)], axis=1)


def sync_windows(track: np.ndarray) -> np.ndarray:
    """A track `[t]` of mouth opening or loudness -> `[t - 5, 5]`, standardised over the clip; 0 where it stands still.

    Rows are those of `pictures.syncnet_lips_input`, so that `syncnet.sync` takes them as embeddings.
    """
    track = np.asarray(track, np.float64)
    deviation = track.std()
    track = (track - track.mean()) / deviation if deviation > 1e-9 else np.zeros_like(track)
    return np.lib.stride_tricks.sliding_window_view(track[:-1], SYNC_FRAMES)
