"""Finds the faces of a picture with the packaged single-shot detectors.

The networks (BlazeFace, Bazarevsky et al. 2019) see the whole picture, fitted into a square, and give for each of 896
anchors a score and 8 points: box centre, box size, and 6 key points, all as offsets from the anchor in input pixels.
The anchors are the cell centres of two grids, 16 x 16 with 2 anchors per cell and 8 x 8 with 6. The short-range
network (128 px) is asked first, and the back-camera network (256 px) where the first finds nothing.
"""

from dataclasses import dataclass

import numpy as np

from afjax.codec.face.track.models import Model, load_model

__all__ = ["Detection", "FaceDetector", "suppress"]

MIN_SCORE = 0.5
MIN_OVERLAP = 0.3
NETWORKS = ("face_detection_short_range", "face_detection_back")


@dataclass(frozen=True)
class Detection:
    """One face: `box` (left, top, right, bottom), the `eyes` `[2, 2]` (image left, image right) in pixels, `score`."""

    box: np.ndarray
    eyes: np.ndarray
    score: float


def _anchors() -> np.ndarray:
    """Cell centres `[896, 2]` in units of the input's side."""
    grids = []
    for cells, repeats in ((16, 2), (8, 6)):
        y, x = np.meshgrid(*(np.arange(cells) + 0.5,) * 2, indexing="ij")
        grids.append(np.repeat(np.stack([x.ravel(), y.ravel()], -1) / cells, repeats, axis=0))
    return np.concatenate(grids).astype(np.float32)


def suppress(boxes: np.ndarray, scores: np.ndarray, overlap: float = MIN_OVERLAP) -> list[np.ndarray]:
    """Non-maximum suppression: groups of indices, each a face, the best-scored index of a group first.

    A box joins the best remaining box when their intersection over union exceeds `overlap`.

    Args:
      boxes: `[n, 4]` left, top, right, bottom.
      scores: `[n]`.
    """
    order = np.argsort(-scores, kind="stable")
    area = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    groups = []
    while order.size:
        best = order[0]
        low = np.maximum(boxes[order, :2], boxes[best, :2])
        high = np.minimum(boxes[order, 2:], boxes[best, 2:])
        common = np.prod(np.maximum(high - low, 0), axis=1)
        joined = common > overlap * np.maximum(area[order] + area[best] - common, 1e-9)
        joined[0] = True
        groups.append(order[joined])
        order = order[~joined]
    return groups


def _letterbox(picture, size: int) -> tuple[np.ndarray, float, np.ndarray]:
    """The whole picture in a square `[size, size, 3]`, and that square's side and centre in the picture.

    The borders repeat the picture's edge: black bars cost faces near them their score.
    """
    from PIL import Image

    side = max(picture.size)
    width, height = (max(1, round(edge * size / side)) for edge in picture.size)
    small = np.asarray(picture.resize((width, height), Image.Resampling.BOX), np.float32) / 255
    left, top = (size - width) // 2, (size - height) // 2
    image = np.pad(small, ((top, size - height - top), (left, size - width - left), (0, 0)), mode="edge")
    centre = (np.array([size / 2 - left, size / 2 - top]) * side / size) - 0.5
    return image, side, centre


class FaceDetector:
    """Both networks, each loaded when it is first needed."""

    def __init__(self):
        self._models: dict[str, Model] = {}
        self._anchors = _anchors()

    def _run(self, name: str, picture) -> list[Detection]:
        if name not in self._models:
            self._models[name] = load_model(name)
        model = self._models[name]
        image, side, centre = _letterbox(picture, model.size)
        outputs = model(image * 2 - 1)
        count = len(self._anchors)
        scores = 1 / (1 + np.exp(-np.clip(outputs[count], -80, 80)))
        keep = scores >= MIN_SCORE
        if not keep.any():
            return []
        scores = scores[keep]
        points = outputs[16 * count].reshape(count, 8, 2)[keep] / model.size
        size = points[:, 1].copy()
        points = (points + self._anchors[keep][:, None] - 0.5) * side + centre
        boxes = np.concatenate([points[:, 0] - size * side / 2, points[:, 0] + size * side / 2], axis=1)
        faces = []
        for group in suppress(boxes, scores):
            weight = scores[group] / scores[group].sum()
            box = weight @ boxes[group]
            eyes = np.tensordot(weight, points[group, 2:4], 1)
            faces.append(Detection(box, eyes, float(scores[group[0]])))
        return faces

    def faces(self, picture) -> list[Detection]:
        """The faces of a PIL image, by the first network that finds any."""
        found = (self._run(name, picture) for name in NETWORKS)
        return next((faces for faces in found if faces), [])

    def __call__(self, picture) -> Detection | None:
        """The largest face of a PIL image, or None."""
        return max(self.faces(picture), key=lambda face: np.prod(face.box[2:] - face.box[:2]), default=None)
