"""dlib's face descriptor: an embedding whose weights come in a package, for `CSIM-dlib` (`metrics.long.identity`).

A residual network of 29 layers gives 128 numbers of a face that was turned upright by five points (King 2017). The face
mesh finds the face, dlib's predictor the five points. It is not ArcFace, and its cosines lie close together: those of
different people are often above 0.9. Read a cosine beside those of other people.
"""

import importlib.util
from pathlib import Path

import numpy as np

from afjax.codec.face.track.mesh import landmarks_of
from afjax.codec.face.track.models import to_image
from afjax.errors import InputError

__all__ = ["DlibFace"]

SIDE = 256
"""Smaller pictures are magnified to this side: the five points are found in faces of some 100 px or more."""
_INSTALL = "pip install -r requirements-metrics.txt"


class DlibFace:
    """Embeds the largest face of a picture. Raises InputError without the packages."""

    name = "dlib"

    def __init__(self):
        try:
            import dlib
        except ImportError:
            raise InputError("the package dlib-bin is missing", "identity", _INSTALL) from None
        found = importlib.util.find_spec("face_recognition_models")
        if found is None:
            raise InputError("the package face-recognition-models is missing", "identity", _INSTALL)
        folder = Path(next(iter(found.submodule_search_locations)), "models")
        self._rectangle = dlib.rectangle
        self._points = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
        self._network = dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat"))

    def __call__(self, picture: np.ndarray) -> np.ndarray | None:
        """Embedding `[128]` of a picture uint8 `[h, w, 3]` RGB; None where no face is found."""
        from PIL import Image

        image = to_image(picture)
        scale = max(SIDE / min(image.size), 1.0)
        size = [round(scale * side) for side in image.size]
        large = np.asarray(image.resize(size, Image.Resampling.BICUBIC)) if scale > 1 else picture
        landmarks = landmarks_of(large)
        if landmarks is None:
            return None
        points = landmarks.mesh[:, :2]
        box = self._rectangle(*(int(edge) for edge in (*points.min(0), *points.max(0))))
        return np.array(self._network.compute_face_descriptor(np.ascontiguousarray(large), self._points(large, box)))
