"""One block of a stream, as one jitted function of fixed shape.

    step(params, state, conditions of the block) -> (state, motion of the block)

A pass holds the last `look_ahead` finished frames at level 0 and the block's frames. The evaluations of the solver's
grid take the block from noise to motion. One clean evaluation then gives the keys and values that the KV cache keeps:
all of the pass but its last `look_ahead` frames, which the next pass feeds again. Sessions share nothing but the batch
axis.

The released sampler makes its first 50 frames at once (`make_start`). That pass has no past; its mask is that of a
training window.
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
from afjax.config.model import MOVES
from afjax.diffusion import solver
from afjax.diffusion.guidance import combine, guidance_branches
from afjax.nn import masks, relative_motion
from afjax.nn.condition_encoder import Conditions, ProjectedConditions
from afjax.nn.rope import rotate
from afjax.nn.token_layout import frame_layout
from afjax.nn.transformer import ForcingTransformer, Modulations
from afjax.streaming.anchor import anchored
from afjax.streaming.state import StreamState, condition_history_frames, frames_until_full, state_partition_specs
from afjax.types import GuidanceWeights, HostOrDevice, Motion, Params, Rngs, Tokens, typed

Velocities = Float[Array, "k b n d"]


@lru_cache(maxsize=8)
def make_step(model: ForcingTransformer, layout: LayoutConfig, sampler: SamplerConfig) -> Callable:
    """The jitted step, one for equal arguments; `state` is donated.

    Conditions are of t = `layout.block` frames, motion is `[b, t, d]`, both standardised. A fourth argument `noise`
    `[b, t, d]` takes the place of the noise that the sessions would draw; their keys then stay as they are.
    """
    return jax.jit(partial(_step, model, layout, sampler, _block_pass), donate_argnums=(1,))


@lru_cache(maxsize=8)
def make_start(model: ForcingTransformer, layout: LayoutConfig, sampler: SamplerConfig) -> Callable:
    """The jitted joint start of an empty stream, of as many frames as it is given; otherwise as `make_step`."""
    return jax.jit(partial(_step, model, layout, sampler, _start_pass), donate_argnums=(1,))


@lru_cache(maxsize=8)
def on_mesh(step: Callable, mesh: Mesh) -> Callable:
    """A step of `make_step` or `make_start` for sessions divided over a mesh's only axis.

    Each device runs the same program on its own sessions.
    """
    (axis,) = mesh.axis_names
    state, sessions = state_partition_specs(axis), PartitionSpec(axis)
    inside = jax.shard_map(
        lambda params, state, conditions: step(params, state, conditions),
        mesh=mesh, in_specs=(PartitionSpec(), state, sessions), out_specs=(state, sessions), check_vma=False,
    )  # fmt: skip
    placed = jax.tree.map(lambda spec: NamedSharding(mesh, spec), (PartitionSpec(), state, sessions))
    return jax.jit(inside, in_shardings=placed, out_shardings=placed[1:], donate_argnums=(1,))


@flax.struct.dataclass
class BlockContext:
    """Constants over the evaluations of a pass of n tokens, with k branches and b sessions.

    Attributes:
      refed_motion: `[b, look_ahead, d]` finished motion at level 0, before the solved tokens; none at a start.
      condition: `[k, b, n, c]` encoded conditions of the pass.
      recent_conditions: conditions up to the end of the pass.
      cross: per block, keys and values of the aligned conditions; past: per block, those of the cached frames, or None.
      masks: (attention, alignment); positions: `[n]`; reference_motion: `[k * b, d]`; guidance_weights: `[k, b]` or
        `[k]`.
    """

    refed_motion: Float[HostOrDevice, "b refed d"]
    condition: Float[HostOrDevice, "k b n c"]
    recent_conditions: ProjectedConditions
    cross: list
    past: list | None
    masks: tuple
    positions: Num[HostOrDevice, " n"]
    reference_motion: Float[HostOrDevice, "k*b d"]
    guidance_weights: GuidanceWeights


@typed
def _step(
    model: ForcingTransformer, layout: LayoutConfig, sampler: SamplerConfig, make_pass: Callable, params: Params,
    state: StreamState, conditions: Conditions, noise: Motion | None = None,
) -> tuple[StreamState, Motion]:  # fmt: skip
    if noise is None:
        rng, noise = session_noise(state.rng, *conditions.user_motion.shape[1:], state.reference_motion.dtype)
        state = state.replace(rng=rng)
    state, conditions = _tell(model, state, conditions)
    context = make_pass(model, layout, sampler, params, state, conditions)
    motion = solve(model, params, context, noise, sampler)
    running_mean, motion = anchored(state.running_mean, motion, state.reference_motion, sampler)
    return advance(model, layout, params, state.replace(running_mean=running_mean), context, motion), motion


@typed
def solve(
    model: ForcingTransformer, params: Params, context: BlockContext, noise: Motion, sampler: SamplerConfig
) -> Motion:
    """Motion `[b, t, d]` of the pass from noise `[b, t, d]`; n = look-ahead + t."""
    refed, levels = context.refed_motion.shape[1], solver.make_grid(sampler).network_levels
    known = np.arange(refed + noise.shape[1])[:, None] < refed
    modulations = model.apply(params, jnp.asarray([0.0, *levels], noise.dtype), method="modulations")

    def velocity(x, now_told):
        tokens = jnp.concatenate([context.refed_motion, x], axis=1)
        modulation = jax.tree.map(lambda all, one: jnp.where(known, all[0], one)[None], modulations, now_told)
        return combine(evaluate(model, params, context, tokens, modulation)[0][:, :, refed:], context.guidance_weights)

    return solver.solve(velocity, noise, sampler, jax.tree.map(lambda x: x[1:], modulations), written_out=True)


@typed
def evaluate(
    model: ForcingTransformer,
    params: Params,
    context: BlockContext,
    tokens: Tokens,
    levels: Float[HostOrDevice, "..."] | Modulations,
) -> tuple[Velocities, list]:
    """Velocity of every branch `[k, b, n, d]` for tokens `[b, n, d]`, and their keys and values by block.

    `levels`: `[n]` or one number; or the model's `modulations` of them, `[1, n, c]` each.
    """
    count = len(context.guidance_weights)
    if not isinstance(levels, Modulations):
        levels = jnp.broadcast_to(levels, (count * len(tokens), tokens.shape[1]))
    repeated = jnp.tile(tokens, (count, 1, 1))
    velocity, pairs = model.apply(
        params,
        repeated,
        levels,
        context.reference_motion,
        context.cross,
        context.masks,
        context.positions,
        context.past,
    )
    return velocity.reshape(count, *tokens.shape), pairs


@typed
def advance(
    model: ForcingTransformer,
    layout: LayoutConfig,
    params: Params,
    state: StreamState,
    context: BlockContext,
    motion: Motion,
) -> StreamState:
    """State after the pass is solved, with motion `[b, t, d]`; the caller sets its key and running mean."""
    tokens = jnp.concatenate([context.refed_motion, motion], axis=1)
    final = tokens.shape[1] - layout.look_ahead  # the tokens after it are fed again
    modulations = model.apply(params, jnp.zeros((1, 1), tokens.dtype), method="modulations")  # those of every token
    pairs = evaluate(model, params, context, tokens, modulations)[1]
    keys, values = (
        _append(old, jnp.stack(fresh).reshape(*old.shape[:3], -1, *old.shape[4:])[:, :, :, :final], 3)
        for old, fresh in zip((state.cache_k, state.cache_v), zip(*pairs, strict=True), strict=True)
    )
    return state.replace(
        num_frames=jnp.minimum(
            state.num_frames + motion.shape[1], frames_until_full(model.config, layout) + layout.block
        ),
        cache_k=keys,
        cache_v=values,
        condition=_append(state.condition, context.condition[:, :, :final], 2),
        recent_conditions=jax.tree.map(
            lambda x: _tail(x, condition_history_frames(model.config, layout), 1), context.recent_conditions
        ),
        refed_motion=_tail(tokens, layout.look_ahead, 1),
    )


def _tell(model, state: StreamState, conditions: Conditions) -> tuple[StreamState, Conditions]:
    """The state with the user's statistics after a pass, and its conditions with relative motion, where it is told."""
    if state.user_statistics is None:
        return state, conditions
    before = state.recent_conditions.user_motion[:, -MOVES:]
    there = state.num_frames[:, None] >= np.arange(MOVES, 0, -1)
    known, relative = relative_motion.go_on(
        state.user_statistics, before, there, conditions.user_motion, model.config.relative_frames
    )
    return state.replace(user_statistics=known), conditions._replace(relative=relative)


