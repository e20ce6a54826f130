"""The motion generator in the training loop: its task, and what a step of it multiplies."""

from collections.abc import Iterator
from pathlib import Path

import jax

from afjax.config import Config
from afjax.nn.transformer import ForcingTransformer
from afjax.training.generator.state import TrainState, abstract_state, init_params, init_state, token_layout
from afjax.training.generator.step import clip_loss, make_draw, make_train_step
from afjax.training.loop import Task, run
from afjax.training.optimizer import make_rates
from afjax.training.sharding import make_mesh, make_place
from afjax.training.throughput import Meter, matmul_flops


def train(config: Config, workdir: Path, batches: Iterator, meta: dict, reference=None, **around) -> TrainState:
    """Trains a generator; `reference`: parameters to tune by preferences; the rest as for `run`."""
    draw, layout, place = make_draw(config), token_layout(config), make_place(config.compute, config.data.batch)
    step, listening = make_train_step(config, reference), make_train_step(config, listening=True)

    def advance(state, batch, number: int):
        chosen = listening if number < config.training.listening_steps else step
        return chosen(state, place(batch), draw(number), layout)

    task = Task(
        init=lambda: init_state(config, reference),
        abstract=abstract_state(config),
        step=advance,
        meter=make_meter(config, tuned=reference is not None),
        rates=make_rates(config.optimizer, config.training.num_steps, config.training.listening_steps),
    )
    return run(task, config.training, workdir, batches, meta, **around)


def step_flops(config: Config, tuned: bool = False) -> int:
    """FLOPs of one step as `afjax.training.throughput` counts; `tuned`: by preferences, with a frozen reference."""
    c, b, t = config.model, config.data.batch, config.data.window
    widths = {"avatar_motion": c.motion_dim, "user_motion": c.motion_dim}
    widths |= dict.fromkeys(("avatar_audio", "user_audio"), c.audio_dim or c.condition_width)
    batch = {name: jax.ShapeDtypeStruct((b, t, width), "float32") for name, width in widths.items()}
    batch["cause_age"] = jax.ShapeDtypeStruct((b, t, c.cause_kinds), "float32")
    batch["reference"] = jax.ShapeDtypeStruct((b, c.motion_dim), "float32")
    params = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
    draw, layout = jax.eval_shape(make_draw(config), 0), token_layout(config)

    def loss(params, batch, draw):
        return clip_loss(ForcingTransformer(c), config.objective.norm, params, batch, draw, layout)

    return (3 * 2 + 2 if tuned else 3) * matmul_flops(loss, params, batch, draw)


def make_meter(config: Config, tuned: bool = False) -> "Meter":
    """The meter of a generator's training."""
    mesh = make_mesh(config.compute)
    frames = config.data.batch * config.data.window
    return Meter(frames, step_flops(config, tuned), 1 if mesh is None else mesh.size)
