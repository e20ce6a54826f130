"""Portraits from picture files."""

import io
import struct
from pathlib import Path

import numpy as np

from afjax.errors import InputError
from afjax.media.container import check_file, optional

__all__ = ["portrait_of", "read_portrait"]

MIN_SIDE = 64
MAX_SIDE = 12_000
MAX_BYTES = 128 << 20
FORMATS = ("JPEG", "PNG", "WEBP", "BMP")


def read_portrait(path: str | Path, max_side: int = 2048) -> np.ndarray:
    """A picture as uint8 `[H, W, 3]` RGB: upright by its EXIF tag, over white where transparent,
    in sRGB where it brings a colour profile.

    Of several frames the first is taken. Larger pictures are scaled down to `max_side`. The size
    is checked in the header, before any pixel is decoded.
    InputError: not a JPEG, PNG, WebP or BMP file, damaged, a side below 64 or above 12,000 px.
    """
    path = check_file(path, MAX_BYTES)
    return _read(path, path, max_side, FORMATS, MAX_SIDE**2)


def portrait_of(data: bytes, where: str = "the portrait", max_side: int = 2048, pixels: int = 16_000_000) -> np.ndarray:
    """As `read_portrait`, of the bytes of a JPEG, PNG or WebP picture with at most so many pixels."""
    return _read(io.BytesIO(data), where, max_side, FORMATS[:3], pixels)


def _read(source: Path | io.BytesIO, path: object, max_side: int, formats: tuple[str, ...], pixels: int) -> np.ndarray:
    Image = optional("PIL.Image", "pillow")
    ImageOps = optional("PIL.ImageOps", "pillow")
    damaged = (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, Image.DecompressionBombError)
    try:
        with Image.open(source, formats=formats) as picture:
            _check_size(picture.size, path)
            if picture.width * picture.height > pixels:
                raise InputError(f"over {pixels / 1e6:.0f} megapixels", path, "scale the picture down")
            picture.draft("RGB", (max_side, max_side))  # JPEG decodes at a fraction of its size where that is enough
            picture.load()
            upright = _rgb(ImageOps.exif_transpose(picture), Image)
    except InputError:
        raise
    except Image.UnidentifiedImageError:
        names = f"{', '.join(formats[:-1])} or {formats[-1]}".replace("WEBP", "WebP")
        raise InputError(f"not a {names} picture", path) from None
    except Image.DecompressionBombError:
        raise InputError(f"sides over {MAX_SIDE} px", path, "scale the picture down") from None
    except damaged as error:
        raise InputError(f"the picture is damaged ({error})", path) from None
    upright.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    _check_size(upright.size, path)
    return np.array(upright)


def _check_size(size: tuple[int, int], path: object):
    if min(size) < MIN_SIDE:
        raise InputError(f"{size[0]} x {size[1]} px is too small for a portrait", path, f"at least {MIN_SIDE} px")
    if max(size) > MAX_SIDE:
        raise InputError(f"{size[0]} x {size[1]} px is too large", path, f"at most {MAX_SIDE} px")


def _rgb(picture, Image):
    """RGB over white, in sRGB where the picture says what its colours are."""
    profile = picture.info.get("icc_profile")
    if profile and picture.mode in ("RGB", "CMYK"):
        from PIL import ImageCms

        try:
            source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(picture, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a profile that can't be read or is of another kind of picture tells nothing
    if picture.mode.startswith("I;16"):  # 16-bit grey: Pillow would clip it instead of scaling
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if "A" in picture.mode or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")
