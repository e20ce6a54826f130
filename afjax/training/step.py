"""One step of training.

Random draws (noise, levels, drops) are made by `make_draw` and are, like the token layout, inputs of the train step:
one compiled step serves every mask, level scheme and drop pattern. All randomness comes from the run's seed and the
step's number, so a resumed run draws what an unbroken one would have drawn.
"""

from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from afjax.config import Config, ModelConfig, OptimizerConfig, PreferenceConfig
from afjax.diffusion import guidance, levels, path
from afjax.losses import dpo, flow
from afjax.nn.condition_encoder import Conditions
from afjax.nn.passes import TokenLayout
from afjax.nn.transformer import ForcingTransformer
from afjax.training.optimizer import make_optimizer
from afjax.training.state import TrainState


class Draw(NamedTuple):
    """What chance decides in one step."""

    noise: jax.Array  # [b, t, d]
    level: jax.Array  # [b, t]
    history: jax.Array  # [b, 1], of the noise that is added to frames of level 0
    keep: jax.Array  # [b, 3]


def make_draw(config: Config):
    """`draw(step) -> Draw`, a pure function of the seed and the step."""
    c, o = config, config.objective
    shape = (c.data.batch, c.data.window)

    @jax.jit
    def draw(step):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(c.training.seed), 1), step)
        k_noise, k_level, k_keep = jax.random.split(key, 3)
        return Draw(
            jax.random.normal(k_noise, (*shape, c.model.motion_dim)),
            levels.draw(k_level, *shape, c.layout.block, o.levels, o.clean_prefix),
            levels.draw_history(jax.random.fold_in(key, 3), shape[0], o.history_noise),
            guidance.draw_keep(k_keep, shape[0], o.drop, o.drop_table),
        )

    return draw


def velocity_error(model, params, batch, motion, draw: Draw, layout: TokenLayout):
    """Error of the velocity [b, n, d] for motion [b, t, d] of a batch on a token layout, and its levels [b, n].

    `batch`: user_motion [b, t, d], avatar_audio, user_audio [b, t, f], reference [b, d].
    """
    conditions = Conditions(batch["avatar_audio"], batch["user_audio"], batch["user_motion"])
    conditions = jax.tree.map(lambda x: x[:, layout.frame], conditions)
    motion, noise = motion[:, layout.frame], draw.noise[:, layout.frame]
    level = jnp.where(layout.context, 0.0, draw.level[:, layout.frame])
    history = jnp.where(level > 0, 0.0, draw.history)
    x = path.interpolate(motion, noise, level[..., None]) + history[..., None] * noise
    velocity = model.apply(params, x, level, batch["reference"], conditions, draw.keep, layout, method="forward")
    return velocity - path.velocity(motion, noise), level


def clip_loss(model, norm: str, params, batch, draw: Draw, layout: TokenLayout):
    """Mean flow-matching loss of a batch of windows, `avatar_motion` [b, t, d] among them, and nothing else to log."""
    error, level = velocity_error(model, params, batch, batch["avatar_motion"], draw, layout)
    return flow.mean(flow.per_token(error, norm), level), {}


def preference_loss(c: PreferenceConfig, reference, model, norm: str, params, batch, draw: Draw, layout: TokenLayout):
    """Flow matching of the winners plus `weight` times the preference for them over `losing_motion` [b, t, d].

    `reference`: parameters of the frozen model. Logged besides what `dpo.loss` watches: both losses, and `drift`, the
    mean squared distance of the winners' velocities from the reference's.
    """
    both, drawn = jax.tree.map(lambda x: jnp.concatenate([x, x]), (batch, draw))
    motion = jnp.concatenate([batch["avatar_motion"], batch["losing_motion"]])
    error, level = velocity_error(model, params, both, motion, drawn, layout)
    frozen = jax.lax.stop_gradient(velocity_error(model, reference, both, motion, drawn, layout)[0])
    scale = motion.shape[-1] if c.channels == "sum" else 1
    ours, theirs = (dpo.Errors(*jnp.split(scale * flow.per_token(e, c.norm), 2)) for e in (error, frozen))
    win, level = jnp.split(error, 2)[0], jnp.split(level, 2)[0]
    fit = flow.mean(flow.per_token(win, norm), level)
    preferred, watched = dpo.loss(ours, theirs, level, c)
    watched |= {
        "flow": fit,
        "preference": preferred,
        "drift": flow.mean(jnp.square(win - jnp.split(frozen, 2)[0]).mean(-1), level),
    }
    return fit + c.weight * preferred, watched


def make_train_step(config: Config, reference=None):
    """Jitted `step(state, batch, draw, layout) -> (state, {loss, grad_norm, ...})`; `state` is donated.

    With `reference`, the parameters of a frozen model, it tunes by preferences. Configurations that differ in nothing
    that is compiled share one program.
    """
    preference = None if reference is None else config.preference
    compiled = _jitted(config.model, config.optimizer, config.training.num_steps, config.objective.norm, preference)
    return partial(compiled, reference)


@lru_cache(maxsize=8)
def _jitted(model: ModelConfig, optimizer: OptimizerConfig, steps: int, norm: str, preference: PreferenceConfig | None):
    network, update_rule = ForcingTransformer(model), make_optimizer(optimizer, steps)

    def step(frozen, state: TrainState, batch, draw: Draw, layout: TokenLayout):
        loss_fn = clip_loss if preference is None else partial(preference_loss, preference, frozen)

        def total(params):
            return loss_fn(network, norm, params, batch, draw, layout)

        (loss, watched), grads = jax.value_and_grad(total, has_aux=True)(state.params)
        updates, opt_state = update_rule.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        # a short average at first, so that the initial weights are forgotten
        decay = jnp.minimum(optimizer.ema, (1 + state.step) / (10 + state.step))
        ema = optax.incremental_update(params, state.ema_params, 1 - decay)
        metrics = {"loss": loss, "grad_norm": optax.tree.norm(grads), **watched}
        return TrainState(state.step + 1, params, ema, opt_state), metrics

    return jax.jit(step, donate_argnums=(1,))
