"""One step of training.

Random draws (noise, levels, drops) are made by `make_draw` and are, like the token layout, inputs of the train step:
one compiled step serves every mask, level scheme and drop pattern. All randomness comes from the run's seed and the
step's number, so a resumed run draws what an unbroken one would have drawn.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from afjax.config import Config
from afjax.diffusion import guidance, levels
from afjax.losses import flow
from afjax.nn.condition_encoder import Conditions
from afjax.nn.passes import TokenLayout
from afjax.nn.transformer import ForcingTransformer
from afjax.training.optimizer import make_optimizer
from afjax.training.state import TrainState


class Draw(NamedTuple):
    """What chance decides in one step."""

    noise: jax.Array  # [b, t, d]
    level: jax.Array  # [b, t]
    keep: jax.Array  # [b, 3]


def make_draw(config: Config):
    """`draw(step) -> Draw`, a pure function of the seed and the step."""
    c, o = config, config.objective
    shape = (c.data.batch, c.data.window)

    @jax.jit
    def draw(step):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(c.train.seed), 1), step)
        k_noise, k_level, k_keep = jax.random.split(key, 3)
        return Draw(
            jax.random.normal(k_noise, (*shape, c.model.motion_dim)),
            levels.draw(k_level, *shape, c.layout.block, o.levels, o.clean_prefix),
            guidance.draw_keep(k_keep, shape[0], o.drop, o.drop_table),
        )

    return draw


def clip_loss(model, norm: str, params, batch, draw: Draw, layout: TokenLayout):
    """Mean flow-matching loss of a batch of windows on a token layout.

    `batch`: avatar_motion, user_motion [b, t, d], avatar_audio, user_audio [b, t, f], reference [b, d].
    """
    conditions = Conditions(batch["avatar_audio"], batch["user_audio"], batch["user_motion"])
    conditions = jax.tree.map(lambda x: x[:, layout.frame], conditions)
    motion, noise = batch["avatar_motion"][:, layout.frame], draw.noise[:, layout.frame]
    level = jnp.where(layout.context, 0.0, draw.level[:, layout.frame])

    def velocity_fn(x, level):
        return model.apply(params, x, level, batch["reference"], conditions, draw.keep, layout, method="forward")

    return flow.mean(flow.per_token(velocity_fn, motion, noise, level, norm), level)


def make_train_step(config: Config):
    """Jitted `step(state, batch, draw, layout) -> (state, {loss, grad_norm})`; `state` is donated."""
    model = ForcingTransformer(config.model)
    optimizer = make_optimizer(config.optimizer, config.train.steps)

    def step(state: TrainState, batch, draw: Draw, layout: TokenLayout):
        loss, grads = jax.value_and_grad(
            lambda params: clip_loss(model, config.objective.norm, params, batch, draw, layout)
        )(state.params)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        # a short average at first, so that the initial weights are forgotten
        decay = jnp.minimum(config.optimizer.ema, (1 + state.step) / (10 + state.step))
        ema = optax.incremental_update(params, state.ema_params, 1 - decay)
        metrics = {"loss": loss, "grad_norm": optax.tree.norm(grads)}
        return TrainState(state.step + 1, params, ema, opt_state), metrics

    return jax.jit(step, donate_argnums=(0,))
