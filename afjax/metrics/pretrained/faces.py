"""Places in a picture of a face that networks need: points for ArcFace, squares for SyncNet, the mouth's opening.

SyncNet's own preparation follows the face's box through a clip, takes the running median of 13 frames of its middle and
of half its larger side s, and cuts a square of side 2.8 s that begins 1 s above the middle and ends 1.8 s below it,
with grey where the picture ends (the released pipeline of Chung and Zisserman 2016). The box is that of our face mesh,
not of their detector, so LSE of a video differs a little from that of other preparations.
"""

import numpy as np
from scipy.ndimage import median_filter

from afjax.codec.face.track.mesh import FaceLandmarks
from afjax.codec.latent.crop import box_of
from afjax.metrics.pretrained.pictures import resize

MARGIN = 0.4
MEDIAN = 13
GREY = 110
SYNC_SIDE = 224
_NOSE, _MOUTH, _LIPS, _EYES = 1, (61, 291), (13, 14), (33, 263)


def five_points(landmarks: FaceLandmarks) -> np.ndarray:
    """Pupils, nose tip and corners of the mouth `[5, 2]`, image's left first, as `pictures.align` takes them."""
    return np.stack([*landmarks.iris[:, 0], landmarks.mesh[_NOSE, :2], *landmarks.mesh[list(_MOUTH), :2]])


def opening(landmarks: FaceLandmarks) -> float:
    """Distance of the inner lips, in units of the distance of the outer corners of the eyes."""
    apart = landmarks.mesh[list(_LIPS), :2], landmarks.mesh[list(_EYES), :2]
    lips, eyes = (float(np.linalg.norm(first - second)) for first, second in apart)
    return lips / max(eyes, 1e-6)


def box(landmarks: FaceLandmarks) -> np.ndarray:
    """Box `[4]` (left, top, right, bottom) of a face in pixels."""
    return box_of(landmarks.mesh)


def bridged(rows: np.ndarray) -> np.ndarray:
    """Rows `[t, k]` whose NaN rows are interpolated between their neighbours, and held at the ends."""
    known = np.flatnonzero(np.isfinite(rows).all(axis=1))
    if not len(known):
        raise ValueError("no row is known")
    return np.stack([np.interp(np.arange(len(rows)), known, column[known]) for column in rows.T], axis=1)


def sync_squares(boxes: np.ndarray) -> np.ndarray:
    """SyncNet's squares of a clip: boxes `[t, 4]` -> left, top and side `[t, 3]` in pixels."""
    boxes = np.asarray(boxes, np.float64)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    smooth = median_filter(np.concatenate([middle, half], axis=1), size=(MEDIAN, 1), mode="nearest")
    x, y, half = smooth.T
    return np.stack([x - half * (1 + MARGIN), y - half, 2 * half * (1 + MARGIN)], axis=1)


def sync_crop(picture: np.ndarray, square: np.ndarray) -> np.ndarray:
    """A square (left, top, side) of a picture uint8 `[h, w, 3]` -> `[224, 224, 3]`, grey beyond the picture's edges."""
    left, top = (int(round(float(edge))) for edge in square[:2])
    side = max(int(round(float(square[2]))), 8)
    height, width = picture.shape[:2]
    cut = np.full((side, side, 3), GREY, np.uint8)
    rows, columns = slice(max(top, 0), min(top + side, height)), slice(max(left, 0), min(left + side, width))
    if rows.stop > rows.start and columns.stop > columns.start:
        place = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
        cut[place] = picture[rows, columns]
    return np.rint(resize(cut, SYNC_SIDE)).astype(np.uint8)
