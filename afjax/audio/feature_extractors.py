"""Sound to audio features, one row a frame of 25 fps: of whole clips, and of streams.

    clip(wave, frames)                  a whole clip on the host: training data, videos from files
    init(), step(params, state, sound)  a live voice: pure functions, mapped over sessions in a jitted step

An extractor is a frozen object whose weights, `params`, are no part of its equality: extractors of one kind and size
share compiled programs. A stream reads no sample later than the last one given, and `window` frames of the past.

    name       clip                                          stream
    mel        strictly causal                               equal to the clip's rows after `mel.WINDOW` frames
    wav2vec2   sees the whole clip, standardised over it     a window; statistics over all that was heard

`python -m experiments.audio_window` measures how far apart the last two are.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from afjax import digests
from afjax.audio import mel
from afjax.audio.framing import FRAME
from afjax.audio.wav2vec2 import features
from afjax.audio.wav2vec2.config import Wav2Vec2Config

__all__ = ["FeatureExtractor", "MelFeatures", "Wav2Vec2Features", "described", "silence"]


class FeatureExtractor(Protocol):
    """What turns a voice into features.

    Attributes:
      name: of the features, as records and runs name them.
      dim: F, numbers a frame.
      window: frames of sound that a stream's rows are computed from.
      params: weights, a tree of arrays; () without any.
    """

    name: str
    dim: int
    window: int
    params: Any

    def clip(self, wave: np.ndarray, frames: int) -> np.ndarray:
        """Features float32 `[frames, F]` of 16 kHz mono samples `[S]`, which may be shorter or longer than the clip."""

    def warm_up(self, frames: int) -> None:
        """Compiles what `clip` needs for so many frames."""

    def init(self) -> Any:
        """State of a voice before its first sample."""

    def step(self, params: Any, state: Any, sound: jax.Array) -> tuple[Any, jax.Array]:
        """The state after `sound` `[n * 640]`, and its rows `[n, F]`."""


def silence(frames: int) -> np.ndarray:
    """A voice that says nothing for so many frames."""
    return np.zeros(frames * FRAME, np.float32)


def described(extractor: FeatureExtractor) -> dict[str, Any]:
    """What a run stores of its extractor: equal descriptions, equal features."""
    weights = {"weights_sha256": digests.of_params(extractor.params)} if jax.tree.leaves(extractor.params) else {}
    return {"name": extractor.name, "dim": extractor.dim, "window": extractor.window, **weights}


@dataclass(frozen=True)
class MelFeatures:
    """`afjax.audio.mel` from the last `mel.WINDOW` frames, without parameters. Shorter sound is followed by silence."""

    name = "mel"
    dim = mel.DIM
    window = mel.WINDOW
    params = ()

    def clip(self, wave: np.ndarray, frames: int) -> np.ndarray:
        samples = silence(frames)
        length = min(len(wave), len(samples))
        samples[:length] = wave[:length]
        return mel.features(samples)

    def warm_up(self, frames: int) -> None:
        """Nothing: a clip's features need no program."""

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
class Wav2Vec2Features:
    """`afjax.audio.wav2vec2.features`; `window` frames in a stream, the block among them.

    Shorter sound is filled up by its last sample. `params`: the tree below "params".
    """

    config: Wav2Vec2Config
    params: Any = field(compare=False, repr=False)
    window: int = features.WINDOW
    _programs: dict[int, Callable] = field(default_factory=dict, init=False, compare=False, repr=False)
    name = "wav2vec2"

    @property
    def dim(self) -> int:
        return self.config.dim

    def clip(self, wave: np.ndarray, frames: int) -> np.ndarray:
        return np.asarray(self.program(frames)(self.params, features.whole(wave, frames)[None]))[0]

    def warm_up(self, frames: int) -> None:
        self.program(frames)

    def program(self, frames: int) -> Callable:
        """`encode`, compiled for one voice of so many frames."""
        if frames not in self._programs:
            wave = jax.ShapeDtypeStruct((1, frames * FRAME), np.float32)
            self._programs[frames] = jax.jit(self.encode).lower(self.params, wave).compile()
        return self._programs[frames]

    def encode(self, params: Any, waves: jax.Array) -> jax.Array:
        """Standardised sound `[b, T * 640]` -> `[b, T, F]`."""
        return features.encode(params, self.config, waves)

    def init(self) -> Heard:
        return Heard(jnp.zeros(self.window * FRAME), features.unheard(self.config))

    def step(self, params: Any, state: Heard, sound: jax.Array) -> tuple[Heard, jax.Array]:
        past = features.hear(params, self.config, state.past, sound[None])
        heard = jnp.concatenate([state.sound, sound])[len(sound) :]
        rows = features.recent(params, self.config, heard[None], past)[0, -(len(sound) // FRAME) :]
        return Heard(heard, past), rows
