"""The motion generator in the training loop: its task, and the FLOPs of its step."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp

from afjax.config import Config, SamplerConfig
from afjax.nn.transformer import ForcingTransformer
from afjax.normalizer import Normalizer
from afjax.training.generator import distillation
from afjax.training.generator.inputs import batch_shapes
from afjax.training.generator.state import TrainState, abstract_state, init_params, init_state, token_layout
from afjax.training.generator.step import generator_loss, make_random_inputs, make_train_step
from afjax.training.loop import Task, run
from afjax.training.optimizer import make_rates
from afjax.training.sharding import batch_sharding, make_mesh, make_place
from afjax.training.throughput import Meter, matmul_flops
from afjax.types import Params


def train(
    config: Config,
    workdir: Path,
    batches: Iterator,
    meta: dict,
    ref_params: Params | None = None,
    normalizer: Normalizer | None = None,
    teacher: SamplerConfig | None = None,
    start: Params | None = None,
    **around,
) -> TrainState:
    """Trains a generator; arguments not named here are those of `run`.

    `ref_params`: frozen parameters for tuning by preferences or, with the sampler of a `teacher`, for distillation of
    what they generate; it starts from them. `start`: parameters from which other training starts; None: random ones.
    `normalizer`: the device standardises stored batches by it; None: batches are standardised.
    """
    random, layout, scaled = make_random_inputs(config), token_layout(config), make_scale(config, normalizer)
    step, listening = make_train_step(config, ref_params, teacher=teacher), make_train_step(config, listening=True)

    def advance(state, batch, number: int):
        chosen = listening if number < config.training.listening_steps else step
        return chosen(state, scaled(batch), random(number), layout)

    task = Task(
        init=lambda: init_state(config, start if ref_params is None else ref_params),
        abstract=abstract_state(config),
        step=advance,
        meter=make_meter(config, tuned=ref_params is not None, teacher=teacher),
        rates=make_rates(config.optimizer, config.training.num_steps, config.training.listening_steps),
        place=make_place(config.compute, config.data.batch),
    )
    return run(task, config.training, workdir, batches, meta, **around)


def make_scale(config: Config, normalizer: Normalizer | None) -> Callable[[dict], dict]:
    """`scale(batch)`: standardises a batch on the device, by a program separate from the step's."""
    if normalizer is None:
        return lambda batch: batch

    def divide(x, std):
        # XLA multiplies by 1 / std where it sees that a divisor repeats, which rounds otherwise than a division
        return x / jax.lax.optimization_barrier(jnp.broadcast_to(std, x.shape))

    # the statistics are arguments, so that the program is the same for all data
    sharding = batch_sharding(config.compute, config.data.batch)
    scaled = jax.jit(lambda by, batch: Normalizer(**by).scale(batch, divide), out_shardings=sharding)
    return partial(scaled, vars(normalizer))


def step_flops(config: Config, tuned: bool = False, teacher: SamplerConfig | None = None) -> int:
    """FLOPs of one step, as `afjax.training.throughput` counts them.

    `tuned`: whether the step tunes against a frozen reference, by preferences or, with the sampler of a `teacher`, by
    distillation.
    """
    batch = {name: jax.ShapeDtypeStruct(shape, "float32") for name, shape in batch_shapes(config).items()}
    params = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
    random, layout = jax.eval_shape(make_random_inputs(config), 0), token_layout(config)
    model, norm = ForcingTransformer(config.model), config.objective.norm

    def loss(params, batch, random):
        return generator_loss(model, norm, params, batch, random, layout)

    def distilled(params, batch, random):
        return distillation.loss(teacher, config.sampler, norm, params, model, params, batch, random, layout)

    def frozen(params, batch, random):
        return distillation.teacher_states(teacher, model, params, batch, random, layout)

    if teacher is not None:
        return 3 * matmul_flops(distilled, params, batch, random) - 2 * matmul_flops(frozen, params, batch, random)
    return (3 * 2 + 2 if tuned else 3) * matmul_flops(loss, params, batch, random)


def make_meter(config: Config, tuned: bool = False, teacher: SamplerConfig | None = None) -> "Meter":
    """The meter of a generator's training."""
    mesh = make_mesh(config.compute)
    frames = config.data.batch * config.data.window
    return Meter(frames, step_flops(config, tuned, teacher), 1 if mesh is None else mesh.size)
