"""One block of a stream, as one jitted function of fixed shape.

    step(params, state, conditions of the block) -> (state, motion of the block)

A pass holds the last `look_ahead` finished frames at level 0 and the block's frames. `nfe` evaluations take the block
from noise to motion; one clean evaluation then gives the keys and values that the cache keeps (all of the pass but its
last `look_ahead` frames, which the next pass feeds again). Sessions share nothing but the batch axis.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from afjax.config import LayoutConfig, SamplerConfig
from afjax.diffusion.guidance import branches, combine
from afjax.diffusion.solver import euler
from afjax.nn import masks
from afjax.nn.condition_encoder import Conditions
from afjax.nn.rope import rotate
from afjax.nn.transformer import ForcingTransformer
from afjax.streaming.state import StreamState, history, memory


def make_step(model: ForcingTransformer, layout: LayoutConfig, sampler: SamplerConfig):
    """The jitted step; `state` is donated. Conditions are [b, block, ...], motion [b, block, d], standardised."""
    return jax.jit(partial(_step, model, layout, sampler), donate_argnums=(1,))


def _step(model, layout: LayoutConfig, sampler: SamplerConfig, params, state: StreamState, block: Conditions):
    weights, kept = branches(sampler)
    recent = jax.tree.map(lambda past, new: jnp.concatenate([past, new], axis=1), state.recent, block)
    condition, own = _encode(model, layout, params, state, recent, kept)
    visible = _visible(layout, state.made, len(weights))
    past = _past(layout, state)
    positions = layout.cache + np.arange(layout.look_ahead + layout.block)
    aligned = layout.cache + np.arange(-layout.alignment, layout.look_ahead + layout.block)
    cross = model.apply(params, _flat(condition), aligned, method="project")
    reference = jnp.tile(state.reference, (len(weights), 1))

    def evaluate(x, level):
        """Velocity of every branch [k, b, n, d] for tokens [b, n, d] at levels [n]."""
        tokens = jnp.tile(x, (len(weights), 1, 1))
        levels = jnp.broadcast_to(level, tokens.shape[:2])
        velocity, pairs = model.apply(params, tokens, levels, reference, cross, visible, positions, past)
        return velocity.reshape(len(weights), *x.shape), pairs

    def velocity(x, level):
        tokens = jnp.concatenate([state.context, x], axis=1)
        levels = jnp.where(np.arange(tokens.shape[1]) < layout.look_ahead, 0.0, level).astype(x.dtype)
        return combine(evaluate(tokens, levels)[0][:, :, layout.look_ahead :], weights)

    key, noise = session_noise(state.key, layout.block, state.context.shape[-1], state.reference.dtype)
    motion = euler(velocity, noise, sampler.nfe)
    tokens = jnp.concatenate([state.context, motion], axis=1)
    pairs = evaluate(tokens, jnp.zeros(tokens.shape[1], tokens.dtype))[1]
    fresh_keys, fresh_values = zip(*pairs, strict=True)
    state = state.replace(
        key=key,
        made=jnp.minimum(state.made + layout.block, memory(layout) + layout.block),
        keys=_store(layout, state.keys, fresh_keys),
        values=_store(layout, state.values, fresh_values),
        condition=_last(jnp.concatenate([state.condition, own[:, :, : layout.block]], axis=2), layout.alignment, 2),
        recent=jax.tree.map(lambda x: _last(x, history(layout), 1), recent),
        context=_last(tokens, layout.look_ahead, 1),
    )
    return state, motion


def session_noise(keys, frames: int, channels: int, dtype):
    """The next key of each session and its noise [b, frames, channels], independent of the other sessions."""
    split = jax.vmap(jax.random.split)(keys)
    return split[:, 0], jax.vmap(lambda key: jax.random.normal(key, (frames, channels), dtype))(split[:, 1])


def _encode(model, layout: LayoutConfig, params, state: StreamState, recent: Conditions, kept):
    """Conditions aligned with the pass [k, b, a + n, width], and those of the pass alone."""
    past = history(layout)
    frame = np.arange(-past, layout.block)
    windowed = masks.in_window(frame[:, None], frame[None, :], layout.condition_window)
    own = windowed if layout.condition_window else np.ones((len(frame), len(frame)), bool)
    mask = jnp.asarray(own)[None] & (state.made[:, None, None] + frame >= 0)
    keep = (kept[:, None] * state.keep).reshape(-1, 3)
    branched = jax.tree.map(lambda x: jnp.tile(x, (len(kept), 1, 1)), recent)
    mask = jnp.tile(mask, (len(kept), 1, 1))
    encoded = model.apply(params, branched, keep, mask, frame + past, method="encode")
    encoded = encoded[:, -(layout.look_ahead + layout.block) :]
    encoded = encoded.reshape(len(kept), -1, *encoded.shape[1:])
    return jnp.concatenate([state.condition, encoded], axis=2), encoded


def _visible(layout: LayoutConfig, made, branch_count: int):
    """Masks of a pass, (attention [k * b, n, m + n], alignment [k * b, n, a + n]), for each session's own position."""
    frame = np.arange(-layout.look_ahead, layout.block)
    attention = masks.stream_rows(layout.mask, layout.block, layout.look_ahead, layout.cache)
    keys = np.concatenate([np.arange(-layout.cache, 0) - layout.look_ahead, frame])
    aligned = np.concatenate([np.arange(-layout.alignment, 0) - layout.look_ahead, frame])
    near = np.abs(frame[:, None] - aligned) <= layout.alignment
    return tuple(
        jnp.tile(jnp.asarray(rows)[None] & (made[:, None, None] + key >= 0), (branch_count, 1, 1))
        for rows, key in ((attention, keys), (near, aligned))
    )


def _past(layout: LayoutConfig, state: StreamState):
    """Cached keys, rotated to the slots 0 .. m - 1, and values, per block of the transformer."""
    positions = np.arange(layout.cache)
    return [
        (rotate(_flat(keys), positions), _flat(values)) for keys, values in zip(state.keys, state.values, strict=True)
    ]


def _store(layout: LayoutConfig, old, new):
    """Appends the pass's tokens, all but its last `look_ahead` ones, to the cache [L, k, b, m, h, e]."""
    fresh = jnp.stack(new)[:, :, : layout.block].reshape(*old.shape[:3], layout.block, *old.shape[4:])
    return _last(jnp.concatenate([old, fresh], axis=3), layout.cache, 3)


def _flat(x):
    """Branches and sessions as one batch axis: [k, b, ...] -> [k * b, ...]."""
    return x.reshape(-1, *x.shape[2:])


def _last(x, count: int, axis: int):
    """The last `count` entries (also none) of an axis."""
    return jax.lax.slice_in_dim(x, x.shape[axis] - count, x.shape[axis], axis=axis)
