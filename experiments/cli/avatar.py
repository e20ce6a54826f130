"""The model that a program runs."""

from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

import afjax
from afjax.config.compute import PRECISIONS

if TYPE_CHECKING:
    from afjax.avatar.avatar import Avatar

__all__ = ["SHIPPED", "define_precision", "load_avatar"]

flags.disclaim_key_flags()  # --help lists them as the program's

SHIPPED = "listener"
"""The model that ships with afjax."""


def load_avatar(workdir: str | Path = "", precision: str | None = None) -> "Avatar":
    """The model of a `--workdir`, which is whatever `afjax.load` takes; "": the one that ships. Raises InputError."""
    return afjax.load(workdir or SHIPPED, precision)


def define_precision():
    """Defines the flag `--precision` of a program that runs a model."""
    return flags.DEFINE_enum("precision", None, PRECISIONS, "How exactly networks compute; as trained without it.")
