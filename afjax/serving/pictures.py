"""Pictures of strangers, measured before they are decoded, and pictures for the page, by Pillow.

All functions take milliseconds: they belong into threads, never on an event loop.
"""

import io

import numpy as np

from afjax.codec.base import Codec
from afjax.codec.face.codec import FaceCodec
from afjax.errors import InputError
from afjax.media.container import optional
from afjax.media.image import portrait_of
from afjax.serving.protocol import ProtocolError

__all__ = ["PART", "Screen", "camera", "decode_camera", "decode_portrait", "encode"]

CAMERA = (1280, 720)
"""Most pixels of the longer and the shorter side of a camera's picture."""
SIDE = 640
"""Pixels of a raw picture's longer side above which it is made smaller, as pages do."""
QUALITY = 80
PART = 4
"""Frames that are rendered at once after the first: few, so that a frame does not wait long for those after it."""


def decode_camera(data: bytes) -> np.ndarray:
    """uint8 `[h, w, 3]` RGB of a JPEG; ProtocolError for everything else and for more than 1280 x 720 px."""
    Image = optional("PIL.Image", "pillow")
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
            long, short = max(picture.size), min(picture.size)
            if long > CAMERA[0] or short > CAMERA[1]:
                raise ProtocolError("picture", f"camera: {long} x {short} px are over 1280 x 720; send 640 px a side")
            picture.draft("RGB", picture.size)
            return np.array(picture.convert("RGB"))
    except ProtocolError:
        raise
    except Exception:  # decoders raise what they like
        raise ProtocolError("picture", "camera: this is no JPEG, or it is damaged") from None


def camera(picture: np.ndarray) -> np.ndarray:
    """A raw picture uint8 `[h, w, 3]` RGB made smaller for trackers: means of whole blocks of pixels, down to SIDE.

    Raises ProtocolError for any other array.
    """
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ProtocolError("picture", "camera: a raw picture is uint8 [H, W, 3] RGB")
    if not picture.size:
        raise ProtocolError("picture", "camera: the picture is empty")
    by = -(-max(picture.shape[:2]) // SIDE)
    if by == 1:
        return picture
    return np.asarray(optional("PIL.Image", "pillow").fromarray(picture).reduce(by))


def decode_portrait(data: bytes) -> np.ndarray:
    """uint8 `[h, w, 3]` RGB, upright, of a JPEG, PNG or WebP of at most 16 megapixels; else ProtocolError."""
    try:
        return portrait_of(data)
    except InputError as error:
        raise ProtocolError("portrait", str(error)) from None
    except Exception:
        raise ProtocolError("portrait", "the portrait: it can't be decoded") from None


def encode(picture: np.ndarray, form: str = "JPEG") -> bytes:
    """A picture uint8 `[h, w, 3]` as JPEG, or as PNG."""
    Image = optional("PIL.Image", "pillow")
    out = io.BytesIO()
    Image.fromarray(picture).save(out, form, **({"quality": QUALITY} if form == "JPEG" else {}))
    return out.getvalue()


class Screen:
    """Renders motion part by part, so that the first picture does not wait for the others."""

    def __init__(self, codec: Codec):
        self._codec = codec

    def parts(self, frames: int) -> list[tuple[int, int]]:
        """(first, count) of the parts of `frames` frames: one frame, then PART at once."""
        return [(0, 1), *((n, min(PART, frames - n)) for n in range(1, frames, PART))] if frames else []

    def show(self, identity, motion: np.ndarray) -> np.ndarray:
        """Pictures uint8 `[n, size, size, 3]` of a part's motion; compiled once for one frame and once for PART."""
        if not isinstance(self._codec, FaceCodec):
            return self._codec.render(identity, motion)
        from afjax.codec.face.render.renderer import render_frames

        size = 1 if len(motion) == 1 else PART
        padded = np.pad(motion, [(0, size - len(motion)), (0, 0)], mode="edge")
        return np.rint(np.asarray(render_frames(identity, padded))[: len(motion)]).astype(np.uint8)
