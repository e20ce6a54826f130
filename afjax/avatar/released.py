"""The released network, ready to generate from real files: its codec, its voice features and its sampler."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import jax
import numpy as np

from afjax.audio.framing import FRAME
from afjax.audio.wav2vec2 import features
from afjax.audio.wav2vec2.config import Wav2Vec2Config
from afjax.codec.latent.codec import LatentCodec
from afjax.config import Config, keep_name, released
from afjax.errors import InputError
from afjax.nn.condition_encoder import AudioProjection
from afjax.normalizer import Normalizer
from afjax.streaming.sampler import Generator
from afjax.weights.convert import Weights, load


@dataclass(frozen=True)
class ReleasedRun:
    """What `afjax.avatar.avatar.Run` is for our own models."""

    config: Config
    weights: Weights

    def codec(self, size: int = 0) -> LatentCodec:
        """The latent codec, at the one size it was trained for. Raises InputError for another `size`."""
        part = self.weights.autoencoder
        if size not in (0, part.config.size):
            raise InputError(f"--size={size}: these weights render {part.config.size} px", do="leave --size out")
        return LatentCodec(part.config, part.params())

    @cached_property
    def _params(self) -> dict:
        return self.weights.flow.params()

    @cached_property
    def generator(self) -> Generator:
        model = self.config.model
        zeros, ones = np.zeros(model.motion_dim, np.float32), np.ones(model.motion_dim, np.float32)
        voice = np.zeros(model.condition_width, np.float32)
        plain = Normalizer(zeros, ones, voice, voice + 1)  # released motion and features are used as they are
        # Voices are projected once a clip, not once a pass: they come to the sampler as wide as the condition.
        config = replace(self.config, model=replace(model, audio_dim=0))
        return Generator(config, {"params": self._params}, plain)

    def generate(
        self, frames: int, user_motion=None, user_audio=None, avatar_audio=None, seed: int = 0, reference=0.0
    ) -> np.ndarray:
        """Motion latents [frames, 512] of one clip; see `afjax.avatar.avatar.Run.generate`. None drops a condition."""
        width = self.config.model.motion_dim
        motion = np.zeros((frames, width), np.float32) if user_motion is None else user_motion
        keep = keep_name(avatar_audio is not None, user_audio is not None, user_motion is not None)
        voices = (self._voice(wave, frames) for wave in (avatar_audio, user_audio))
        with jax.default_matmul_precision("highest"):
            return self.generator.clips(*voices, motion[None], seed, keep, reference)[0]

    def warm_up(self, sound: int = 0):
        """Compiles what a single session needs whose voices last `sound` frames; 0: it has none."""
        if sound:
            self._listener(sound)
        self.generate(self.config.sampler.start + self.config.layout.block)

    def _voice(self, wave, frames: int) -> np.ndarray:
        """Projected features [1, frames, condition_width] of the whole clip, as in the released sampler; None is zero.

        The sound counts as long as it is: its standardisation knows nothing of silence before or after it.
        """
        if wave is None:
            return np.zeros((1, frames, self.config.model.condition_width), np.float32)
        return np.asarray(self._listener(frames)(*self._ears, features.whole(wave, frames)[None]))

    @cached_property
    def _ears(self) -> tuple[dict, dict]:
        """Parameters of wav2vec2 and of the projection of its layers."""
        return self.weights.wav2vec2.params(), self._params["condition_encoder"]["audio_projection"]

    @cached_property
    def _listeners(self) -> dict[int, Callable]:
        return {}

    def _listener(self, frames: int) -> Callable:
        """`_listen` compiled for sound of so many frames."""
        if frames not in self._listeners:
            wave = jax.ShapeDtypeStruct((1, frames * FRAME), np.float32)
            self._listeners[frames] = _listen.lower(*self._ears, wave, self.weights.wav2vec2.config).compile()
        return self._listeners[frames]


@partial(jax.jit, static_argnums=3)
def _listen(params, projection, waves, config: Wav2Vec2Config):
    """Standardised sound [b, T * 640] -> what the condition encoder reads of it [b, T, condition_width].

    One program: the features, 18 times as wide, do not leave it.
    """
    with jax.default_matmul_precision("highest"):
        states = features.encode(params, config, waves)
        return AudioProjection(len(projection["norm"]["bias"])).apply({"params": projection}, states)


def load_released(folder: str | Path, start: int = released.SAMPLER.start) -> ReleasedRun:
    """The run of a folder that `experiments.convert` wrote; `start`: frames that it makes at once at first.

    Raises InputError where the folder is damaged.
    """
    weights = load(folder)
    return ReleasedRun(replace(released.config(start), model=weights.flow.config), weights)
