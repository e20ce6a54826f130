"""wav2vec2 as a feature extractor (`afjax.audio.feature_extractors`)."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from afjax.audio import framing
from afjax.audio.feature_extractors import silence
from afjax.audio.framing import FRAME
from afjax.audio.wav2vec2 import features
from afjax.audio.wav2vec2.config import Wav2Vec2Config
from afjax.errors import InputError

__all__ = ["ExtractorState", "Wav2Vec2Features"]


class ExtractorState(NamedTuple):
    """Sound of the window, `[window * 640]`, and the statistics of all sound so far."""

    sound: jax.Array
    past: features.Past


@dataclass(frozen=True)
class Wav2Vec2Features:
    """Features of `afjax.audio.wav2vec2.features`. A stream reads `window` frames, the block among them.

    `block`: a clip has the rows of a stream in blocks of `block` frames, and silence follows shorter sound. With 0 it
    has those of the whole clip, filled up by its last sample. `params`: the tree below "params". `precision`: that of
    the network (`afjax.nn.precision`); statistics and rows are float32. Raises InputError if block > window.
    """

    config: Wav2Vec2Config
    params: Any = field(compare=False, repr=False)
    window: int = features.WINDOW
    block: int = 0
    precision: str = "float32"
    _programs: dict[int, Callable] = field(default_factory=dict, init=False, compare=False, repr=False)
    name = "wav2vec2"

    @property
    def dim(self) -> int:
        return self.config.dim

    def __post_init__(self):
        if self.block > self.window:
            raise InputError(f"blocks of {self.block} frames are longer than the window of {self.window}", "wav2vec2")

    def clip(self, wave: np.ndarray, frames: int) -> np.ndarray:
        if self.block:
            sound = silence(-(-frames // self.block) * self.block)
            heard = framing.check(wave)[: frames * FRAME]
            sound[: len(heard)] = heard
            return features.streamed(self.params, self.config, sound, self.block, self.window, self.precision)[:frames]
        return np.asarray(self.program(frames)(self.params, features.whole(wave, frames)[None]))[0]

    def at(self, precision: str) -> "Wav2Vec2Features":
        return self if precision == self.precision else replace(self, precision=precision)

    @property
    def live_params(self) -> Any:
        return features.narrowed(self.params, self.precision)

    def warm_up(self, frames: int) -> None:
        if self.block:
            self.clip(silence(self.block), self.block)
            return
        self.program(frames)

    def program(self, frames: int) -> Callable:
        """`encode`, compiled for one voice of `frames` frames."""
        if frames not in self._programs:
            wave = jax.ShapeDtypeStruct((1, frames * FRAME), np.float32)
            self._programs[frames] = jax.jit(self.encode).lower(self.params, wave).compile()
        return self._programs[frames]

    def encode(self, params: Any, waves: jax.Array) -> jax.Array:
        """Standardised sound `[b, t * 640]` -> `[b, t, f]`."""
        return features.encode(params, self.config, waves, self.precision)

    def init(self) -> ExtractorState:
        return ExtractorState(jnp.zeros(self.window * FRAME), features.init_past(self.config))

    def step(self, params: Any, state: ExtractorState, sound: jax.Array) -> tuple[ExtractorState, jax.Array]:
        past = features.extend_past(params, self.config, state.past, sound[None])
        heard = jnp.concatenate([state.sound, sound])[len(sound) :]
        rows = features.recent(params, self.config, heard[None], past, self.precision)[0, -(len(sound) // FRAME) :]
        return ExtractorState(heard, past), rows
