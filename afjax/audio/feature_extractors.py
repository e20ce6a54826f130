"""Sound to audio features, one row per frame of 25 fps, for whole clips and for streams.

    clip(wave, frames)                  recorded sound on the host: training data, evaluation, videos from files
    init(), step(params, state, sound)  a live voice: pure functions, mapped over sessions in a jitted step

An extractor is a frozen object whose weights, `params`, are no part of its equality: extractors of one kind and size
share compiled programs. A stream reads `window` frames of the past and no sample after the last one given.

    name       clip                                          stream
    mel        strictly causal                               equal to the clip's rows after `mel.WINDOW` frames
    wav2vec2   the stream's rows, one window per block that  a window; statistics over all that was heard
               ends with the block; or (`block` = 0) those
               of the whole clip, what comes later included
               (`afjax.audio.wav2vec2.extractor`)

`python -m experiments.audio_window` measures how far wav2vec2's rows in a stream are from those of the whole clip.
"""

from dataclasses import dataclass, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from afjax import digests
from afjax.audio import mel
from afjax.audio.framing import FRAME

if TYPE_CHECKING:  # data sets are built without JAX
    import jax

__all__ = ["FeatureExtractor", "MelFeatures", "described", "silence", "silent_row", "without_params"]


class FeatureExtractor(Protocol):
    """Turns a voice into features.

    Attributes:
      name: the features' name in records and runs.
      dim: f, numbers per frame.
      window: frames of sound that a stream's rows are computed from.
      block: frames of the blocks in which `clip` computes a stream's rows; 0: not block by block.
      params: weights, a tree of arrays; () without any.
      live_params: weights for `step`, as narrow as its precision uses them.
    """

    name: str
    dim: int
    window: int
    block: int
    params: Any
    live_params: Any

    def clip(self, wave: np.ndarray, frames: int) -> np.ndarray:
        """Features float32 `[frames, f]` of 16 kHz mono samples `[s]`, which may be shorter or longer than the clip."""

    def at(self, precision: str) -> "FeatureExtractor":
        """The same extractor with its network in a precision of `afjax.nn.precision`."""

    def warm_up(self, frames: int) -> None:
        """Compiles what `clip` needs for clips of `frames` frames."""

    def init(self) -> Any:
        """State of a voice before its first sample."""

    def step(self, params: Any, state: Any, sound: "jax.Array") -> tuple[Any, "jax.Array"]:
        """The state after `sound` `[n * 640]`, and its rows `[n, f]`."""


def silence(frames: int) -> np.ndarray:
    """Digital silence float32 `[frames * 640]`."""
    return np.zeros(frames * FRAME, np.float32)


def silent_row(extractor: FeatureExtractor) -> np.ndarray:
    """The row float32 `[f]` that a stream makes of silence after nothing but silence."""
    _, rows = extractor.step(extractor.params, extractor.init(), silence(1))
    return np.asarray(rows[-1], np.float32)


def described(extractor: FeatureExtractor) -> dict[str, Any]:
    """What a run stores about its extractor. Equal descriptions mean equal features."""
    weights = {"weights_sha256": digests.of_params(extractor.params)} if extractor.params else {}
    blocks = {"block": extractor.block} if extractor.block else {}
    return {"name": extractor.name, "dim": extractor.dim, "window": extractor.window, **blocks, **weights}


def without_params(extractor: FeatureExtractor) -> FeatureExtractor:
    """An equal extractor that keeps no weights alive: what a cache of compiled programs may hold."""
    return replace(extractor, params=None) if is_dataclass(extractor) and extractor.params else extractor


@dataclass(frozen=True)
class MelFeatures:
    """Features of `afjax.audio.mel` from the last `mel.WINDOW` frames, no weights. Silence follows shorter sound."""

    name = "mel"
    dim = mel.DIM
    window = mel.WINDOW
    block = 0
    params = live_params = ()

    def clip(self, wave: np.ndarray, frames: int) -> np.ndarray:
        samples = silence(frames)
        length = min(len(wave), len(samples))
        samples[:length] = wave[:length]
        return mel.features(samples)

    def at(self, precision: str) -> "MelFeatures":
        """Itself: there is no network."""
        del precision
        return self

    def warm_up(self, frames: int) -> None:
        """Nothing: a clip's features need no program."""

    def init(self) -> np.ndarray:
        """The last `window` frames of sound `[window * 640]`."""
        return silence(self.window)

    def step(self, params: Any, state: "jax.Array", sound: "jax.Array") -> tuple["jax.Array", "jax.Array"]:
        heard = sound.__array_namespace__().concat([state, sound])
        return heard[len(sound) :], mel.rows(heard, len(sound) // FRAME)
