"""The square around a face that the latent codec sees.

It is made as in the authors' preprocessing of portraits and user videos. The face's box (over a clip the mean of all
frames' boxes) gives a square around its centre with twice the box's larger side. This is cut to the picture, and the
result is the largest square around the centre of what is left. The square stays where it is for the whole clip, so that
the head moves in it.

The box is that of our face mesh (forehead to chin, cheek to cheek) in place of their detector's, which is drawn around
the same parts. The two differ by a few percent of the face, so crops do too.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from afjax.codec.face.track.models import to_image
from afjax.codec.face.track.tracker import FaceTracker
from afjax.errors import InputError

__all__ = ["Square", "box_of", "clip_square", "crop", "square_of"]

MIN_SIDE = 48


@dataclass(frozen=True)
class Square:
    """A square of pixels: those from `left`, `top` on, `side` in each direction."""

    left: int
    top: int
    side: int


def box_of(mesh: np.ndarray) -> np.ndarray:
    """Box `[4]` (left, top, right, bottom) of a face mesh `[468, 3]` in pixels."""
    return np.concatenate([mesh[:, :2].min(0), mesh[:, :2].max(0)])


def square_of(boxes: np.ndarray, height: int, width: int, margin: float = 1.0) -> Square:
    """The square around the mean of boxes `[n, 4]` in pictures of `height` x `width` pixels.

    Args:
      margin: what is added on each side, in halves of the box's larger side.

    Raises InputError where less than 48 pixels per side are left.
    """
    left, top, right, bottom = np.asarray(boxes, np.float64).mean(0)
    reach = int(max(right - left, bottom - top) / 2 * (1 + margin))
    x, y = (left + right) / 2, (top + bottom) / 2
    left, right = max(x - reach, 0), min(x + reach, width)
    top, bottom = max(y - reach, 0), min(y + reach, height)
    half = int(min(right - left, bottom - top) // 2)
    if 2 * half < MIN_SIDE:
        raise InputError(f"the face is too small ({2 * half} px with its surroundings)", do="use a closer picture")
    return Square(int((left + right) / 2) - half, int((top + bottom) / 2) - half, 2 * half)


def clip_square(frames: Iterable[np.ndarray], margin: float = 1.0) -> Square:
    """The square of a clip, by all of its frames uint8 `[h, w, 3]`; InputError where none shows a face."""
    tracker, boxes, size = FaceTracker(), [], (0, 0)
    for frame in frames:
        landmarks, size = tracker.step(frame), frame.shape[:2]
        if landmarks is not None:
            boxes.append(box_of(landmarks.mesh))
    if not boxes:
        do = "use a video that shows one face from the front"
        raise InputError(f"no face found in {tracker.frames} frames", do=do)
    return square_of(np.stack(boxes), *size, margin)


def crop(frame: np.ndarray, square: Square, size: int) -> np.ndarray:
    """The square of a frame uint8 `[h, w, 3]`, resampled to `[size, size, 3]`: by area down, bicubic up."""
    from PIL import Image

    picture = to_image(frame)
    edges = (square.left, square.top, square.left + square.side, square.top + square.side)
    method = Image.Resampling.BOX if square.side > size else Image.Resampling.BICUBIC
    return np.asarray(picture.resize((size, size), method, box=edges))
