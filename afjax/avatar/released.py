"""The released network: its codec, its voice features and its sampler."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from afjax.audio.wav2vec2.extractor import ExtractorState, Wav2Vec2Features
from afjax.avatar.avatar import Avatar
from afjax.avatar.codecs import of_one_size
from afjax.codec.latent.codec import LatentCodec
from afjax.config import ComputeConfig, released
from afjax.nn.condition_encoder import AudioProjection
from afjax.nn.precision import matmul_precision
from afjax.normalizer import Normalizer
from afjax.streaming.generator import Generator
from afjax.weights.convert import load

__all__ = ["ProjectedFeatures", "load_released"]


@dataclass(frozen=True)
class ProjectedFeatures(Wav2Vec2Features):
    """wav2vec2 and the condition encoder's projection of it, `width` numbers per frame.

    Voices are projected once per clip, not once per pass. The features, 18 times as wide, do not leave the program.
    `params`: {"wav2vec2": ..., "projection": ...}.
    """

    width: int = field(default=0, kw_only=True)

    @property
    def dim(self) -> int:
        return self.width

    def encode(self, params: Any, waves: jax.Array) -> jax.Array:
        return self._project(params, super().encode(params["wav2vec2"], waves))

    def step(self, params: Any, state: ExtractorState, sound: jax.Array) -> tuple[ExtractorState, jax.Array]:
        heard, rows = super().step(params["wav2vec2"], state, sound)
        return heard, self._project(params, rows[None])[0]

    def _project(self, params: Any, states: jax.Array) -> jax.Array:
        with matmul_precision(self.precision):
            return AudioProjection(self.width).apply({"params": params["projection"]}, states)


def load_released(folder: str | Path, start: int = released.SAMPLER.start_frames) -> Avatar:
    """The avatar of a folder that `experiments.convert` wrote; `start`: frames that it makes at once at first.

    Raises InputError if the folder is damaged.
    """
    weights = load(folder)
    params, model = weights.flow.params(), weights.flow.config
    projection = params["condition_encoder"]["audio_projection"]
    width = len(projection["norm"]["bias"])
    load_features = {"wav2vec2": weights.wav2vec2.params(), "projection": projection}
    features = ProjectedFeatures(weights.wav2vec2.config, load_features, width=width)
    zeros, voice = np.zeros(model.motion_dim, np.float32), np.zeros(width, np.float32)
    plain = Normalizer(zeros, zeros + 1, voice, voice + 1)  # released motion and features are used as they are
    exact = ComputeConfig(precision="float32")
    config = replace(released.config(start), model=replace(model, audio_dim=0), compute=exact)
    part = weights.autoencoder
    return Avatar(
        config,
        Generator(config, {"params": params}, plain, absolute=True),
        lambda: features,
        of_one_size(lambda: LatentCodec(part.config, part.params())),
        folder=Path(folder).expanduser().absolute(),
        hears_silence=False,
    )
