"""The whole step of a live stream: sound and the user's motion in, the avatar's motion out, one jitted function.

    step(params, state, inputs of the block) -> (state, motion of the block)

Features come from a rolling window of each voice (`afjax.audio.feature_extractors`). Everything is standardised inside;
motion goes in and out in raw units. Sessions lie along the batch axis, each with its own position, key, guidance,
reference and past. They share nothing else: a slot's motion does not depend on what the others hold. `put` starts,
restores or empties a slot without another compilation.

The caller gives the user's tracks `layout.user_delay` frames late: those of that many frames before the avatar's block.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from afjax.audio.feature_extractors import FeatureExtractor, without_params
from afjax.audio.framing import FRAME
from afjax.config import CONDITION_MASKS, Config, SamplerConfig
from afjax.diffusion.guidance import guidance_branches
from afjax.nn.condition_encoder import Conditions
from afjax.nn.transformer import ForcingTransformer
from afjax.normalizer import Normalizer
from afjax.streaming.state import AXES, StreamState, init_stream
from afjax.streaming.step import make_step
from afjax.types import HostOrDevice, Motion, Params, typed

__all__ = ["Inputs", "LiveParams", "LiveState", "fresh", "init_live", "make_live_step", "put", "silence", "take"]


class Inputs(NamedTuple):
    """Inputs of one block of b sessions: sound `[b, t * 640]` float32 at 16 kHz, user motion `[b, t, d]` in raw units.

    t is `layout.block`.
    """

    avatar_wave: Float[HostOrDevice, "b s"]
    user_wave: Float[HostOrDevice, "b s"]
    user_motion: Float[HostOrDevice, "b t d"]


class LiveParams(NamedTuple):
    """All numbers of a model: the transformer's parameters, the feature extractor's, the normalizer's."""

    model: Params
    extractor: Params
    motion_mean: Float[HostOrDevice, " d"]
    motion_std: Float[HostOrDevice, " d"]
    audio_mean: Float[HostOrDevice, " f"]
    audio_std: Float[HostOrDevice, " f"]

    @classmethod
    def of(cls, model: Params, extractor: Params, normalizer: Normalizer) -> "LiveParams":
        """The numbers of a network's parameters, a feature extractor's, and a normalizer."""
        return cls(model, extractor, **{name: getattr(normalizer, name) for name in cls._fields[2:]})

    @property
    def normalizer(self) -> Normalizer:
        """The normalizer of these statistics."""
        return Normalizer(*self[2:])


@flax.struct.dataclass
class LiveState:
    """b sessions: the generator's state, and what the extractor keeps of both voices (arrays with b first)."""

    stream: StreamState
    avatar_extractor: Any
    user_extractor: Any


def make_live_step(config: Config, extractor: FeatureExtractor) -> Callable:
    """The jitted step for a config and a feature extractor, one for equal arguments; `state` is donated.

    `step(params: LiveParams, state: LiveState, inputs: Inputs)` -> the state, and motion `[b, t, d]` in raw units.
    """
    network = ForcingTransformer(config.model, config.compute.precision)
    block_step = make_step(network, config.layout, config.sampler)
    return _jitted(block_step, without_params(extractor))


@lru_cache(maxsize=8)
def _jitted(block_step, extractor):

    def extract(params: LiveParams, *voices):
        """Each voice's extractor state and rows; all voices are one batch, so that weights are read once."""
        extractor_states, sound = jax.tree.map(lambda *each: jnp.concatenate(each), *voices)
        extractor_states, rows = jax.vmap(partial(extractor.step, params.extractor))(extractor_states, sound)
        rows = params.normalizer.scale_audio(rows)
        cut = partial(jnp.split, indices_or_sections=len(voices))
        pieces, tree = jax.tree.flatten(extractor_states)
        return [jax.tree.unflatten(tree, each) for each in zip(*map(cut, pieces), strict=True)], cut(rows)

    @typed
    def step(params: LiveParams, state: LiveState, inputs: Inputs) -> tuple[LiveState, Motion]:
        voices = ((state.avatar_extractor, inputs.avatar_wave), (state.user_extractor, inputs.user_wave))
        (avatar_extractor, user_extractor), (avatar_features, user_features) = extract(params, *voices)
        user_motion = params.normalizer.scale_motion(inputs.user_motion)
        conditions = Conditions(avatar_features, user_features, user_motion)
        stream, motion = block_step(params.model, state.stream, conditions)
        return LiveState(stream, avatar_extractor, user_extractor), params.normalizer.raw_motion(motion)

    return jax.jit(step, donate_argnums=(1,))


