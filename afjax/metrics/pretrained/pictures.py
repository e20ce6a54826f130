"""Pictures as the networks of `metrics.pretrained.networks` take them; uint8 RGB in, float32 channels first out."""

import numpy as np
from scipy.ndimage import map_coordinates

from afjax.errors import InputError

ARCFACE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Places (x, y) of eyes, nose tip and mouth corners in an aligned face of 112 x 112 px, image's left first."""

SYNC_FRAMES = 5


def align(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Turns, scales and moves a face `[h, w, 3]` onto ARCFACE_POINTS -> `[112, 112, 3]` uint8.

    Args:
      picture: uint8 RGB.
      points: `[5, 2]`, x and y in pixels of the same five places. The similarity is the least-squares one.

    Raises:
      InputError: the points lie on one spot.
    """
    source = np.asarray(points, np.float64) @ [1.0, 1.0j]
    target = ARCFACE_POINTS @ [1.0, 1.0j]
    from_centre = target - target.mean()
    turn = np.vdot(from_centre, source - source.mean()) / np.vdot(from_centre, from_centre)
    if abs(turn) < 1e-6:
        raise InputError("the five points of the face lie on one spot")
    y, x = np.mgrid[:112, :112]
    place = turn * (x + 1j * y - target.mean()) + source.mean()
    channels = [
        map_coordinates(picture[..., c].astype(np.float32), [place.imag, place.real], order=1, mode="constant")
        for c in range(3)
    ]
    return np.clip(np.rint(np.stack(channels, axis=-1)), 0, 255).astype(np.uint8)


def resize(pictures: np.ndarray, size: int) -> np.ndarray:
    """Bilinear, half-pixel centres, without smoothing before: `[..., h, w, 3]` -> float32 `[..., size, size, 3]`."""
    out = np.asarray(pictures, np.float32)
    for axis in (-3, -2):
        length = out.shape[axis]
        place = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0.0, length - 1.0)
        low = np.floor(place).astype(int)
        part = (place - low).astype(np.float32).reshape(-1, *[1] * (-axis - 1))
        high = np.minimum(low + 1, length - 1)
        out = out.take(low, axis) * (1.0 - part) + out.take(high, axis) * part
    return out


def arcface_input(faces: np.ndarray) -> np.ndarray:
    """Aligned faces `[n, 112, 112, 3]` (see `align`) -> `[n, 3, 112, 112]` in -1 .. 1."""
    if faces.shape[1:] != (112, 112, 3):
        raise ValueError(f"faces must be aligned, [N, 112, 112, 3], got {faces.shape}")
    return np.moveaxis((faces.astype(np.float32) - 127.5) / 127.5, -1, 1)


def inception_input(pictures: np.ndarray) -> np.ndarray:
    """`[n, h, w, 3]` -> `[n, 3, 299, 299]` in -1 .. 1, as pytorch-fid makes them."""
    return np.moveaxis(resize(pictures, 299) / 127.5 - 1.0, -1, 1)


def i3d_input(clips: np.ndarray) -> np.ndarray:
    """`[n, t, h, w, 3]` -> `[n, 3, t, 224, 224]` in -1 .. 1."""
    return np.moveaxis(resize(clips, 224) / 127.5 - 1.0, -1, 1)


def syncnet_lips_input(faces: np.ndarray) -> np.ndarray:
    """Face crops at 25 fps `[t, 224, 224, 3]` -> `[t - 5, 3, 5, 224, 224]`, BGR in 0 .. 255.

    Entry t starts at frame t. There are as many as `mfcc.syncnet_sound_input` gives.
    """
    if faces.shape[1:] != (224, 224, 3) or len(faces) <= SYNC_FRAMES:
        raise ValueError(f"faces must be [T, 224, 224, 3] with T above {SYNC_FRAMES}, got {faces.shape}")
    windows = np.lib.stride_tricks.sliding_window_view(faces[:-1, ..., ::-1], SYNC_FRAMES, axis=0)
    return np.moveaxis(windows, (-2, -1), (1, 2)).astype(np.float32)
