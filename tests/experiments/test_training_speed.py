"""What a training step takes: figures that fit one another, and a device that is too small."""

import dataclasses

import jax
import pytest

from afjax.config import ModelConfig
from afjax.training.generator.train import step_flops
from experiments.live import training_speed
from tests.training.test_training import quick


def test_figures_of_a_generator_fit_one_another():
    config = dataclasses.replace(quick(), model=ModelConfig(15, 100, 16, 1, 2, condition_width=16, condition_heads=2))
    found = training_speed.generator(config, 2, "bfloat16", 3)
    frames = 2 * config.data.window
    assert found["frames_per_second"] * found["step_ms"] == pytest.approx(1000 * frames)
    data = dataclasses.replace(config.data, batch=2)
    assert found["step_gflop"] == step_flops(dataclasses.replace(config, data=data)) / 1e9
    assert found["first_steps_seconds"] > found["step_ms"] / 1000


def test_too_little_memory_is_a_figure_and_another_error_is_one():
    def call(said):
        raise jax.errors.JaxRuntimeError(said)

    assert training_speed._apart(call, ("RESOURCE_EXHAUSTED: out of memory",))["error"] == "out of memory"
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        training_speed._apart(call, ("INTERNAL: something else",))
