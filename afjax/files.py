"""Output files and folders, whole or absent: written aside, then renamed."""

import contextlib
import fcntl
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from afjax.errors import InputError


@contextlib.contextmanager
def folder_aside(out: str | Path, replaces: str = "") -> Iterator[Path]:
    """A temporary folder beside `out` that takes its name when the block ends well, and vanishes when it fails.

    Raises InputError if `out` can't be written, or exists: unless it is empty or holds a file named `replaces`.
    """
    out = absolute(out)
    replaced = bool(replaces) and (out / replaces).is_file()
    if out.exists() and not replaced and (not out.is_dir() or any(out.iterdir())):
        raise InputError("it exists already", out, "choose another folder or delete it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise InputError(f"can't be written ({error.strerror})", out, "choose another folder") from None
    old = aside.with_name(f"{aside.name}.old")
    try:
        yield aside
        os.chmod(aside, 0o755)
        if replaced:
            os.rename(out, old)
        os.rename(aside, out)
    finally:
        for folder in (aside, old):
            shutil.rmtree(folder, ignore_errors=True)


def absolute(path: str | Path) -> Path:
    """An absolute path with `~` expanded; nothing is looked up."""
    return Path(path).expanduser().absolute()


def writable(path: str | Path, folder: bool = False) -> Path:
    """The absolute path of an output file (or folder). Raises InputError, before any work, if it can't be written.

    Missing folders above it are allowed and made when the file is written.
    """
    path = absolute(path)
    if folder and path.exists() and not path.is_dir():
        raise InputError("is a file, a folder is needed", path)
    if not folder and path.is_dir():
        raise InputError("is a directory, a file name is needed", path)
    above = path if folder else path.parent
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir():
        raise InputError(f"{above} is a file, not a folder", path, "choose another place")
    if not os.access(above, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise InputError("no permission to write it", path, "choose another place")
    return path


@contextlib.contextmanager
def held(folder: str | Path) -> Iterator[None]:
    """A folder that one process at a time works in: made if it is missing, free again when the block or process ends.

    Raises InputError where another process holds it.
    """
    folder = absolute(folder)
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise InputError("another process is at work in it", folder, "wait for it, or choose another folder") from None
    except OSError:  # a file system without locks
        pass
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.close(handle)


def partial(path: Path) -> Path:
    """The hidden name beside `path`, of the same suffix, that a file has until it is whole."""
    return path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")


@contextlib.contextmanager
def aside(path: str | Path) -> Iterator[Path]:
    """A file name beside `path`, of the same suffix, to write to.

    Missing folders are made. What was written takes the name `path` when the block ends well, else vanishes.
    """
    path = absolute(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = partial(path)
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_json(path: str | Path, content: Mapping[str, Any]) -> Path:
    """Writes a JSON file aside and renames it. NumPy values become plain ones, NaN and infinity null."""
    path = absolute(path)
    with aside(path) as unfinished:
        unfinished.write_text(json.dumps(_plain(content), indent=2, allow_nan=False) + "\n")
    return path


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value if value is None or isinstance(value, str) else str(value)
