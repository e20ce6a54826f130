"""Conversion of tensors by released name to a parameter tree and back, and the check that all are in place.

A name table maps a released name to the paths of the tree among which its tensor is split evenly along axis 0.
"""

import fnmatch
from collections.abc import Iterable, Mapping

import numpy as np

from afjax.errors import InputError

__all__ = ["check", "from_tree", "to_tree", "tree_shapes"]

Names = Mapping[str, tuple[tuple[str, ...], ...]]


def to_tree(tensors: Mapping, names: Names) -> dict:
    """Tensors by released name -> nested dict of parameters; no number is changed."""
    tree = {}
    for name, paths in names.items():
        parts = np.split(tensors[name], len(paths)) if paths[1:] else [tensors[name]]
        for path, part in zip(paths, parts, strict=True):
            place = tree
            for key in path[:-1]:
                place = place.setdefault(key, {})
            place[path[-1]] = part
    return tree


def from_tree(tree: Mapping, names: Names) -> dict[str, np.ndarray]:
    """The inverse of `to_tree`."""
    parts = {name: [np.asarray(_leaf(tree, path)) for path in paths] for name, paths in names.items()}
    return {name: np.concatenate(found) if found[1:] else found[0] for name, found in parts.items()}


def tree_shapes(tree: Mapping, names: Names) -> dict[str, tuple[int, ...]]:
    """Shape of every released tensor, from a tree of anything that has shapes (`jax.eval_shape` of `init`)."""
    found = {name: [_leaf(tree, path).shape for path in paths] for name, paths in names.items()}
    return {name: (sum(s[0] for s in shapes), *shapes[0][1:]) if shapes[0] else () for name, shapes in found.items()}


def _leaf(tree: Mapping, path: tuple[str, ...]):
    for key in path:
        tree = tree[key]
    return tree


def check(
    tensors: Mapping[str, np.ndarray],
    expected: Mapping[str, tuple[int, ...]],
    where: object,
    unused: Iterable[str] = (),
    do: str = "get the file again from where it was released",
) -> list[str]:
    """Names of tensors that play no part: not expected, but matched by a pattern of `unused`.

    Raises one InputError that lists every tensor that is missing, unexpected, of another shape, of another type than
    float32, or not finite.
    """
    patterns = tuple(unused)
    extra = [name for name in tensors if name not in expected]
    ignored = [name for name in extra if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    present = [name for name in expected if name in tensors]
    faults = {
        "missing": [name for name in expected if name not in tensors],
        "unexpected": [
            f"{name} {_text(tensors[name].shape)}" for name in sorted(set(extra) - set(ignored), key=extra.index)
        ],
        "of another shape": [
            _misshapen(name, tensors[name].shape, tuple(expected[name]))
            for name in present
            if tensors[name].shape != tuple(expected[name])
        ],
        "of another type": [
            f"{name} is {tensors[name].dtype.name}, must be float32"
            for name in present
            if tensors[name].dtype != np.float32
        ],
        "not finite": [name for name in present if tensors[name].dtype == np.float32 and not _finite(tensors[name])],
    }
    said = [f"{len(found)} {kind}: {', '.join(found)}" for kind, found in faults.items() if found]
    if said:
        raise InputError("; ".join(said), where, do)
    return ignored


def _finite(tensor: np.ndarray) -> bool:
    # a sum is finite unless a term is not (or it overflows, which no network's weights do); no copy of booleans
    return bool(np.isfinite(np.sum(tensor, dtype=np.float64)))


def _text(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


def _misshapen(name: str, got: tuple[int, ...], expected: tuple[int, ...]) -> str:
    transposed = " (transposed)" if got == expected[::-1] or sorted(got) == sorted(expected) else ""
    return f"{name} is {_text(got)}, must be {_text(expected)}{transposed}"
