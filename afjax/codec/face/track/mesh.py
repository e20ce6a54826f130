"""The face mesh and the eyes of one picture.

A crop around the face, upright and square, goes through the mesh network (468 points, Kartynnik et al. 2019); a crop
around each eye through the iris network (71 points of lids and brow, 5 of the iris, Ablavatski et al. 2020). The iris
network knows one side only: the eye at the image's right is mirrored on the way in and back on the way out, so that
the same index is the same anatomical point in both eyes (0 = outer corner, 8 = inner corner, 0..8 the lower lid,
9..15 the upper).

Pixels are counted with 0 at the centre of the first pixel.
"""

from dataclasses import dataclass, replace

import numpy as np

from afjax.codec.face.track.detector import Detection, FaceDetector
from afjax.codec.face.track.models import crop_image, load_model, to_image
from afjax.codec.face.track.template import load_template, mirror_table

__all__ = [
    "Crop",
    "FaceLandmarks",
    "FaceMesh",
    "MIN_CONFIDENCE",
    "crop_of_detection",
    "crop_of_mesh",
    "landmarks_near",
    "landmarks_of",
]

MIN_CONFIDENCE = 0.5
_FACE_MARGIN = 1.5
_EYE_MARGIN = 2.3
_SEARCH_SCALES = (0.9, 1.0, 1.1, 1.2, 1.3, 1.4)  # of the crop around the detected box
_SEARCH_SHIFTS = (-0.05, 0.0, 0.05, 0.1, 0.15)  # down, in sides of that crop
_EYE_CORNERS = ((33, 133), (263, 362))  # outer, inner


@dataclass(frozen=True)
class FaceLandmarks:
    """Landmarks of one face in one picture.

    Attributes:
      mesh: `[468, 3]` float32, x to the right and y down in pixels, z in the same unit, + away from the camera.
      eyes: `[2, 71, 3]` lid and brow contours in pixels; index 0 = the eye at the image's left.
      iris: `[2, 5, 2]` pixels, the centre first.
      confidence: probability in [0, 1] that the crop held a face, by the mesh network.
    """

    mesh: np.ndarray
    eyes: np.ndarray
    iris: np.ndarray
    confidence: float


@dataclass(frozen=True)
class Crop:
    """A rotated square: `centre` `[2]` and `side` in pixels, `angle` in radians, + = clockwise in the image."""

    centre: np.ndarray
    side: float
    angle: float

    def to_picture(self, points: np.ndarray, size: int) -> np.ndarray:
        """Points `[..., 3]` of the resampled crop in pixels of the picture; z is scaled with them."""
        scale = self.side / size
        x, y = (points[..., 0] - size / 2) * scale, (points[..., 1] - size / 2) * scale
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        placed = [self.centre[0] + cos * x - sin * y, self.centre[1] + sin * x + cos * y, points[..., 2] * scale]
        return np.stack(placed, -1).astype(np.float32)


def _angle(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.arctan2(right[1] - left[1], right[0] - left[0]))


def crop_of_detection(face: Detection) -> Crop:
    """The square for the mesh network around a detected face."""
    low, high = face.box[:2], face.box[2:]
    return Crop((low + high) / 2, _FACE_MARGIN * float((high - low).max()), _angle(*face.eyes))


def crop_of_mesh(mesh: np.ndarray) -> Crop:
    """The square for the next picture around the mesh `[468, 3]` of this one."""
    angle = _angle(mesh[33], mesh[263])
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    upright = mesh[:, :2] @ turn
    low, high = upright.min(0), upright.max(0)
    return Crop(turn @ ((low + high) / 2), _FACE_MARGIN * float((high - low).max()), angle)


