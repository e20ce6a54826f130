"""Arrays of a parity file by key, and the part of an array that a file stores."""

from collections.abc import Mapping

import numpy as np

from afjax.errors import InputError

__all__ = ["Stored", "kept"]


class Stored(dict):
    """Arrays by key; asking for one that is not there is an InputError that names the file."""

    def __init__(self, where: object, arrays: Mapping[str, np.ndarray]):
        super().__init__(arrays)
        self.where = where

    def __missing__(self, key: str):
        raise InputError(f"has no array {key}", self.where)

    def inputs(self) -> "Stored":
        """The arrays under `in/`, without it."""
        found = {key.removeprefix("in/"): array for key, array in self.items() if key.startswith("in/")}
        return Stored(f"{self.where}, in/", found)


def kept(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Every k-th channel, as files store them, of a value whose stored shape is `shape`; all if the shapes agree.

    If a file stores another part, the result has another shape.
    """
    if not value.ndim or not shape or value.shape == shape:
        return value
    return value[..., :: max(value.shape[-1] // max(shape[-1], 1), 1)]
