"""Audio features of a live stream: sound in, a block of rows out, what was heard kept as arrays.

An ear is a frozen object with the `kind` of its features, the `window` of sound that it keeps in frames, and two pure
functions of JAX arrays for one voice, to be mapped over sessions inside a jitted step: `init()`, the state of a stream
before its first sample, and `step(params, state, sound)`, the state after `sound` [n * 640] and its rows [n, f].
Neither reads a sample later than the last one given.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from afjax.audio import mel
from afjax.audio.framing import FRAME
from afjax.audio.wav2vec2 import features
from afjax.audio.wav2vec2.config import Wav2Vec2Config

__all__ = ["MelEar", "Wav2Vec2Ear"]


@dataclass(frozen=True)
class MelEar:
    """`afjax.audio.mel` from the last `mel.WINDOW` frames; it has no parameters."""

    kind = "mel"
    window = mel.WINDOW

    def init(self) -> jax.Array:
        return jnp.zeros(self.window * FRAME)

    def step(self, params: Any, state: jax.Array, sound: jax.Array) -> tuple[jax.Array, jax.Array]:
        heard = jnp.concatenate([state, sound])
        return heard[len(sound) :], mel.rows(heard, len(sound) // FRAME)


class Heard(NamedTuple):
    """Sound of the window [window * 640] and the statistics of all that came."""

    sound: jax.Array
    past: features.Past


@dataclass(frozen=True)
class Wav2Vec2Ear:
    """`afjax.audio.wav2vec2.features` from a window of `window` frames, the block among them."""

    kind = "wav2vec2"
    config: Wav2Vec2Config
    window: int = features.WINDOW

    def init(self) -> Heard:
        return Heard(jnp.zeros(self.window * FRAME), features.unheard(self.config))

    def step(self, params: Any, state: Heard, sound: jax.Array) -> tuple[Heard, jax.Array]:
        past = features.hear(params, self.config, state.past, sound[None])
        heard = jnp.concatenate([state.sound, sound])[len(sound) :]
        rows = features.recent(params, self.config, heard[None], past)[0, -(len(sound) // FRAME) :]
        return Heard(heard, past), rows
