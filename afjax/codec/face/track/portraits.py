"""The face of a portrait: one of several, turned upright.

The detector scores a face best when it stands upright, so a picture is tried in its four turns by 90 degrees and kept
as it is unless another turn scores clearly higher. It sees a picture as a square of some hundred pixels, in which the
faces of a wide group are too small: such a picture is looked at in squares as well. An `InputWarning` says what was
decided for the user (turned, one face of several).
"""

import warnings
from typing import NamedTuple

import numpy as np

from afjax.codec.face.track.detector import Detection, FaceDetector, suppress
from afjax.codec.face.track.mesh import FaceLandmarks, landmarks_of
from afjax.codec.face.track.models import to_image
from afjax.errors import InputError, InputWarning

__all__ = ["PortraitFace", "portrait_face"]

_SURE = 0.75  # least score of a face that only a part of a picture shows
_WIDE = 1.5  # ratio of a picture's sides from which it is looked at in parts
_CLEARLY = 0.05  # by how much another turn must score better
_TURNS = ("", "a quarter turn counter-clockwise", "half a turn", "a quarter turn clockwise")


class PortraitFace(NamedTuple):
    """An upright picture uint8 `[h, w, 3]` and the landmarks of its face."""

    image: np.ndarray
    landmarks: FaceLandmarks


def portrait_face(image: np.ndarray, face: int = 0) -> PortraitFace:
    """The face of a picture uint8 `[h, w, 3]` RGB.

    Args:
      face: which one, counted from the left from 1 on; 0 takes the largest.

    Raises InputError where there is no such face.
    """
    image, faces = _upright(image, FaceDetector())
    if not faces:
        raise InputError("no face found in the portrait", do="use a picture of one face seen from the front")
    if face > len(faces):
        shown = "one face" if len(faces) == 1 else f"{len(faces)} faces"
        raise InputError(f"there is no face {face}: {shown} found", do=f"--face is 1 to {len(faces)}")
    largest = max(range(len(faces)), key=lambda n: _area(faces[n]))
    chosen = face - 1 if face else largest
    if len(faces) > 1 and not face:
        warnings.warn(
            f"the portrait shows {len(faces)} faces: the largest is used, number {chosen + 1} from the left "
            "(--face chooses another)",
            InputWarning,
            stacklevel=3,
        )
    landmarks = landmarks_of(image, faces[chosen])
    if landmarks is None:
        raise InputError("no face found in the portrait", do="use a picture of one face seen from the front")
    return PortraitFace(image, landmarks)


def _upright(image: np.ndarray, detector: FaceDetector) -> tuple[np.ndarray, list[Detection]]:
    """The picture in the turn in which its faces score best, and these faces from left to right."""
    turned = [np.ascontiguousarray(np.rot90(image, turn)) for turn in range(4)]
    found = [detector.faces(to_image(picture)) for picture in turned]
    scores = [max((face.score for face in faces), default=0.0) for faces in found]
    best = int(np.argmax(scores))
    best = best if scores[best] > scores[0] + _CLEARLY else 0
    if best:
        warnings.warn(f"the portrait lies on its side or head: turned by {_TURNS[best]}", InputWarning, stacklevel=4)
    faces = found[best] + _in_parts(turned[best], detector)
    if len(faces) > len(found[best]):
        # a face seen twice is taken from the whole picture
        rank = np.array([face.score + (n < len(found[best])) for n, face in enumerate(faces)])
        faces = [faces[group[0]] for group in suppress(np.array([face.box for face in faces]), rank)]
    return turned[best], sorted(faces, key=lambda face: face.box[0])


def _in_parts(image: np.ndarray, detector: FaceDetector) -> list[Detection]:
    """Faces in squares along a long picture `[h, w, 3]` that overlap by half, without faces that an edge cuts."""
    side, length = sorted(image.shape[:2])
    if length < _WIDE * side:
        return []
    faces, along = [], np.array([1, 0]) if image.shape[1] == length else np.array([0, 1])
    for start in np.unique(np.linspace(0, length - side, -(-2 * (length - side) // side) + 1).astype(int)):
        left, top = start * along
        for face in detector.faces(to_image(np.ascontiguousarray(image[top : top + side, left : left + side]))):
            begins, ends = face.box[:2] @ along, face.box[2:] @ along
            if face.score >= _SURE and (begins > 0 or start == 0) and (ends < side or start == length - side):
                corner = start * along
                faces.append(Detection(face.box + np.tile(corner, 2), face.eyes + corner, face.score))
    return faces


def _area(face: Detection) -> float:
    return float(np.prod(face.box[2:] - face.box[:2]))