class FaceMesh:
    """The mesh and iris networks. `mesh(picture, crop)` takes a PIL image.

    The mesh is the mean of the one read from the crop and the one read from its mirror image, which halves what the
    network's own asymmetry and noise add. `mirror` `[468]` is the index of each point's mirror image
    (`template.mirror_table`); without it the crop is read once.
    """

    def __init__(self, mirror: np.ndarray | None):
        self._face = load_model("face_landmark")
        self._iris = load_model("iris_landmark")
        self._mirror = mirror

    def __call__(self, picture, crop: Crop) -> FaceLandmarks:
        size = self._face.size
        image = crop_image(picture, crop.centre, crop.side, crop.angle, size)
        points, confidence = self._points(image)
        if self._mirror is not None:
            mirrored, _ = self._points(image[:, ::-1])
            points = (points + (mirrored * (-1, 1, 1) + (size, 0, 0))[self._mirror]) / 2
        mesh = crop.to_picture(points, size)
        contours, irises = zip(*(self._eye(picture, mesh, side) for side in (0, 1)), strict=True)
        return FaceLandmarks(mesh, np.stack(contours), np.stack(irises), confidence)

    def _points(self, image: np.ndarray) -> tuple[np.ndarray, float]:
        """Mesh `[468, 3]` in pixels of the crop, and its confidence."""
        outputs = self._face(image)
        confidence = 1 / (1 + float(np.exp(-np.clip(outputs[1][0], -80, 80))))
        return outputs[3 * 468].reshape(468, 3).copy(), confidence

    def _eye(self, picture, mesh: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
        outer, inner = (mesh[index, :2].astype(np.float64) for index in _EYE_CORNERS[side])
        left, right = (inner, outer) if side else (outer, inner)
        side_length = max(_EYE_MARGIN * float(np.linalg.norm(right - left)), 1.0)
        crop = Crop((left + right) / 2, side_length, _angle(left, right))
        size = self._iris.size
        image = crop_image(picture, crop.centre, crop.side, crop.angle, size)
        outputs = self._iris(image[:, ::-1] if side else image)
        contour, iris = outputs[3 * 71].reshape(71, 3).copy(), outputs[3 * 5].reshape(5, 3).copy()
        if side:
            contour[:, 0], iris[:, 0] = size - contour[:, 0], size - iris[:, 0]
        return crop.to_picture(contour, size), crop.to_picture(iris, size)[:, :2]


def landmarks_of(image: np.ndarray, face: Detection | None = None) -> FaceLandmarks | None:
    """Landmarks of a detected face, or of the largest, in a picture uint8 `[h, w, 3]` RGB; None where there is none.

    The crop around the detected box may fail: drawn and animal faces have other proportions than the networks expect.
    Then crops near it are tried, and the one that the mesh network trusts most is taken.
    """
    picture = to_image(image)
    face = face or FaceDetector()(picture)
    if face is None:
        return None
    mesh = FaceMesh(mirror_table(load_template()))
    start = crop_of_detection(face)
    found = landmarks_near(mesh, picture, start)
    if found is not None:
        return found
    moved = (
        Crop(start.centre + (0, shift * start.side), start.side * scale, start.angle)
        for scale in _SEARCH_SCALES
        for shift in _SEARCH_SHIFTS
    )
    candidates = [landmarks_near(mesh, picture, crop) for crop in moved]
    return max((each for each in candidates if each is not None), key=lambda each: each.confidence, default=None)


def landmarks_near(mesh: FaceMesh, picture, crop: Crop) -> FaceLandmarks | None:
    """Landmarks of a face that a detector saw in `crop` of a PIL image; None where the mesh network denies it.

    The mesh is run twice, the second time on the crop that tracking would use, so that a portrait and a frame of a
    video are measured alike. The confidence is the lower one of both.
    """
    first = mesh(picture, crop)
    if first.confidence < MIN_CONFIDENCE:
        return None
    second = mesh(picture, crop_of_mesh(first.mesh))
    if second.confidence < MIN_CONFIDENCE:
        return None
    return replace(second, confidence=min(first.confidence, second.confidence))
