"""A decoded video frame as a picture: upright, square pixels, whole lines, in sRGB.

**Display matrix.** A point (x, y) of the coded picture is shown at (a x + c y, b x + d y): quarter turns, mirrored or
not. Cameras write one to say how they were held, and selfie cameras to say that they show a mirror's picture.

**Lines.** Interlaced frames hold two moments, in even and odd lines. The even lines are kept and those between them are
their means. A moving mouth then has no comb; the height has half its resolution.

**HDR.** Code values become light by their curve (PQ or HLG: SMPTE ST 2084, ARIB STD-B67, as in ITU-R BT.2100), with
203 cd/m2 as 1 (white, ITU-R BT.2408). Bright light is bent below 1: with m the largest of red, green and blue,

    m <= k    as it is            m > k    k + (1 - k) x / (1 + x)    x = (m - k) / (1 - k)        k = 0.7

BT.2020's primaries are turned into BT.709's, and light becomes sRGB code values.
"""

from functools import lru_cache

import numpy as np

__all__ = ["picture"]

_PQ, _HLG = 16, 18
_WHITE = 203.0
_HLG_PEAK = 1000.0
_KNEE = 0.7
_TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)


def picture(frame, aspect: float, max_side: int) -> np.ndarray:
    """A PyAV frame as uint8 `[h, w, 3]` RGB; `aspect`: width of a coded pixel by its height; `max_side` 0: any."""
    width, height = frame.width * aspect, float(frame.height)
    scale = min(1.0, max_side / max(width, height)) if max_side else 1.0
    size = {"width": max(1, round(width * scale)), "height": max(1, round(height * scale))}
    if frame.color_trc in (_PQ, _HLG):
        image = _in_srgb(frame.to_ndarray(format="rgb48le", **size), frame.color_trc)
    elif frame.interlaced_frame:
        lines = frame.to_ndarray(format="rgb24", width=size["width"], height=frame.height)
        image = _resized(_one_field(lines), size["height"])
    else:
        image = frame.to_ndarray(format="rgb24", **size)
    return np.ascontiguousarray(_shown(image, _matrix(frame)))


def _matrix(frame) -> tuple[int, int, int, int]:
    """a, b, c, d of the display matrix as signs and zeros: the nearest quarter turn, mirrored or not."""
    found = [bytes(data) for data in frame.side_data if data.type.name == "DISPLAYMATRIX"]
    if not found:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(found[0], "<i4")[:5].astype(float)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
    return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0


def _shown(image: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    a, b, c, d = matrix
    if not a:
        image = image.swapaxes(0, 1)
    return image[:: b or d, :: a or c]


def _one_field(image: np.ndarray) -> np.ndarray:
    even = image[::2]
    below = np.concatenate([even[1:], even[-1:]])
    whole = np.repeat(even, 2, axis=0)[: len(image)]
    whole[1::2] = ((even.astype(np.uint16) + below + 1) // 2)[: len(image) // 2]
    return whole


def _resized(image: np.ndarray, height: int) -> np.ndarray:
    """A picture at `height` rows, each a mean of neighbouring rows."""
    if height == len(image):
        return image
    at = np.clip((np.arange(height) + 0.5) * len(image) / height - 0.5, 0, len(image) - 1)
    first = np.minimum(at.astype(int), len(image) - 2)
    share = (at - first).astype(np.float32)[:, None, None]
    return np.round(image[first] * (1 - share) + image[first + 1] * share).astype(np.uint8)


@lru_cache(maxsize=2)
def _light(curve: int) -> np.ndarray:
    """Light of every 16-bit code value, 1 = white; for HLG the light of the scene, before its system gamma."""
    code = np.arange(1 << 16) / 65535.0
    if curve == _PQ:
        m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
        root = code ** (1 / m2)
        light = 10_000 / _WHITE * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    return light.astype(np.float32)


@lru_cache(maxsize=1)
def _srgb() -> np.ndarray:
    """sRGB code values uint8 of light in steps of 1/4095."""
    light = np.arange(4096) / 4095.0
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * code).astype(np.uint8)


def _in_srgb(image: np.ndarray, curve: int) -> np.ndarray:
    """Code values uint16 `[h, w, 3]` in BT.2020 with a curve -> uint8 in sRGB."""
    light = _light(curve)[image]
    if curve == _HLG:
        luminance = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        light *= (_HLG_PEAK / _WHITE * np.maximum(luminance, 1e-6) ** 0.2)[..., None]
    light = np.maximum(light @ _TO_709.T, 0)
    most = light.max(axis=-1, keepdims=True)
    above = np.maximum(most - _KNEE, 0) / (1 - _KNEE)
    bent = np.minimum(most, _KNEE) + (1 - _KNEE) * above / (1 + above)
    light *= bent / np.maximum(most, 1e-6)
    return _srgb()[np.round(4095 * np.minimum(light, 1)).astype(np.int32)]