def init_live(config: Config, extractor: FeatureExtractor, sessions: int) -> LiveState:
    """`sessions` slots that have heard nothing and know no user; `put` a `fresh` state into one to begin."""
    reference_motion = jnp.zeros((sessions, config.model.motion_dim))
    keys = jax.vmap(jax.random.key)(jnp.arange(sessions))
    sizes = (config.model, config.layout, config.sampler)
    stream = init_stream(keys, reference_motion, *sizes, jnp.zeros((sessions, 3)), config.compute.precision)
    extractor_states = [
        jax.tree.map(lambda x: jnp.tile(x[None], (sessions,) + (1,) * x.ndim), extractor.init()) for _ in range(2)
    ]
    return LiveState(stream, *extractor_states)


def fresh(
    config: Config, extractor: FeatureExtractor, params: LiveParams, seed: int,
    reference_motion: Float[HostOrDevice, " d"] | float = 0.0, condition_set: str = "joint",
    scales: SamplerConfig | None = None,
) -> LiveState:  # fmt: skip
    """State of one session before its first block.

    Args:
      seed: seed of its noise; reference_motion: the portrait's own motion `[d]` in raw units.
      condition_set: the conditions that it has (a name of `afjax.config.CONDITION_MASKS`).
      scales: a SamplerConfig with other guidance scales but the same branches; the config's own by default.

    Raises ValueError where the scales need other branches than the step computes.
    """
    one = init_live(config, extractor, 1)
    weights, masks = guidance_branches(scales or config.sampler)
    computed = guidance_branches(config.sampler)[1]
    if not np.array_equal(masks, computed):
        raise ValueError("these scales need other branches than the step computes")
    stream = one.stream.replace(
        rng=jax.random.key(seed)[None],
        condition_mask=jnp.asarray(CONDITION_MASKS[condition_set], jnp.float32)[None]
        * jnp.asarray(config.objective.ever_kept, jnp.float32),
        guidance_weights=jnp.asarray(weights)[:, None],
        reference_motion=jnp.broadcast_to(
            params.normalizer.scale_motion(reference_motion), one.stream.reference_motion.shape
        ),
    )
    return one.replace(stream=stream)


def silence(config: Config, sessions: int) -> Inputs:
    """Inputs of a block in which nobody says or does anything, on the host."""
    voices = np.zeros((2, sessions, config.layout.block * FRAME), np.float32)
    return Inputs(*voices, np.zeros((sessions, config.layout.block, config.model.motion_dim), np.float32))


@partial(jax.jit, donate_argnums=(0,))
def put(state: LiveState, slot: Int[HostOrDevice, ""] | int, one: LiveState) -> LiveState:
    """`state` with a single session's state in a slot; the others keep their bits."""
    return _by_axis(lambda axis, x, y: jax.lax.dynamic_update_slice_in_dim(x, y, slot, axis), state, one)


@jax.jit
def take(state: LiveState, slot: Int[HostOrDevice, ""] | int) -> LiveState:
    """A single session's state, as `put` takes it."""
    return _by_axis(lambda axis, x: jax.lax.dynamic_slice_in_dim(x, slot, 1, axis), state)


def _by_axis(function, *states: LiveState) -> LiveState:
    """`function(session axis, *arrays)` for every array of the states."""
    streams = {
        name: jax.tree.map(partial(function, AXES.get(name, 0)), *(getattr(s.stream, name) for s in states))
        for name in StreamState.__dataclass_fields__
    }
    extractor_states = (
        jax.tree.map(partial(function, 0), *(getattr(s, name) for s in states))
        for name in ("avatar_extractor", "user_extractor")
    )
    return LiveState(StreamState(**streams), *extractor_states)
