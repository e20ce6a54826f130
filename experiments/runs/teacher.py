"""Distillation's parts around the training loop: its teacher, and the teacher's statistics."""

from dataclasses import replace

import jax

import afjax
from afjax.avatar.features import described, features_of, require_same
from afjax.config import Config, SamplerConfig, differences, to_dict
from afjax.errors import InputError
from afjax.training.generator import distillation
from data_pipeline.records import Metadata


def start(config: Config, metadata: Metadata) -> tuple[dict, SamplerConfig, Metadata]:
    """The teacher's parameters, on the host, its sampler, and the data's metadata with the teacher's statistics.

    Raises InputError for a teacher of another shape, or whose steps are no multiple of the student's.
    """
    teacher = afjax.load(config.distillation.model)
    wanted, found = (to_dict(c) for c in (config, teacher.config))
    for group in ("model", "layout"):
        changed = differences(found[group], wanted[group], free=("layout.tokens",), where=f"{group}.")
        if changed:
            raise InputError(
                f"it differs from this config ({changed[0]})", config.distillation.model, "give its values"
            )
    require_same(features_of(config), described(teacher.features), config.distillation.model)
    distillation.check(teacher.config.sampler, config.sampler)
    params = jax.device_get(teacher.generator.params)
    return params, teacher.config.sampler, replace(metadata, normalizer=teacher.normalizer)