def _block_pass(model, layout: LayoutConfig, sampler, params, state: StreamState, block: Conditions) -> BlockContext:
    branch_masks = guidance_branches(sampler)[1]
    projected = model.apply(params, block, method="embed_audio")
    recent = jax.tree.map(lambda past, new: jnp.concatenate([past, new], axis=1), state.recent_conditions, projected)
    condition, own = _encode(model, layout, params, state, recent, branch_masks)
    aligned = layout.cache + np.arange(-layout.alignment, layout.look_ahead + layout.block)
    return BlockContext(
        refed_motion=state.refed_motion,
        condition=own,
        recent_conditions=recent,
        cross=model.apply(params, _merge_branches(condition), aligned, method="project"),
        past=_past(layout, state),
        masks=_visible(layout, state.num_frames, len(branch_masks)),
        positions=layout.cache + np.arange(layout.look_ahead + layout.block),
        reference_motion=jnp.tile(state.reference_motion, (len(branch_masks), 1)),
        guidance_weights=state.guidance_weights,
    )


def _start_pass(
    model, layout: LayoutConfig, sampler, params, state: StreamState, conditions: Conditions
) -> BlockContext:
    branch_masks = guidance_branches(sampler)[1]
    projected = model.apply(params, conditions, method="embed_audio")
    tokens = frame_layout(layout, conditions.user_motion.shape[1])
    condition_mask = (branch_masks[:, None] * state.condition_mask).reshape(-1, 3)
    branched = jax.tree.map(lambda x: jnp.tile(x, (len(branch_masks), 1, 1)), projected)
    condition = model.apply(params, branched, condition_mask, tokens.encoder_mask, tokens.frame, method="encode")
    return BlockContext(
        refed_motion=state.refed_motion[:, :0],
        condition=condition.reshape(len(branch_masks), -1, *condition.shape[1:]),
        recent_conditions=jax.tree.map(
            lambda past, new: jnp.concatenate([past, new], axis=1), state.recent_conditions, projected
        ),
        cross=model.apply(params, condition, tokens.frame, method="project"),
        past=None,
        masks=(tokens.attention_mask, tokens.cross_mask),
        positions=tokens.frame,
        reference_motion=jnp.tile(state.reference_motion, (len(branch_masks), 1)),
        guidance_weights=state.guidance_weights,
    )


