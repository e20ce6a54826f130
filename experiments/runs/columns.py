"""Measured columns of motion: the face codec's channels, or coefficients of the latent codec's directions.

A latent codec moves faces within the span of its directions, whose coefficients have no names. None of them is lips, a
smile or a pose, so that figures of these do not exist for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from afjax.avatar.codecs import load_autoencoder
from afjax.codec.base import Codec
from afjax.codec.face.channels import CHANNELS, EXPRESSION, POSE
from afjax.codec.latent.codec import LatentCodec
from afjax.errors import InputError
from afjax.metrics.table.report import ChannelGroups

__all__ = ["FACE", "GROUPS", "Columns", "columns_for", "columns_of"]

GROUPS = {"all": CHANNELS, "expression": EXPRESSION, "pose": POSE}


@dataclass(frozen=True)
class Columns:
    """Measured motion.

    Attributes:
      channels: names of the columns of the motion `[..., d]` itself, as records have them.
      names: names of the measured columns, which `project` makes of motion; `groups` choose among them.
      channel_groups: what the groups mean.
    """

    channels: Sequence[str]
    names: Sequence[str]
    groups: Mapping[str, Sequence[str]]
    project: Callable[[np.ndarray], np.ndarray]
    channel_groups: ChannelGroups


FACE = Columns(CHANNELS, CHANNELS, GROUPS, lambda motion: motion, ChannelGroups(EXPRESSION, POSE))


def columns_of(codec: Codec | None) -> Columns:
    """Columns of a codec: coefficients of the latent codec's directions, otherwise the face codec's channels."""
    if not isinstance(codec, LatentCodec):
        return FACE
    names = tuple(f"direction_{n}" for n in range(codec.config.directions))
    return Columns(codec.channels, names, {"all": names}, codec.coefficients, ChannelGroups((), (), "", ""))


def columns_for(channels: Sequence[str], codec: str | Path, where: object) -> Columns:
    """Columns of motion with these channels, read by the codec of a run folder, `data.codec` (empty: the face codec).

    Raises InputError where the channels are another codec's.
    """
    columns = columns_of(load_autoencoder(codec) if codec else None)
    if tuple(channels) != tuple(columns.channels):
        found = "the face codec's" if tuple(channels) == CHANNELS else f"{len(channels)} of a latent codec"
        do = "leave data.codec empty" if codec else "set data.codec to the run folder of the codec that made them"
        raise InputError(f"its motion channels are {found}, not those of data.codec", where, do)
    return columns
