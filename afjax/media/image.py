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
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "HEIF")


def read_portrait(path: str | Path, max_side: int = 2048) -> np.ndarray:
    """A picture as uint8 `[h, w, 3]` RGB.

    It is upright by its EXIF tag, over white where transparent, and in sRGB where it brings a colour profile. The first
    of several frames is taken. Larger pictures are scaled down to `max_side`. The size is checked in the header, before
    any pixel is decoded. HEIC needs the package pi-heif. Raises InputError for a file that is damaged or not JPEG, PNG,
    WebP, BMP, TIFF, GIF, AVIF or HEIC, and for a side below 64 or above 12,000 px.
    """
    path = check_file(path, MAX_BYTES)
    return _read(path.read_bytes(), path, max_side, FORMATS, MAX_SIDE**2)


def portrait_of(data: bytes, where: str = "the portrait", max_side: int = 2048, pixels: int = 16_000_000) -> np.ndarray:
    """`read_portrait` for the bytes of a JPEG, PNG or WebP picture of at most `pixels` pixels."""
    return _read(data, where, max_side, FORMATS[:3], pixels)


def _read(data: bytes, path: object, max_side: int, formats: tuple[str, ...], pixels: int) -> np.ndarray:
    Image = optional("PIL.Image", "pillow")
    formats = _readable(data, path, formats)
    damaged = (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, Image.DecompressionBombError)
    try:
        try:
            upright = _decoded(data, path, max_side, formats, pixels, Image)
        except OSError:
            if not data.startswith(b"\xff\xd8") or not (whole := _ended(data, max_side, Image)):
                raise
            upright = _decoded(whole, path, max_side, formats, pixels, Image)
    except InputError:
        raise
    except Image.UnidentifiedImageError:
        names = f"{', '.join(formats[:-1])} or {formats[-1]}".replace("WEBP", "WebP").replace("HEIF", "HEIC")
        raise InputError(f"not a {names} picture", path) from None
    except Image.DecompressionBombError:
        raise InputError(f"sides over {MAX_SIDE} px", path, "scale the picture down") from None
    except damaged as error:
        raise InputError(f"the picture is damaged ({error})", path) from None
    upright.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    _check_size(upright.size, path)
    return np.array(upright)


def _readable(data: bytes, path: object, formats: tuple[str, ...]) -> tuple[str, ...]:
    """The formats that can be decoded here; InputError where the picture needs a package that is missing."""
    if "HEIF" not in formats:
        return formats
    try:
        from pi_heif import register_heif_opener
    except ImportError:
        if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"heim", b"heis", b"hevc"):
            do = "pip install -r requirements-heic.txt, or save it as JPEG"
            raise InputError("HEIC pictures need the package pi-heif", path, do) from None
        return tuple(name for name in formats if name != "HEIF")
    register_heif_opener()
    return formats


def _ended(data: bytes, max_side: int, Image) -> bytes:
    """A JPEG with the marker for its end; empty where more than that is missing.

    Two decodings show it, one with other bits before the marker: a decoder reads them only where the picture's own bits
    are missing.
    """
    data = data.rstrip(b"\xff")
    pictures = []
    for more in (b"", b"\x5a\xc3\x36\x91" * 16):
        with Image.open(io.BytesIO(data + more + b"\xff\xd9"), formats=FORMATS[:1]) as picture:
            picture.draft("RGB", (max_side, max_side))
            pictures.append(np.asarray(picture.convert("RGB")))
    return data + b"\xff\xd9" if np.array_equal(*pictures) else b""


def _decoded(data: bytes, path: object, max_side: int, formats: tuple[str, ...], pixels: int, Image):
    with Image.open(io.BytesIO(data), formats=formats) as picture:
        _check_size(picture.size, path)
        if picture.width * picture.height > pixels:
            raise InputError(f"over {pixels / 1e6:.0f} megapixels", path, "scale the picture down")
        picture.draft("RGB", (max_side, max_side))  # JPEG decodes at a fraction of its size where that is enough
        picture.load()
        return _rgb(_upright(picture), Image)


def _upright(picture):
    """The picture turned and mirrored as its EXIF tag says; as it is where the tag can't be read."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # Pillow raises a dozen kinds for broken tags, which are no part of the picture
        return picture


def _check_size(size: tuple[int, int], path: object):
    if min(size) < MIN_SIDE:
        raise InputError(f"{size[0]} x {size[1]} px is too small for a portrait", path, f"at least {MIN_SIDE} px")
    if max(size) > MAX_SIDE:
        raise InputError(f"{size[0]} x {size[1]} px is too large", path, f"at most {MAX_SIDE} px")


def _rgb(picture, Image):
    """The picture in RGB over white, in sRGB where it says what its colours are."""
    picture = _by_profile(picture)
    if picture.mode.startswith("I;16"):  # 16-bit grey: Pillow would clip it instead of scaling
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if "A" in picture.mode or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def _by_profile(picture):
    """The picture in sRGB where it has a readable colour profile of its kind; else as it is."""
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode.startswith(("I", "F")):
        return picture
    from PIL import ImageCms

    if "transparency" in picture.info or picture.mode in ("LA", "PA"):
        picture = picture.convert("RGBA")
    elif picture.mode not in ("RGB", "RGBA", "CMYK", "L"):
        picture = picture.convert("RGB")
    try:
        source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        out = "RGBA" if picture.mode == "RGBA" else "RGB"
        return ImageCms.profileToProfile(picture, source, target, outputMode=out)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture
