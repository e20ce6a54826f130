"""SHA-256 digests by which files, settings and parameters are told apart, as hexadecimal digits."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["of_ends", "of_file", "of_json", "of_params"]

_END = 1 << 16


def of_file(path: str | Path) -> str:
    """Digest of a file's bytes."""
    with Path(path).expanduser().open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_ends(path: str | Path) -> str:
    """Digest of a file's size and its first, middle and last 64 KiB: tells recordings apart without reading all.

    It is the same for a copy, whatever its time, name and place.
    """
    path = Path(path).expanduser()
    with path.open("rb") as file:
        size = file.seek(0, 2)
        digest = hashlib.sha256(str(size).encode())
        for start in sorted({0, max(0, (size - _END) // 2), max(0, size - _END)}):
            file.seek(start)
            digest.update(file.read(_END))
    return digest.hexdigest()


def of_json(values: Any) -> str:
    """Digest of plain values; the order of a dict's names makes no difference."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def of_params(params: Any) -> str:
    """Digest of a tree of arrays: per leaf, in the tree's order, a line `path dtype shape` and its bytes in C order.

    The sharding makes no difference; all processes must call it.
    """
    import jax  # data sets are built without it
    from jax.experimental import multihost_utils

    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        whole = getattr(leaf, "is_fully_addressable", True) or leaf.is_fully_replicated
        array = np.asarray(leaf if whole else multihost_utils.process_allgather(leaf, tiled=True))
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}\n".encode() + array.tobytes())
    return digest.hexdigest()
