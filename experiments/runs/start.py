"""The model that a run starts from: whether it fits the run's config and conversations, and its statistics."""

from collections.abc import Sequence
from dataclasses import replace

import jax

import afjax
from afjax.avatar.avatar import Avatar
from afjax.avatar.features import described, features_of, require_same
from afjax.config import Config, differences, to_dict
from afjax.errors import InputError
from data_pipeline.records import Metadata
from experiments.runs.data import check_codec


def fitting(avatar: Avatar, model: str, config: Config, metadata: Metadata, free: Sequence[str] = ()) -> Metadata:
    """The data's metadata with the statistics of a model to start from, which was loaded from `model`.

    `free`: settings of `model` and `layout` in which the model may differ from the config. Raises InputError for a
    model of another shape, other features or another codec.
    """
    wanted, found = (to_dict(c) for c in (config, avatar.config))
    for group in ("model", "layout"):
        changed = differences(found[group], wanted[group], free=free, where=f"{group}.")
        if changed:
            raise InputError(f"it differs from this config ({changed[0]})", model, "give its values")
    check_codec(avatar, metadata, model)
    require_same(features_of(config), described(avatar.features), model)
    return replace(metadata, normalizer=avatar.normalizer)


def start(model: str, config: Config, metadata: Metadata, do: str) -> tuple[dict, Metadata]:
    """Parameters, on the host, of a model to start from, and the data's metadata with its statistics.

    `do`: what is done with it, for the error where it was distilled. Raises InputError for that and as `fitting`.
    """
    avatar = afjax.load(model)
    if teacher := avatar.config.distillation.model:
        what = "it was distilled into few evaluations and knows no levels but theirs"
        raise InputError(what, model, f"{do} its teacher, {teacher}, and distil that")
    return jax.device_get(avatar.generator.params), fitting(avatar, model, config, metadata)
