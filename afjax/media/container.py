"""Opening of files from outside, with one kind of error.

Only regular files of a known container format are opened, by the local file protocol: a playlist or a concat script
dressed as a video could otherwise make the decoder read other files or the network.
"""

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path

from afjax import files
from afjax.errors import InputError

__all__ = ["MAX_BYTES", "MAX_SECONDS", "VIDEOS", "check_file", "open_media", "optional"]

VIDEOS = (
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".ts",
    ".mts",
    ".mpg",
    ".mpeg",
    ".flv",
    ".wmv",
    ".3gp",
    ".ogv",
)
"""Endings of the names of videos, in small letters."""

MAX_BYTES = 4 << 30
MAX_SECONDS = 3600.0
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,wav,mp3,flac,aac,aiff,caf,w64,"
    "au,voc,wv,tta,ac3,eac3,amr"
)


_PICTURES = (b"GIF8", b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM")
"""First bytes of pictures that people take for videos, without those of WebP (RIFF....WEBP)."""


def optional(module: str, package: str = ""):
    """The optional module, imported; InputError that names the install command when it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = package or module
        raise InputError(f"the package {name} is missing", do="pip install -r requirements-media.txt") from error


def check_file(path: str | Path, max_bytes: int = MAX_BYTES) -> Path:
    """The absolute path of a regular, readable file that is neither empty nor over `max_bytes`; else InputError."""
    path = files.absolute(path)
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise InputError("is a directory, not a file", path)
        if not path.is_file():
            raise InputError("is not a regular file", path)
        with path.open("rb"):
            pass
    except (FileNotFoundError, NotADirectoryError):
        raise InputError("no such file", path) from None
    except PermissionError:
        raise InputError("no permission to read it", path) from None
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", path) from None
    if size == 0:
        raise InputError("the file is empty", path)
    if size > max_bytes:
        raise InputError(f"{size / 2**20:.0f} MiB is over the limit of {max_bytes / 2**20:.0f} MiB", path, "cut it")
    return path


@contextlib.contextmanager
def open_media(path: Path, kind: str, source=None) -> Iterator:
    """The open PyAV container of a checked file, or of a `source` of bytes that is a part of it.

    Every error of the decoder inside the block becomes an InputError.
    """
    av = optional("av")
    with path.open("rb") as file:
        head = file.read(12)
        if head.startswith(_PICTURES) or head.startswith(b"RIFF") and head.endswith(b"WEBP"):
            raise InputError(f"is a picture, not a {kind}", path, "convert it to MP4" if kind == "video" else "")
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
    if source is None and not str(path).isprintable():  # names that are not UTF-8 have no characters
        source = path.open("rb")
    try:
        with source or contextlib.nullcontext(), av.open(source or str(path), options=options) as container:
            yield container
    except (av.error.FFmpegError, UnicodeError) as error:
        reason = (getattr(error, "strerror", None) or "unreadable").rstrip(".")
        raise InputError(f"not a readable {kind} file ({reason})", path, "is it damaged or of another type?") from None
