"""A stream's memory between two steps, for any number of sessions along the batch axis.

The KV cache is `cache_k` and `cache_v`. Cached keys are stored without rotation and numbered by their slot at use, so
positions are relative and a stream has no end. `num_frames` counts finished frames only up to the point from which
every slot of the memory is filled.
"""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, Key

from afjax.config import LayoutConfig, ModelConfig, SamplerConfig
from afjax.diffusion.guidance import guidance_branches
from afjax.errors import InputError
from afjax.nn import relative_motion
from afjax.nn.condition_encoder import ProjectedConditions
from afjax.nn.precision import activation_dtype
from afjax.streaming.anchor import init_running_mean
from afjax.types import ConditionMask, ReferenceMotion, Rngs, typed

AXES = {"cache_k": 2, "cache_v": 2, "condition": 1, "guidance_weights": 1}
"""Axis of the sessions in the fields of a StreamState, 0 in all others."""


@flax.struct.dataclass
class StreamState:
    """What b sessions remember, with k branches of guidance; all standardised."""

    rng: Key[Array, " b"]  # typed random keys, one per session
    num_frames: Int[Array, " b"]  # finished frames, saturating
    condition_mask: Float[Array, "b 3"]  # which conditions the session has: avatar audio, user audio, user motion
    guidance_weights: Float[Array, "k b"]  # of the branches
    reference_motion: Float[Array, "b d"]
    cache_k: Float[Array, "l k b cached h e"]  # not rotated
    cache_v: Float[Array, "l k b cached h e"]
    condition: Float[Array, "k b aligned c"]  # encoded conditions of the frames before the re-fed ones
    recent_conditions: ProjectedConditions  # conditions that the encoder reads again, `history` frames
    refed_motion: Float[Array, "b look_ahead d"]  # the last finished frames
    user_statistics: relative_motion.UserStatistics | None  # where the encoder is told of them
    running_mean: Float[Array, "b _"]  # running mean of the motion from the reference [b, d]; [b, 0] without an anchor


def require_reference_motion(reference_motion: Any, absolute: bool) -> Any:
    """The portrait's own motion `[d]` as given, or 0, the neutral face's, for None.

    Raises InputError for None where motion is `absolute`: not relative to the neutral face.
    """
    if reference_motion is None and absolute:
        do = "give reference_motion=codec.reference_motion(codec.identity(portrait))"
        raise InputError(
            "motion of a latent codec has no neutral face: the portrait's own is missing", "reference_motion", do
        )
    return 0.0 if reference_motion is None else reference_motion


def state_partition_specs(axis: str) -> StreamState:
    """Partition spec of every field, which divides its sessions over a mesh axis."""
    fields = StreamState.__dataclass_fields__
    return StreamState(**{name: PartitionSpec(*[None] * AXES.get(name, 0), axis) for name in fields})


def state_shardings(mesh: Mesh) -> StreamState:
    """Shardings of every field over the only axis of a mesh; a prefix of a state's tree."""
    return jax.tree.map(lambda spec: NamedSharding(mesh, spec), state_partition_specs(*mesh.axis_names))


def condition_history_frames(model: ModelConfig, layout: LayoutConfig) -> int:
    """Frames before a block whose conditions the encoder reads: the re-fed ones and those that they depend on."""
    return layout.look_ahead + max(2 * max(layout.condition_window - 1, 0), model.condition_reach)


def frames_until_full(model: ModelConfig, layout: LayoutConfig) -> int:
    """Finished frames from which a stream's memory is full."""
    return layout.look_ahead + max(layout.cache, layout.alignment, condition_history_frames(model, layout))


@typed
def init_stream(
    rngs: Rngs, reference_motion: ReferenceMotion, model: ModelConfig, layout: LayoutConfig, sampler: SamplerConfig,
    condition_mask: ConditionMask | None = None, precision: str = "tf32",
) -> StreamState:  # fmt: skip
    """An empty stream of b sessions.

    Args:
      rngs: `[b]` typed random keys; reference_motion: standardised `[b, d]`.
      condition_mask: `[b, 3]`, 1 or 0: avatar audio, user audio, user motion; None: everything.
      precision: that of the network, whose activations are kept.
    """
    sessions, dtype = reference_motion.shape[0], reference_motion.dtype
    narrow = activation_dtype(precision, dtype)
    weights = guidance_branches(sampler)[0]
    k = len(weights)
    cache = (model.depth, k, sessions, layout.cache, model.heads, model.width // model.heads)
    past = condition_history_frames(model, layout)
    return StreamState(
        rng=jnp.array(rngs, copy=True),
        num_frames=jnp.zeros(sessions, jnp.int32),
        condition_mask=jnp.ones((sessions, 3), dtype) if condition_mask is None else jnp.array(condition_mask, dtype),
        guidance_weights=jnp.tile(jnp.asarray(weights, dtype)[:, None], (1, sessions)),
        reference_motion=jnp.array(reference_motion, copy=True),
        cache_k=jnp.zeros(cache, narrow),
        cache_v=jnp.zeros(cache, narrow),
        condition=jnp.zeros((k, sessions, layout.alignment, model.width), narrow),
        recent_conditions=ProjectedConditions(
            jnp.zeros((sessions, past, model.condition_width), narrow),
            jnp.zeros((sessions, past, model.condition_width), narrow),
            jnp.zeros((sessions, past, model.motion_dim), dtype),
            jnp.zeros((sessions, past, 3 * model.motion_dim), dtype) if model.relative_frames else None,
        ),
        refed_motion=jnp.zeros((sessions, layout.look_ahead, model.motion_dim), dtype),
        user_statistics=relative_motion.unknown(reference_motion) if model.relative_frames else None,
        running_mean=init_running_mean(reference_motion, sampler),
    )
