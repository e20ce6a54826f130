"""Frames pasted back into the photograph that the avatar was cut from.

A frame is the square `box` of the photograph, resampled. It is pasted where the person is, with some room for what a
moved head uncovers, and fades out towards the square's sides unless the photograph ends there:

    result = (1 - m) photograph + m frame        m = person, widened and blurred, times the fade

A frame at rest is the photograph itself, at the frame's resolution, so that no seam shows. Where m is 0 every pixel of
the photograph is kept.
"""

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter

from afjax.codec.face.render.portrait import Identity

__all__ = ["Paste"]

_AROUND = 1 / 12  # of the square's side: how far a head moves
_FADE = 1 / 16  # of the square's side


class Paste:
    """`frames` of an identity inside its whole photograph, uint8 `[h, w, 3]` upright."""

    def __init__(self, photograph: np.ndarray, identity: Identity):
        height, width = photograph.shape[:2]
        left, top, side = (float(value) for value in identity.box)
        self._photograph = photograph
        self._columns, across = _cells(left, side, width, len(identity.plate))
        self._rows, down = _cells(top, side, height, len(identity.plate))
        self._down, self._across = down, across
        fade = np.minimum(_fade(top, side, height, self._rows)[:, None], _fade(left, side, width, self._columns)[None])
        self._mask = (self._resampled(_person(identity)[..., None])[..., 0] * fade)[..., None]
        self._kept = photograph[self._rows, self._columns] * (1 - self._mask)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the results."""
        return self._photograph.shape[:2]

    def frames(self, pictures: np.ndarray) -> np.ndarray:
        """Frames uint8 `[t, size, size, 3]` -> uint8 `[t, h, w, 3]`."""
        result = np.repeat(self._photograph[None], len(pictures), axis=0)
        for whole, picture in zip(result, pictures, strict=True):
            moved = self._kept + self._mask * self._resampled(picture.astype(np.float32))
            whole[self._rows, self._columns] = np.clip(np.round(moved), 0, 255)
        return result

    def _resampled(self, picture: np.ndarray) -> np.ndarray:
        """A square `[size, size, c]` at the photograph's pixels."""
        half = np.tensordot(self._down, picture, (1, 0))
        return np.einsum("cw,rwk->rck", self._across, half, optimize=True)


def _cells(start: float, side: float, length: int, size: int) -> tuple[slice, np.ndarray]:
    """The photograph's pixels that a square covers, and linear weights `[pixels, size]` of its own pixels in them."""
    first, end = max(0, int(np.ceil(start - 0.5))), min(length, int(np.floor(start + side + 0.5)))
    at = np.clip((np.arange(first, end) + 0.5 - start) * size / side - 0.5, 0, size - 1)
    low = np.minimum(at.astype(int), size - 2)
    weights = np.zeros((end - first, size), np.float32)
    weights[np.arange(end - first), low] = 1 - (at - low)
    weights[np.arange(end - first), low + 1] += at - low
    return slice(first, end), weights


def _fade(start: float, side: float, length: int, pixels: slice) -> np.ndarray:
    """0 at the ends of a square that lie inside the photograph, 1 further in."""
    at = np.arange(pixels.start, pixels.stop) + 0.5
    before = (at - start) / (_FADE * side) if start > 0.5 else np.inf
    after = (start + side - at) / (_FADE * side) if start + side < length - 0.5 else np.inf
    share = np.clip(np.minimum(before, after) * np.ones(len(at)), 0, 1)
    return (share**2 * (3 - 2 * share)).astype(np.float32)


def _person(identity: Identity) -> np.ndarray:
    """Where the person may come to be `[size, size]`, from 0 to 1."""
    size = len(identity.plate)
    matte = np.asarray(identity.texture)[..., 3].reshape(size, 2, size, 2).mean((1, 3))
    around = max(1, round(_AROUND * size))
    return gaussian_filter(maximum_filter(matte, 2 * around + 1), around / 2).astype(np.float32)