@typed
def session_noise(rngs: Rngs, frames: int, channels: int, dtype: DTypeLike) -> tuple[Rngs, Float[Array, "b t d"]]:
    """The next key of each session and its noise `[b, t, d]`, independent of the other sessions.

    `rngs`: `[b]` typed random keys; `frames`, `channels`: t and d.
    """
    split = jax.vmap(jax.random.split)(rngs)
    drawn = jax.vmap(lambda rng: jax.random.normal(rng, (frames * channels,), dtype))(split[:, 1])
    return split[:, 0], drawn.reshape(len(rngs), frames, channels)


def _encode(model, layout: LayoutConfig, params, state: StreamState, recent: ProjectedConditions, branch_masks):
    """Conditions aligned with the pass `[k, b, aligned + n, c]`, and those of the pass alone."""
    past = condition_history_frames(model.config, layout)
    frame = np.arange(-past, layout.block)
    windowed = masks.in_window(frame[:, None], frame[None, :], layout.condition_window)
    own = windowed if layout.condition_window else np.ones((len(frame), len(frame)), bool)
    mask = jnp.asarray(own)[None] & (state.num_frames[:, None, None] + frame >= 0)
    condition_mask = (branch_masks[:, None] * state.condition_mask).reshape(-1, 3)
    branched = jax.tree.map(lambda x: jnp.tile(x, (len(branch_masks), 1, 1)), recent)
    mask = jnp.tile(mask, (len(branch_masks), 1, 1))
    encoded = model.apply(params, branched, condition_mask, mask, frame + past, method="encode")
    encoded = encoded[:, -(layout.look_ahead + layout.block) :]
    encoded = encoded.reshape(len(branch_masks), -1, *encoded.shape[1:])
    return jnp.concatenate([state.condition, encoded], axis=2), encoded


def _visible(layout: LayoutConfig, num_frames, branch_count: int):
    """Masks of a pass by each session's position.

    They are attention `[k * b, n, cached + n]` and alignment `[k * b, n, aligned + n]`.
    """
    frame = np.arange(-layout.look_ahead, layout.block)
    attention = masks.stream_mask(layout.mask, layout.block, layout.look_ahead, layout.cache)
    attended = np.concatenate([np.arange(-layout.cache, 0) - layout.look_ahead, frame])
    aligned = np.concatenate([np.arange(-layout.alignment, 0) - layout.look_ahead, frame])
    near = np.abs(frame[:, None] - aligned) <= layout.alignment
    return tuple(
        jnp.tile(jnp.asarray(rows)[None] & (num_frames[:, None, None] + frame >= 0), (branch_count, 1, 1))
        for rows, frame in ((attention, attended), (near, aligned))
    )


def _past(layout: LayoutConfig, state: StreamState):
    """Cached keys, rotated to their slots 0, 1, .., and values, per block of the transformer."""
    positions = np.arange(layout.cache)
    return [
        (rotate(_merge_branches(keys), positions), _merge_branches(values))
        for keys, values in zip(state.cache_k, state.cache_v, strict=True)
    ]


def _append(old, new, axis: int):
    """The newest entries of `old` and `new` along an axis, as many as `old` has."""
    return _tail(jnp.concatenate([old, new], axis=axis), old.shape[axis], axis)


def _merge_branches(x):
    """Branches and sessions as one batch axis: `[k, b, ...]` -> `[k * b, ...]`."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])  # no -1: a cache may hold no frame


def _tail(x, count: int, axis: int):
    """The last `count` entries (also none) of an axis."""
    return jax.lax.slice_in_dim(x, x.shape[axis] - count, x.shape[axis], axis=axis)
