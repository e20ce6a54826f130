"""A trained model with its normalizer: raw conditions in, raw motion out."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float

from afjax import user_delay
from afjax.config import CONDITION_MASKS, Config
from afjax.nn.condition_encoder import Conditions, RawConditions
from afjax.nn.transformer import ForcingTransformer
from afjax.normalizer import Normalizer
from afjax.streaming.rollout import rollout
from afjax.streaming.state import StreamState, init_stream, require_reference_motion, state_shardings
from afjax.streaming.step import make_start, make_step, on_mesh
from afjax.types import Audio, HostOrDevice, Motion, Params, ReferenceMotion, typed

PortraitMotion = Float[HostOrDevice, " d"] | ReferenceMotion | float
"""A portrait's own motion `[d]` in raw units, or one per clip `[b, d]`; 0.0 where motion is relative to it."""


@typed
def standardised(normalizer: Any, raw: RawConditions) -> Conditions:
    """Raw conditions, standardised by a Normalizer, as float32 host arrays."""
    return Conditions(
        np.asarray(normalizer.scale_audio(raw.avatar_features), np.float32),
        np.asarray(normalizer.scale_audio(raw.user_features), np.float32),
        np.asarray(normalizer.scale_motion(raw.user_motion), np.float32),
    )


def generation_config(config: Config) -> Config:
    """The config by which a trained model generates: bfloat16 only where that is asked for."""
    if config.compute.precision != "bfloat16":
        return config
    return replace(config, compute=replace(config.compute, precision="tf32"))


class Generator:
    """Generates motion for whole clips through the stream's step; one compiled step per batch size.

    Clips are divided evenly over `devices` of this process, by default its first. `normalizer` standardises as in
    training. `absolute`: whether zero is no face's rest, so that a portrait's own motion must be given; true by default
    where the config names a latent codec.
    """

    def __init__(
        self, config: Config, params: Params, normalizer: Normalizer, absolute: bool | None = None,
        devices: Iterable[jax.Device] = (),
    ):  # fmt: skip
        self.config, self.normalizer = config, normalizer
        self.absolute = bool(config.data.codec) if absolute is None else absolute
        # Parameters and state are both bound to devices: programs of bound and of unbound arrays compile separately.
        self._devices = tuple(devices or jax.local_devices()[:1])
        network = ForcingTransformer(config.model, config.compute.precision)
        settings = (network, config.layout, config.sampler)
        self._step, self._start = make_step(*settings), make_start(*settings)
        self._whole = self._by_clip = jax.sharding.SingleDeviceSharding(self._devices[0])
        if len(self._devices) > 1:
            mesh = Mesh(np.array(self._devices), ("clips",))
            self._whole, self._by_clip = NamedSharding(mesh, PartitionSpec()), state_shardings(mesh)
            self._step, self._start = (on_mesh(step, mesh) for step in (self._step, self._start))
        self.params = params

    @property
    def params(self) -> Params:
        """Parameters of the network, on the devices."""
        return self._params

    @params.setter
    def params(self, params: Params):
        """Places other parameters of the same shapes on the devices."""
        self._params = jax.device_put(params, self._whole)

    def on_devices(self, devices: Iterable[jax.Device]) -> "Generator":
        """The same generator on other devices of this process."""
        devices = tuple(devices)
        if devices == self._devices:
            return self
        return Generator(self.config, jax.device_get(self.params), self.normalizer, self.absolute, devices)

    @typed
    def clips(
        self, avatar_features: Audio, user_features: Audio, user_motion: Motion, seed: int = 0,
        condition_set: str = "joint",
        reference_motion: PortraitMotion | None = None, numbers: Sequence[int] | np.ndarray | None = None,
    ) -> Motion:  # fmt: skip
        """Motion `[b, t, d]` in raw units, a host array.

        Args:
          avatar_features, user_features: raw features `[b, t, f]`; user_motion: `[b, t, d]` in raw units.
          seed: clip i draws its noise from `fold_in(seed, i)`, whatever the other clips are.
          condition_set: the conditions that the model is given, a name of `afjax.config.CONDITION_MASKS`. Those that it
            never had in training (`ObjectiveConfig.ever_kept`) are always dropped.
          reference_motion: the portrait's own motion `[d]` in raw units, or one per clip `[b, d]`; by default 0, the
            neutral face of a codec with relative coefficients.
          numbers: i of each clip, 0 .. b - 1 by default.

        In the first `layout.user_delay` frames the user is silent and rests like the portrait. Raises InputError where
        motion is absolute and there is no reference.
        """
        count, delay = len(user_motion), self.config.layout.user_delay
        numbers = np.arange(count) if numbers is None else np.asarray(numbers)
        if count % len(self._devices):  # repeats the last clip
            rows = np.minimum(np.arange(count + -count % len(self._devices)), count - 1)
            tracks = (np.asarray(track)[rows] for track in (avatar_features, user_features, user_motion))
            reference_motion = (
                np.asarray(reference_motion)[rows] if np.ndim(reference_motion) == 2 else reference_motion
            )
            return self.clips(*tracks, seed, condition_set, reference_motion, numbers[rows])[:count]
        state = self.begin(count, seed, condition_set, reference_motion, numbers)
        user_features = user_delay.delayed(np.asarray(user_features), delay, self.normalizer.audio_silence)
        user_motion = user_delay.delayed(
            np.asarray(user_motion), delay, 0.0 if reference_motion is None else reference_motion
        )
        return self.go_on(state, avatar_features, user_features, user_motion, self.config.sampler.start_frames)[0]

    @typed
    def begin(
        self, count: int, seed: int = 0, condition_set: str = "joint", reference_motion: PortraitMotion | None = None,
        numbers: Sequence[int] | np.ndarray | None = None,
    ) -> StreamState:  # fmt: skip
        """State of `count` sessions before their first block; arguments and errors as in `clips`."""
        s, config = self.normalizer, self.config
        reference_motion = require_reference_motion(reference_motion, self.absolute)
        numbers = jnp.arange(count) if numbers is None else jnp.asarray(numbers, jnp.int32)
        keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))(numbers)
        kept = np.multiply(CONDITION_MASKS[condition_set], config.objective.ever_kept)
        kept = jnp.tile(jnp.asarray(kept, jnp.float32), (count, 1))
        reference_motion = jnp.asarray(s.scale_motion(reference_motion), jnp.float32)
        reference_motion = jnp.broadcast_to(reference_motion, (count, config.model.motion_dim))
        sizes = (config.model, config.layout, config.sampler)
        state = init_stream(keys, reference_motion, *sizes, kept, config.compute.precision)
        return jax.device_put(state, self._by_clip)

    @typed
    def go_on(
        self, state: StreamState, avatar_features: Audio, user_features: Audio, user_motion: Motion, first: int = 0
    ) -> tuple[Motion, StreamState]:
        """Motion `[b, t, d]` of the sessions' next t frames, raw as in `clips`, and their state after it.

        The user's tracks come `layout.user_delay` frames late. `state` is used up. t is a multiple of the block, except
        at the end of a session. `first` is 0, except at the start of a session whose sampler makes its first frames at
        once.
        """
        conditions = standardised(self.normalizer, RawConditions(avatar_features, user_features, user_motion))
        block = self.config.layout.block
        motion, state = rollout(self._step, self.params, state, conditions, block, self._start, first)
        return self.normalizer.raw_motion(motion), state

    @property
    def compilations(self) -> int:
        """Number of compiled steps: one per batch size."""
        return self._step._cache_size()
