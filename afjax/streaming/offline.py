"""The offline twin that proves the stream (`afjax.nn.token_layout` draws its mask).

It runs no cache. It solves pass after pass, each evaluation being one forward over the side-by-side layout of all
passes, with earlier passes at level 0 and the present one at the solver's level.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from afjax.config import LayoutConfig, SamplerConfig
from afjax.config.model import MOVES
from afjax.diffusion import solver
from afjax.diffusion.guidance import combine, guidance_branches
from afjax.nn.condition_encoder import Conditions
from afjax.nn.relative_motion import of_windows
from afjax.nn.token_layout import pass_layout
from afjax.nn.transformer import ForcingTransformer
from afjax.streaming.anchor import anchored, init_running_mean
from afjax.streaming.rollout import pad_to_blocks
from afjax.streaming.step import session_noise
from afjax.types import ConditionMask, Params, ReferenceMotion, Rngs, typed


@typed
def offline(
    model: ForcingTransformer, layout: LayoutConfig, sampler: SamplerConfig, params: Params, rngs: Rngs,
    reference_motion: ReferenceMotion, condition_mask: ConditionMask, conditions: Conditions,
) -> Float[Array, "b t d"]:  # fmt: skip
    """The stream's exact offline twin: motion `[b, t, d]`, standardised.

    Args:
      model, params: the network; layout, sampler: as for `make_step`.
      rngs, reference_motion, condition_mask: `[b]` typed random keys, `[b, d]`, `[b, 3]`, as for `init_stream`.
      conditions: of t frames.
    """
    frames = conditions.user_motion.shape[1]
    padded = pad_to_blocks(conditions, layout.block)
    total = padded.user_motion.shape[1]
    if model.config.relative_frames:
        nothing = jnp.full((len(rngs), MOVES, reference_motion.shape[-1]), jnp.nan, reference_motion.dtype)
        relative = of_windows(nothing, jnp.asarray(padded.user_motion), model.config.relative_frames)
        padded = padded._replace(relative=relative)
    tokens = pass_layout(layout, total)
    weights, masks = guidance_branches(sampler)
    motion = jnp.zeros((len(rngs), total, reference_motion.shape[-1]), reference_motion.dtype)
    running_mean = init_running_mean(reference_motion, sampler)
    for start in range(0, total, layout.block):
        rngs, noise = session_noise(rngs, layout.block, motion.shape[-1], motion.dtype)
        given = (weights, masks, reference_motion, condition_mask, padded)
        motion = _solve_pass(model, layout.block, sampler, params, tokens, *given, motion, noise, start)
        running_mean, finished = anchored(
            running_mean, motion[:, start : start + layout.block], reference_motion, sampler
        )
        motion = motion.at[:, start : start + layout.block].set(finished)
    return motion[:, :frames]


@partial(jax.jit, static_argnums=(0, 1, 2))
def _solve_pass(
    model,
    block,
    sampler,
    params,
    tokens,
    weights,
    masks,
    reference_motion,
    condition_mask,
    inputs,
    motion,
    noise,
    start,
):
    """Fills the frames of the pass that starts at `start`."""
    inside = jnp.logical_not(tokens.is_clean) & (tokens.frame >= start) & (tokens.frame < start + block)

    def velocity(x, level):
        x = jax.lax.dynamic_update_slice_in_dim(motion, x, start, axis=1)[:, tokens.frame]
        levels = jnp.broadcast_to(jnp.where(inside, level, 0).astype(x.dtype), x.shape[:2])
        forward = partial(model.apply, params, x, levels, reference_motion, inputs, layout=tokens, method="forward")
        velocities = jax.vmap(lambda branch: forward(condition_mask=condition_mask * branch))(masks.astype(x.dtype))
        of_block = jnp.argmax(inside) + jnp.arange(block)
        return combine(velocities, weights)[:, of_block]

    return jax.lax.dynamic_update_slice_in_dim(motion, solver.solve(velocity, noise, sampler), start, axis=1)
