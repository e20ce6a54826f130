"""One block of a stream, as one jitted function of fixed shape.

    step(params, state, conditions of the block) -> (state, motion of the block)

A pass holds the last `look_ahead` finished frames at level 0 and the block's frames. The evaluations of the solver's
grid take the block from noise to motion; one clean evaluation then gives the keys and values that the cache keeps (all
of the pass but its last `look_ahead` frames, which the next pass feeds again). Sessions share nothing but the batch
axis.

The released sampler makes its first 50 frames at once: `make_start`. That pass has no past, and the mask of a training
window.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Num

from afjax.config import LayoutConfig, SamplerConfig
from afjax.diffusion import solver
from afjax.diffusion.guidance import branches, combine
from afjax.nn import masks
from afjax.nn.condition_encoder import Conditions, ProjectedConditions
from afjax.nn.rope import rotate
from afjax.nn.token_layout import frame_layout
from afjax.nn.transformer import ForcingTransformer, Told
from afjax.streaming.anchor import anchored
from afjax.streaming.state import StreamState, history, memory, specs
from afjax.types import HostOrDevice, Keys, Motion, Params, Tokens, Weights, typed

Velocities = Float[Array, "k b n d"]


@lru_cache(maxsize=8)
def make_step(model: ForcingTransformer, layout: LayoutConfig, sampler: SamplerConfig) -> Callable:
    """The jitted step, one for equal arguments; `state` is donated.

    Conditions are of t = `layout.block` frames, motion is `[b, t, d]`, both standardised. A fourth argument `noise`
    `[b, t, d]` takes the place of what the sessions would draw; their keys then stay.
    """
    return jax.jit(partial(_step, model, layout, sampler, _block_pass), donate_argnums=(1,))


@lru_cache(maxsize=8)
def make_start(model: ForcingTransformer, layout: LayoutConfig, sampler: SamplerConfig) -> Callable:
    """The jitted joint start of an empty stream, of as many frames as it is given: `make_step` in all else."""
    return jax.jit(partial(_step, model, layout, sampler, _start_pass), donate_argnums=(1,))


@lru_cache(maxsize=8)
def on_mesh(step: Callable, mesh: Mesh) -> Callable:
    """A step of `make_step` or `make_start` for sessions that are divided over the only axis of a mesh: each device
    runs the same program on its own."""
    (axis,) = mesh.axis_names
    state, sessions = specs(axis), PartitionSpec(axis)
    inside = jax.shard_map(
        lambda params, state, conditions: step(params, state, conditions),
        mesh=mesh, in_specs=(PartitionSpec(), state, sessions), out_specs=(state, sessions), check_vma=False,
    )  # fmt: skip
    placed = jax.tree.map(lambda spec: NamedSharding(mesh, spec), (PartitionSpec(), state, sessions))
    return jax.jit(inside, in_shardings=placed, donate_argnums=(1,))


@flax.struct.dataclass
class Pass:
    """What stays the same over the evaluations of a pass of n tokens: k branches, b sessions.

    Attributes:
      context: `[b, look_ahead, d]` finished motion at level 0, before the tokens that are solved; at a start none.
      condition: `[k, b, n, c]` encoded conditions of the pass.
      recent: conditions up to the end of the pass.
      cross: per block keys and values of the aligned conditions; past: per block those of the cached frames, or None.
      masks: (attention, alignment); positions: `[n]`; reference: `[k * b, d]`; weights: `[k, b]` or `[k]`.
    """

    context: Float[HostOrDevice, "b context d"]
    condition: Float[HostOrDevice, "k b n c"]
    recent: ProjectedConditions
    cross: list
    past: list | None
    masks: tuple
    positions: Num[HostOrDevice, " n"]
    reference: Float[HostOrDevice, "k*b d"]
    weights: Weights


@typed
def _step(
    model: ForcingTransformer, layout: LayoutConfig, sampler: SamplerConfig, make_pass: Callable, params: Params,
    state: StreamState, conditions: Conditions, noise: Motion | None = None,
) -> tuple[StreamState, Motion]:  # fmt: skip
    now = make_pass(model, layout, sampler, params, state, conditions)
    if noise is None:
        key, noise = session_noise(state.key, *conditions.user_motion.shape[1:], state.reference.dtype)
        state = state.replace(key=key)
    motion = solve(model, params, now, noise, sampler)
    slow, motion = anchored(state.slow, motion, state.reference, sampler)
    return advance(model, layout, params, state.replace(slow=slow), now, motion), motion


@typed
def solve(model: ForcingTransformer, params: Params, now: Pass, noise: Motion, sampler: SamplerConfig) -> Motion:
    """Motion `[b, t, d]` of the pass from noise `[b, t, d]`; n = look-ahead + t."""
    context, levels = now.context.shape[1], solver.make_grid(sampler).levels
    known = np.arange(context + noise.shape[1])[:, None] < context
    told = model.apply(params, jnp.asarray([0.0, *levels], noise.dtype), method="tell")

    def velocity(x, now_told):
        tokens = jnp.concatenate([now.context, x], axis=1)
        modulation = jax.tree.map(lambda all, one: jnp.where(known, all[0], one)[None], told, now_told)
        return combine(evaluate(model, params, now, tokens, modulation)[0][:, :, context:], now.weights)

    return solver.solve(velocity, noise, sampler, jax.tree.map(lambda x: x[1:], told), written_out=True)


@typed
def evaluate(
    model: ForcingTransformer, params: Params, now: Pass, tokens: Tokens, levels: Float[HostOrDevice, "..."] | Told
) -> tuple[Velocities, list]:
    """Velocity of every branch `[k, b, n, d]` for tokens `[b, n, d]`, and their keys and values by block.

    `levels`: `[n]` or one number, or what the model's `tell` gives for them, `[1, n, c]` each.
    """
    count = len(now.weights)
    if not isinstance(levels, Told):
        levels = jnp.broadcast_to(levels, (count * len(tokens), tokens.shape[1]))
    repeated = jnp.tile(tokens, (count, 1, 1))
    velocity, pairs = model.apply(
        params, repeated, levels, now.reference, now.cross, now.masks, now.positions, now.past
    )
    return velocity.reshape(count, *tokens.shape), pairs


@typed
def advance(
    model: ForcingTransformer, layout: LayoutConfig, params: Params, state: StreamState, now: Pass, motion: Motion
) -> StreamState:
    """State after the pass has been solved, with motion `[b, t, d]`; its key and running mean are the caller's."""
    tokens = jnp.concatenate([now.context, motion], axis=1)
    final = tokens.shape[1] - layout.look_ahead  # the tokens after it are fed again
    told = model.apply(params, jnp.zeros((1, 1), tokens.dtype), method="tell")  # that of every token
    pairs = evaluate(model, params, now, tokens, told)[1]
    keys, values = (
        _append(old, jnp.stack(fresh).reshape(*old.shape[:3], -1, *old.shape[4:])[:, :, :, :final], 3)
        for old, fresh in zip((state.keys, state.values), zip(*pairs, strict=True), strict=True)
    )
    return state.replace(
        made=jnp.minimum(state.made + motion.shape[1], memory(model.config, layout) + layout.block),
        keys=keys,
        values=values,
        condition=_append(state.condition, now.condition[:, :, :final], 2),
        recent=jax.tree.map(lambda x: _last(x, history(model.config, layout), 1), now.recent),
        context=_last(tokens, layout.look_ahead, 1),
    )


