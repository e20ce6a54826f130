"""The released preset: its stream's positions against the released sampler's absolute ones, and its cost."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.config.released import LAYOUT, SAMPLER
from afjax.diffusion.guidance import combine, guidance_branches
from afjax.diffusion.solver import make_grid
from afjax.nn import masks
from afjax.nn.rope import rotate
from afjax.nn.token_layout import frame_layout
from afjax.nn.transformer import ForcingTransformer
from afjax.streaming.rollout import rollout
from afjax.streaming.state import init_stream
from afjax.streaming.step import make_start, make_step
from tests.small_model import conditions, scrambled, small_config

START = SAMPLER.start_frames


def settings(nfe: int):
    config = small_config(encoder="released", block=10)
    return config, ForcingTransformer(config.model), replace(SAMPLER, nfe=nfe)


@functools.partial(jax.jit, static_argnums=(0, 1))
def absolute_pass(model, sampler, params, past, crossed, context, given, noise, first):
    """One pass of the released sampler as its authors wrote it: keys rotated to absolute positions before caching.

    past: per block cached (keys, values), or None at the start; crossed: the same of the conditions.
    """
    weights, branch_masks = guidance_branches(sampler)
    tokens, old = context.shape[1] + noise.shape[1], 0 if past is None else LAYOUT.cache
    frames = first + jnp.arange(tokens)
    given = jax.tree.map(
        lambda x: jnp.tile(x, (len(branch_masks), 1, 1)), model.apply(params, given, method="embed_audio")
    )
    condition_mask, own = jnp.asarray(branch_masks, noise.dtype), np.ones((tokens, tokens), bool)
    own_cross = model.apply(
        params, model.apply(params, given, condition_mask, own, frames, method="encode"), frames, method="project"
    )
    if past is None:
        whole = frame_layout(LAYOUT, tokens)
        seen, rows, near = own_cross, whole.attention_mask, whole.cross_mask
    else:
        seen = [tuple(map(lambda *x: jnp.concatenate(x, 1), *pair)) for pair in zip(crossed, own_cross, strict=True)]
        rows = masks.stream_mask(LAYOUT.mask, LAYOUT.block, LAYOUT.look_ahead, LAYOUT.cache)
        near = np.abs(np.arange(tokens)[:, None] + 2 - np.arange(tokens + 2)) <= 2
    reference_motion = jnp.zeros((len(branch_masks), noise.shape[-1]), noise.dtype)

    def evaluate(x, level):
        levels = jnp.where(jnp.arange(tokens) < context.shape[1], 0.0, level).astype(x.dtype)
        each = jnp.tile(jnp.concatenate([context, x], 1), (len(branch_masks), 1, 1))
        levels = jnp.broadcast_to(levels, each.shape[:2])
        return model.apply(params, each, levels, reference_motion, seen, (rows, near), frames, past)

    x, grid = noise, make_grid(sampler)
    for level, sigma, following in zip(grid.network_levels, grid.sigmas[:-1], grid.sigmas[1:], strict=True):
        velocity = combine(evaluate(x, level)[0][:, None], weights)
        x = x + (following - sigma) * velocity[:, context.shape[1] :]
    pairs = [(rotate(key, frames), value) for key, value in evaluate(x, 0.0)[1]]
    if old:
        pairs = [tuple(map(lambda *x: jnp.concatenate(x, 1), *pair)) for pair in zip(past, pairs, strict=True)]
    past = [tuple(part[:, -LAYOUT.cache - 2 : -2] for part in pair) for pair in pairs]
    crossed = [tuple(part[:, -4:-2] for part in pair) for pair in own_cross]
    return past, crossed, x


def absolute(model, sampler, params, inputs, noises):
    """Motion [1, t, d] of the released sampler with absolute positions and no end."""
    past = crossed = None
    context, motions = noises[0][:, :0], []
    for number, noise in enumerate(noises):
        first = 0 if number == 0 else START + LAYOUT.block * (number - 1) - 2
        tokens = context.shape[1] + noise.shape[1]
        given = jax.tree.map(lambda x, a=first, n=tokens: x[:, a : a + n], inputs)
        past, crossed, x = absolute_pass(model, sampler, params, past, crossed, context, given, noise, first)
        context = x[:, -2:]
        motions.append(x)
    return np.concatenate(motions, axis=1)


def drift(blocks: int, dtype, nfe: int) -> float:
    """Largest difference between the stream and the sampler with absolute positions."""
    config, model, sampler = settings(nfe)
    params = scrambled(config, 0.15, dtype)
    inputs = conditions(config, 1, START + LAYOUT.block * blocks, dtype)
    rng = np.random.default_rng(4)
    lengths = [START] + [LAYOUT.block] * blocks
    noises = [jnp.asarray(rng.standard_normal((1, n, config.model.motion_dim)), dtype) for n in lengths]
    expected = absolute(model, sampler, params, inputs, noises)
    reference_motion = jnp.zeros((1, config.model.motion_dim), dtype)
    state = init_stream(jax.random.split(jax.random.key(0), 1), reference_motion, config.model, LAYOUT, sampler)
    advance, got, at = make_start(model, LAYOUT, sampler), [], 0
    for noise in noises:
        piece = jax.tree.map(lambda x, a=at, n=noise.shape[1]: x[:, a : a + n], inputs)
        state, motion = advance(params, state, piece, noise)
        got.append(motion)
        at += noise.shape[1]
        advance = make_step(model, LAYOUT, sampler) if at == START else advance
    return float(np.abs(np.concatenate(got, axis=1) - expected).max())


@pytest.mark.slow
def test_relative_positions_equal_absolute_ones_over_sixty_blocks():
    assert drift(60, jnp.float32, nfe=3) < 1e-4


@pytest.mark.slow
def test_relative_positions_equal_absolute_ones_over_ten_minutes():
    with jax.enable_x64(True):
        assert drift(1500, jnp.float64, nfe=4) < 1e-7


def test_ten_evaluations_are_nine_forwards():
    """The released sampler's last evaluation, at level 0, moves nothing and is left out."""
    config, model, sampler = settings(10)
    calls = []

    class Counting(ForcingTransformer):
        def __call__(self, *arguments, **named):
            jax.debug.callback(lambda: calls.append(1))
            return super().__call__(*arguments, **named)

    counting = Counting(config.model)
    params = scrambled(config, 0.1)
    keys, reference_motion = jax.random.split(jax.random.key(0), 1), jnp.zeros((1, config.model.motion_dim))
    state = init_stream(keys, reference_motion, config.model, LAYOUT, sampler)
    step = make_step(counting, LAYOUT, sampler)
    motion, _ = rollout(step, params, state, conditions(config, 1, LAYOUT.block), LAYOUT.block)
    jax.effects_barrier()
    assert len(calls) == 9 and np.isfinite(motion).all()
