"""A trained model with its statistics: raw conditions in, raw motion out."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from afjax.config import Config
from afjax.diffusion.guidance import KEEP
from afjax.errors import InputError
from afjax.nn.condition_encoder import Conditions
from afjax.nn.transformer import ForcingTransformer
from afjax.streaming.rollout import rollout
from afjax.streaming.state import init_stream
from afjax.streaming.step import make_step


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of every channel of motion [d] and of audio features [f] over the training data."""

    motion_mean: np.ndarray
    motion_std: np.ndarray
    audio_mean: np.ndarray
    audio_std: np.ndarray

    def __post_init__(self):
        for name in ("motion", "audio"):
            mean, std = (np.asarray(getattr(self, f"{name}_{part}"), np.float32) for part in ("mean", "std"))
            if mean.shape != std.shape or mean.ndim != 1 or not np.isfinite(mean).all() or not (std > 0).all():
                raise InputError(f"{name} statistics are not finite vectors of one length with positive deviations")
            object.__setattr__(self, f"{name}_mean", mean)
            object.__setattr__(self, f"{name}_std", std)

    def to_dict(self) -> dict:
        return {name: getattr(self, name).tolist() for name in self.__dataclass_fields__}


class Generator:
    """Generates motion for whole clips through the stream's step; one compiled step for each batch size."""

    def __init__(self, config: Config, params, statistics: Statistics):
        self.config, self.params, self.statistics = config, params, statistics
        self._step = make_step(ForcingTransformer(config.model), config.layout, config.sampler)

    def clips(self, avatar_audio, user_audio, user_motion, seed: int = 0, keep: str = "joint") -> np.ndarray:
        """Motion [b, t, d] in raw units.

        Args:
          avatar_audio, user_audio: raw features [b, t, f]; user_motion: [b, t, d] in raw units.
          seed: clip i draws its noise from `fold_in(seed, i)`, whatever the other clips are.
          keep: the conditions that the model is given, a name of `afjax.diffusion.guidance.KEEP`.
        """
        s, config = self.statistics, self.config
        conditions = Conditions(
            jnp.asarray((avatar_audio - s.audio_mean) / s.audio_std, jnp.float32),
            jnp.asarray((user_audio - s.audio_mean) / s.audio_std, jnp.float32),
            jnp.asarray((user_motion - s.motion_mean) / s.motion_std, jnp.float32),
        )
        count = len(user_motion)
        keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))(jnp.arange(count))
        kept = jnp.tile(jnp.asarray(KEEP[keep], jnp.float32), (count, 1))
        # the neutral face, zero in raw units, is the reference of every codec with coefficients relative to it
        reference = jnp.tile(jnp.asarray(-s.motion_mean / s.motion_std), (count, 1))
        state = init_stream(keys, reference, config.model, config.layout, config.sampler, kept)
        motion, _ = rollout(self._step, self.params, state, conditions, config.layout.block)
        return np.asarray(motion) * s.motion_std + s.motion_mean
