"""The model that a program is asked for."""

from pathlib import Path
from typing import TYPE_CHECKING

import afjax

if TYPE_CHECKING:
    from afjax.avatar.avatar import Avatar

__all__ = ["SHIPPED", "load_avatar"]

SHIPPED = "listener"
"""The model that ships with afjax."""


def load_avatar(workdir: str | Path = "") -> "Avatar":
    """The model of a `--workdir`: whatever `afjax.load` takes; without one the model that ships. Raises InputError."""
    return afjax.load(workdir or SHIPPED)
