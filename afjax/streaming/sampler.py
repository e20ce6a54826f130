"""A trained model with its normalizer: raw conditions in, raw motion out."""

import jax
import jax.numpy as jnp
import numpy as np

from afjax import user_delay
from afjax.config import KEEP, Config
from afjax.nn.condition_encoder import Conditions
from afjax.nn.transformer import ForcingTransformer
from afjax.normalizer import Normalizer
from afjax.streaming.rollout import rollout
from afjax.streaming.state import StreamState, init_stream
from afjax.streaming.step import make_start, make_step


class Generator:
    """Generates motion for whole clips through the stream's step; one compiled step for each batch size.

    `normalizer` standardises as in training.
    """

    def __init__(self, config: Config, params, normalizer: Normalizer):
        self.config, self.normalizer = config, normalizer
        # Parameters and state are bound to one device alike: arrays that are and arrays that are not compile apart.
        self._device = jax.local_devices()[0]
        self.params = jax.device_put(params, self._device)
        settings = (ForcingTransformer(config.model), config.layout, config.sampler)
        self._step, self._start = make_step(*settings), make_start(*settings)

    def clips(
        self, avatar_audio, user_audio, user_motion, seed: int = 0, keep: str = "joint", reference=0.0, first: int = 0
    ) -> np.ndarray:
        """Motion [b, t, d] in raw units.

        Args:
          avatar_audio, user_audio: raw features [b, t, f]; user_motion: [b, t, d] in raw units.
          seed: clip i draws its noise from `fold_in(seed, first + i)`, whatever the other clips are.
          keep: the conditions that the model is given, a name of `afjax.config.KEEP`; those that it never had in
            training (`ObjectiveConfig.kept`) are dropped whatever this says.
          reference: the portrait's own motion [d] in raw units, or one a clip [b, d]; the neutral face of a codec
            with relative coefficients is 0.
          first: number of the first clip, where these are some of many.
        """
        state = self.begin(len(user_motion), seed, keep, reference, first)
        user = (user_delay.delayed(track, self.config.layout.user_delay) for track in (user_audio, user_motion))
        return self.go_on(state, avatar_audio, *user, self.config.sampler.start)[0]

    def begin(self, count: int, seed: int = 0, keep: str = "joint", reference=0.0, first: int = 0) -> StreamState:
        """`count` sessions that have made nothing yet; arguments as in `clips`."""
        s, config = self.normalizer, self.config
        keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))(first + jnp.arange(count))
        kept = np.multiply(KEEP[keep], config.objective.kept)
        kept = jnp.tile(jnp.asarray(kept, jnp.float32), (count, 1))
        reference = jnp.asarray(s.scale_motion(reference), jnp.float32)
        reference = jnp.broadcast_to(reference, (count, config.model.motion_dim))
        state = init_stream(keys, reference, config.model, config.layout, config.sampler, kept)
        return jax.device_put(state, self._device)

    def go_on(self, state: StreamState, avatar_audio, user_audio, user_motion, first: int = 0):
        """Motion [b, t, d] of the sessions' next t frames, raw as in `clips`, and their state after it.

        The user's tracks come `layout.user_delay` frames late. `state` is used up. t is a multiple of the block but for
        the end of a session, `first` is 0 but for the start of one whose sampler makes the first frames at once.
        """
        s = self.normalizer
        conditions = Conditions(
            np.asarray(s.scale_audio(avatar_audio), np.float32),
            np.asarray(s.scale_audio(user_audio), np.float32),
            np.asarray(s.scale_motion(user_motion), np.float32),
        )
        block = self.config.layout.block
        motion, state = rollout(self._step, self.params, state, conditions, block, self._start, first)
        return s.raw_motion(motion), state

    @property
    def compilations(self) -> int:
        """How many steps have been compiled: one a batch size."""
        return self._step._cache_size()
