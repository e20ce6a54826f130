"""Follows one face through a video.

The detector runs only where no face is being followed: at the start, after a loss and after a cut. In between the crop
for the mesh network comes from the landmarks of the frame before. When several faces are in view the largest one is
taken, and kept until it is lost. A face counts as lost where the mesh network's confidence falls below 0.5 and the
detector, asked on the same frame, finds none either. A cut is a frame that differs strongly from the one before as a
whole, or a face that jumps or changes size between two frames by more than heads can move.
"""

import numpy as np

from afjax.codec.face.track.detector import FaceDetector
from afjax.codec.face.track.mesh import (
    MIN_CONFIDENCE,
    Crop,
    FaceLandmarks,
    FaceMesh,
    crop_of_detection,
    crop_of_mesh,
    landmarks_near,
)
from afjax.codec.face.track.models import to_image
from afjax.codec.face.track.template import load_template, mirror_table

__all__ = ["FaceTracker"]

_THUMBNAIL = 24
_CUT_DIFFERENCE = 40.0  # mean absolute difference of thumbnails, of 255
_JUMP = 0.35  # movement of the crop's centre in one frame, in sides of the crop
_GROWTH = 1.35  # ratio of the crop's sides between two frames


class FaceTracker:
    """`step` follows the face into the next frame.

    `detections` and `frames` count what happened so far; `cuts` are the numbers of the frames after a cut.
    """

    def __init__(self):
        self._detector = FaceDetector()
        self._mesh = FaceMesh(mirror_table(load_template()))
        self._last: FaceLandmarks | None = None
        self._thumbnail: np.ndarray | None = None
        self.detections = 0
        self.frames = 0
        self.cuts: list[int] = []

    def step(self, frame: np.ndarray) -> FaceLandmarks | None:
        """Landmarks in the next frame, uint8 `[h, w, 3]` RGB, or None where no face is found."""
        picture = to_image(frame)
        before, same_shot = self._last, self._same_shot(picture)
        followed = self._follow(picture, before) if before is not None and same_shot else None
        self._last = followed or self._find(picture)
        if before is not None and followed is None and self._last is not None:
            self.cuts.append(self.frames)
        self.frames += 1
        return self._last

    def _follow(self, picture, before: FaceLandmarks) -> FaceLandmarks | None:
        crop = crop_of_mesh(before.mesh)
        found = self._mesh(picture, crop)
        kept = found.confidence >= MIN_CONFIDENCE and not _jumped(crop, crop_of_mesh(found.mesh))
        return found if kept else None

    def _find(self, picture) -> FaceLandmarks | None:
        self.detections += 1
        face = self._detector(picture)
        return None if face is None else landmarks_near(self._mesh, picture, crop_of_detection(face))

    def _same_shot(self, picture) -> bool:
        """Whether this frame as a whole looks like the one before."""
        last = self._thumbnail
        self._thumbnail = np.asarray(picture.resize((_THUMBNAIL, _THUMBNAIL), 0), np.float32)
        return last is None or float(np.abs(self._thumbnail - last).mean()) <= _CUT_DIFFERENCE


def _jumped(before: Crop, after: Crop) -> bool:
    """Whether a face moved or grew by more between two frames than a head can."""
    growth = after.side / max(before.side, 1e-6)
    moved = float(np.linalg.norm(after.centre - before.centre))
    return moved > _JUMP * before.side or not 1 / _GROWTH < growth < _GROWTH
