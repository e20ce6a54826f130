"""What a stream remembers between two steps, for any number of sessions along the batch axis.

Cached keys are stored without rotation and numbered by their slot at use, so positions are relative and a stream has
no end. `made` counts finished frames only up to the point from which every slot of the memory is filled.
"""

import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from afjax.config import LayoutConfig, ModelConfig, SamplerConfig
from afjax.diffusion.guidance import branches
from afjax.errors import InputError
from afjax.nn.condition_encoder import Conditions
from afjax.nn.precision import activations
from afjax.streaming.anchor import init_slow

AXES = {"keys": 2, "values": 2, "condition": 1, "weights": 1}
"""Axis of the sessions in the fields of a StreamState, 0 in all others."""


@flax.struct.dataclass
class StreamState:
    """b sessions, k guidance branches, L blocks of the transformer, m cached frames, a aligned frames."""

    key: jax.Array  # [b] typed keys, one a session
    made: jax.Array  # [b] int32 finished frames, saturating
    keep: jax.Array  # [b, 3] which conditions the session has: avatar audio, user audio, user motion
    weights: jax.Array  # [k, b] of the guidance branches
    reference: jax.Array  # [b, d]
    keys: jax.Array  # [L, k, b, m, h, e], not rotated
    values: jax.Array  # [L, k, b, m, h, e]
    condition: jax.Array  # [k, b, a, width], encoded conditions of the frames before the re-fed ones
    recent: Conditions  # [b, r, ...], conditions that the encoder reads again, voices projected
    context: jax.Array  # [b, look_ahead, d], the last finished frames
    slow: jax.Array  # [b, d], running mean of the motion from the reference; [b, 0] without an anchor


def own_motion(reference, absolute: bool):
    """The portrait's own motion as it was given; the neutral face's, 0, where it was not and motion is relative to it.

    Raises InputError where it was not and motion is `absolute`.
    """
    if reference is None and absolute:
        do = "give reference=codec.reference(codec.identity(portrait))"
        raise InputError("motion of a latent codec has no neutral face: the portrait's own is missing", "reference", do)
    return 0.0 if reference is None else reference


def specs(axis: str) -> StreamState:
    """Of every field, that sessions are divided over a mesh axis."""
    fields = StreamState.__dataclass_fields__
    return StreamState(**{name: PartitionSpec(*[None] * AXES.get(name, 0), axis) for name in fields})


def spread(mesh: Mesh) -> StreamState:
    """Shardings of every field over the only axis of a mesh; a prefix of a state's tree."""
    return jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs(*mesh.axis_names))


def history(model: ModelConfig, layout: LayoutConfig) -> int:
    """Frames before a block whose conditions the encoder reads: the re-fed ones and what one of them depends on."""
    return layout.look_ahead + max(2 * max(layout.condition_window - 1, 0), model.condition_reach)


def memory(model: ModelConfig, layout: LayoutConfig) -> int:
    """Finished frames from which a stream's memory is full."""
    return layout.look_ahead + max(layout.cache, layout.alignment, history(model, layout))


def init_stream(
    keys, reference, model: ModelConfig, layout: LayoutConfig, sampler: SamplerConfig, keep=None, precision="tf32"
) -> StreamState:
    """An empty stream: `keys` [b] typed random keys, `reference` [b, d], `keep` [b, 3] (default: everything).

    `precision`: the network's, whose activations are kept.
    """
    sessions, dtype = reference.shape[0], reference.dtype
    narrow = activations(precision, dtype)
    weights = branches(sampler)[0]
    k = len(weights)
    cache = (model.depth, k, sessions, layout.cache, model.heads, model.width // model.heads)
    past = history(model, layout)
    return StreamState(
        key=jnp.array(keys, copy=True),
        made=jnp.zeros(sessions, jnp.int32),
        keep=jnp.ones((sessions, 3), dtype) if keep is None else jnp.array(keep, dtype),
        weights=jnp.tile(jnp.asarray(weights, dtype)[:, None], (1, sessions)),
        reference=jnp.array(reference, copy=True),
        keys=jnp.zeros(cache, narrow),
        values=jnp.zeros(cache, narrow),
        condition=jnp.zeros((k, sessions, layout.alignment, model.width), narrow),
        recent=Conditions(
            jnp.zeros((sessions, past, model.condition_width), narrow),
            jnp.zeros((sessions, past, model.condition_width), narrow),
            jnp.zeros((sessions, past, model.motion_dim), dtype),
        ),
        context=jnp.zeros((sessions, layout.look_ahead, model.motion_dim), dtype),
        slow=init_slow(reference, sampler),
    )
