"""A model ready to use: its feature extractor, its generator and its codec.

    voices ──► features ──┐
    user motion ──────────┼─► generator (normalizer, network, solver) ──► motion ──► codec ──► pictures
    portrait ──► codec ───┘

`afjax.load` makes one from a name, a run folder, a model folder or released weights.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from afjax import files
from afjax.audio.feature_extractors import FeatureExtractor, described, silence
from afjax.avatar import model_folder
from afjax.avatar.live_session import LiveSession
from afjax.codec.base import Codec
from afjax.config import Config, condition_set_name
from afjax.export import bundle
from afjax.export.example import random_blocks
from afjax.nn.transformer import cast_params
from afjax.normalizer import Normalizer
from afjax.streaming.engine import Engine
from afjax.streaming.generator import Generator
from afjax.streaming.live_step import Inputs, LiveParams

__all__ = ["Avatar"]


@dataclass(frozen=True)
class Avatar:
    """A trained model.

    Attributes:
      config: its settings.
      generator: motion from conditions, with the `normalizer` of both.
      load_features: loads its feature extractor, `features`, when it is first needed.
      codecs: its codec for a side in pixels (0: the codec's own) and a precision.
      step: step of its training.
      folder: folder that it was loaded from.
      hears_silence: whether an avatar without a voice is silent; else its voice is a condition that is dropped.
    """

    config: Config
    generator: Generator
    load_features: Callable[[], FeatureExtractor]
    codecs: Callable[[int, str], Codec]
    step: int = 0
    folder: Path | None = None
    hears_silence: bool = True

    @property
    def normalizer(self) -> Normalizer:
        """Statistics by which conditions and motion are standardised."""
        return self.generator.normalizer

    @cached_property
    def features(self) -> FeatureExtractor:
        """The feature extractor. Raises InputError if its weights are missing or not those of the training."""
        return self.load_features().at(self.config.compute.precision)

    def with_config(self, config: Config) -> "Avatar":
        """The same weights with other settings, say of the sampler."""
        made = self.generator
        return replace(self, config=config, generator=Generator(config, made.params, made.normalizer, made.absolute))

    def with_precision(self, precision: str) -> "Avatar":
        """The same weights in another precision (`afjax.nn.precision`). Raises InputError for an unknown one."""
        return self.with_config(replace(self.config, compute=replace(self.config.compute, precision=precision)))

    def codec(self, size: int = 0) -> Codec:
        """The codec whose motion the model generates. Raises InputError for a size that it doesn't render."""
        return self.codecs(size, self.config.compute.precision)

    def generate(
        self, frames: int, user_motion=None, user_wave=None, avatar_wave=None, seed: int = 0, reference_motion=None
    ) -> np.ndarray:
        """Motion `[frames, d]` of one clip.

        Args:
          frames: length at 25 fps.
          user_motion: `[frames, d]` in raw units, or None without a user's face.
          user_wave, avatar_wave: float32 samples `[s]` at 16 kHz, shorter or longer than the clip, or None. A user
            without face and voice is dropped as a condition; for an avatar without a voice see `hears_silence`.
          seed: seed of the noise.
          reference_motion: the portrait's own motion `[d]` in raw units, `codec.reference_motion(identity)`; needed
            where the codec has no neutral face.

        Raises InputError if `reference_motion` is needed and missing.
        """
        if avatar_wave is None and self.hears_silence:
            avatar_wave = silence(frames)
        condition_set = condition_set_name(avatar_wave is not None, user_wave is not None, user_motion is not None)
        motion = np.zeros((frames, self.config.model.motion_dim), np.float32) if user_motion is None else user_motion
        voices = (
            np.zeros((frames, self.features.dim), np.float32) if wave is None else self.features.clip(wave, frames)
            for wave in (avatar_wave, user_wave)
        )  # fmt: skip
        return self.generator.clips(
            *(rows[None] for rows in voices), motion[None], seed, condition_set, reference_motion
        )[0]

    def render(self, portrait: np.ndarray, motion: np.ndarray, size: int = 0) -> np.ndarray:
        """Frames uint8 `[t, size, size, 3]` of a portrait, uint8 `[h, w, 3]` RGB, under motion `[t, d]`.

        To render a portrait several times keep `codec(size).identity(portrait)` and call the codec.
        """
        codec = self.codec(size)
        return codec.render(codec.identity(portrait), motion)

    def warm_up(self, sound: int = 0):
        """Compiles what a single clip needs, so that the next `generate` compiles nothing.

        `sound`: frames of its voices; 0 without voices.
        """
        if sound:
            self.features.warm_up(sound)
        frames, model = self.config.sampler.start_frames + self.config.layout.block, self.config.model
        voices = np.zeros((2, 1, frames, self.features.dim), np.float32)
        motion = np.zeros((1, frames, model.motion_dim), np.float32)
        self.generator.clips(*voices, motion, reference_motion=motion[0, 0])

    @property
    def live_config(self) -> Config:
        """The configuration of a live stream, which makes no frames before its first block."""
        return replace(self.config, sampler=replace(self.config.sampler, start_frames=0))

    @property
    def live_params(self) -> tuple[LiveParams, FeatureExtractor]:
        """Parameters and feature extractor, as `afjax.streaming.live_step` takes them."""
        params = cast_params(self.generator.params, self.config.compute.precision)
        return LiveParams.of(params, self.features.live_params, self.normalizer), self.features

    def engine(self, sessions: int = 1) -> Engine:
        """An engine with slots for `sessions` live sessions, which one step computes together."""
        return Engine(self.live_config, *self.live_params, sessions)

    def session(self, portrait: np.ndarray, size: int = 0, seed: int = 0) -> LiveSession:
        """A live conversation with a portrait, uint8 `[h, w, 3]` RGB. Raises InputError if it can't be used.

        The first block compiles nothing: the model and, in parallel, the rendering of the portrait are compiled here.
        """
        codec, still = self.codec(size), (self.config.layout.block, self.config.model.motion_dim)

        def seen():
            identity = codec.identity(portrait)
            codec.render(identity, np.broadcast_to(codec.reference_motion(identity), still).astype(np.float32))
            return identity

        with ThreadPoolExecutor(1, "portrait") as beside:
            identity = beside.submit(seen)
            return LiveSession(self.engine(), codec, identity.result(), seed)

    def export(
        self, folder: str | Path, platforms: Sequence[str] = ("cpu",), sessions: int = 1, blocks: Inputs | None = None
    ) -> dict[str, Any]:
        """Writes the live step as a bundle, whole or not at all; a bundle there is replaced. Returns the manifest.

        The arguments are those of `write_bundle`. Raises InputError for platforms or a folder that can't be used.
        """
        bundle.check_platforms(platforms)
        with files.folder_aside(folder, replaces=bundle.STEP) as aside:
            return self.write_bundle(aside, platforms, sessions, blocks)[0]

    def write_bundle(
        self, folder: Path, platforms: Sequence[str], sessions: int = 1, blocks: Inputs | None = None,
        facts: dict[str, Any] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
        """Writes the live step as a bundle (`afjax.export.bundle`) into an empty folder.

        Args:
          platforms: names of `bundle.PLATFORMS`; sessions: number of sessions of one step.
          blocks: inputs of its example `[n, sessions, ...]`, drawn ones by default.
          facts: further entries of the manifest.

        Returns the manifest and, if this machine is among the platforms, the account of the example (else {}).
        """
        config = self.live_config
        blocks = random_blocks(config.layout, config.model.motion_dim, sessions) if blocks is None else blocks
        facts = {"step": self.step, **(facts or {})}
        return bundle.write(folder, config, *self.live_params, platforms, blocks, self.codec().channels, facts)

    def save(self, folder: str | Path, card: str = ""):
        """Writes the model as a folder to give away (`afjax.avatar.model_folder`), which `afjax.load` reads.

        A folder of this kind that exists is replaced; its model card stays unless `card` is given. Raises InputError
        for models of the latent codec or of wav2vec2 features, and for a folder of another kind.
        """
        model = model_folder.Model(self.config, self.generator.params, self.normalizer, self.step)
        model_folder.write(folder, model, described(self.features), tuple(self.codec().channels), card)