def _block_pass(model, layout: LayoutConfig, sampler, params, state: StreamState, block: Conditions) -> Pass:
    kept = branches(sampler)[1]
    heard = model.apply(params, block, method="listen")
    recent = jax.tree.map(lambda past, new: jnp.concatenate([past, new], axis=1), state.recent, heard)
    condition, own = _encode(model, layout, params, state, recent, kept)
    aligned = layout.cache + np.arange(-layout.alignment, layout.look_ahead + layout.block)
    return Pass(
        context=state.context,
        condition=own,
        recent=recent,
        cross=model.apply(params, _flat(condition), aligned, method="project"),
        past=_past(layout, state),
        masks=_visible(layout, state.made, len(kept)),
        positions=layout.cache + np.arange(layout.look_ahead + layout.block),
        reference=jnp.tile(state.reference, (len(kept), 1)),
        weights=state.weights,
    )


def _start_pass(model, layout: LayoutConfig, sampler, params, state: StreamState, conditions: Conditions) -> Pass:
    kept = branches(sampler)[1]
    heard = model.apply(params, conditions, method="listen")
    tokens = frame_layout(layout, conditions.user_motion.shape[1])
    keep = (kept[:, None] * state.keep).reshape(-1, 3)
    branched = jax.tree.map(lambda x: jnp.tile(x, (len(kept), 1, 1)), heard)
    condition = model.apply(params, branched, keep, tokens.encoder, tokens.frame, method="encode")
    return Pass(
        context=state.context[:, :0],
        condition=condition.reshape(len(kept), -1, *condition.shape[1:]),
        recent=jax.tree.map(lambda past, new: jnp.concatenate([past, new], axis=1), state.recent, heard),
        cross=model.apply(params, condition, tokens.frame, method="project"),
        past=None,
        masks=(tokens.attention, tokens.alignment),
        positions=tokens.frame,
        reference=jnp.tile(state.reference, (len(kept), 1)),
        weights=state.weights,
    )


@typed
def session_noise(keys: Keys, frames: int, channels: int, dtype: DTypeLike) -> tuple[Keys, Float[Array, "b t d"]]:
    """The next key of each session and its noise `[b, t, d]`, independent of the other sessions.

    `keys`: `[b]` typed random keys; `frames`, `channels`: t and d.
    """
    split = jax.vmap(jax.random.split)(keys)
    drawn = jax.vmap(lambda key: jax.random.normal(key, (frames * channels,), dtype))(split[:, 1])
    return split[:, 0], drawn.reshape(len(keys), frames, channels)


def _encode(model, layout: LayoutConfig, params, state: StreamState, recent: ProjectedConditions, kept):
    """Conditions aligned with the pass `[k, b, aligned + n, c]`, and those of the pass alone."""
    past = history(model.config, layout)
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
    """Masks of a pass for each session's own position: attention `[k * b, n, cached + n]`, alignment
    `[k * b, n, aligned + n]`."""
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
    """Cached keys, rotated to their slots 0, 1, .., and values, per block of the transformer."""
    positions = np.arange(layout.cache)
    return [
        (rotate(_flat(keys), positions), _flat(values)) for keys, values in zip(state.keys, state.values, strict=True)
    ]


def _append(old, new, axis: int):
    """The newest entries of both along an axis, as many as `old` has."""
    return _last(jnp.concatenate([old, new], axis=axis), old.shape[axis], axis)


def _flat(x):
    """Branches and sessions as one batch axis: `[k, b, ...]` -> `[k * b, ...]`."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])  # no -1: a cache may hold no frame


def _last(x, count: int, axis: int):
    """The last `count` entries (also none) of an axis."""
    return jax.lax.slice_in_dim(x, x.shape[axis] - count, x.shape[axis], axis=axis)
