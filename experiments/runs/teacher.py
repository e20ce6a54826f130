"""Distillation's parts around the training loop: its teacher, and the teacher's statistics."""

import jax

import afjax
from afjax.config import Config, SamplerConfig
from afjax.training.generator import distillation
from data_pipeline.records import Metadata
from experiments.runs.start import fitting


def guided(config: Config, metadata: Metadata) -> tuple[dict, SamplerConfig, Metadata]:
    """The teacher's parameters, on the host, its sampler, and the data's metadata with the teacher's statistics.

    Raises InputError for a teacher that doesn't fit (`fitting`), or whose steps are no multiple of the student's.
    """
    teacher = afjax.load(config.distillation.model)
    metadata = fitting(teacher, config.distillation.model, config, metadata, free=("layout.tokens",))
    distillation.check(teacher.config.sampler, config.sampler)
    return jax.device_get(teacher.generator.params), teacher.config.sampler, metadata
