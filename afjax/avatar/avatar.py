"""A run folder as a model: configuration, statistics and averaged weights of its latest checkpoint."""

from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from afjax.audio import mel
from afjax.audio.feature_extractors import MelEar
from afjax.audio.framing import FPS, RATE
from afjax.avatar.codecs import load_autoencoder
from afjax.codec.base import Codec
from afjax.codec.face.codec import FaceCodec
from afjax.config import Config, differences, from_dict, keep_name, to_dict, upgraded
from afjax.errors import InputError
from afjax.normalizer import Normalizer
from afjax.streaming.live_step import LiveParams
from afjax.streaming.sampler import Generator
from afjax.training.checkpoint import load_ema
from afjax.training.generator.state import init_params


@dataclass(frozen=True)
class Run:
    """A trained model, ready to generate; `folder`: the run folder that it is of."""

    config: Config
    generator: Generator
    step: int
    folder: Path | None = None

    def codec(self, size: int = 0) -> Codec:
        """The codec whose motion the model generates, at a size in pixels (0: 256, or the one that it renders)."""
        if not self.config.data.codec:
            return FaceCodec(size=size or 256)
        codec = load_autoencoder(self.config.data.codec)
        if size not in (0, codec.size):
            raise InputError(f"--size={size}: this codec renders {codec.size} px", do="leave --size out")
        return codec

    def generate(
        self, frames: int, user_motion=None, user_audio=None, avatar_audio=None, seed: int = 0, reference=0.0
    ) -> np.ndarray:
        """Motion [frames, d] of one clip.

        Args:
          frames: length at 25 fps; shorter sound is followed by silence.
          user_motion: [frames, d] in raw units, or None without a user's face.
          user_audio, avatar_audio: float32 samples at 16 kHz, or None. A user without face and voice is dropped as a
            condition; an avatar without sound is silent.
          reference: the portrait's own motion [d] in raw units.
        """
        keep = keep_name(True, user_audio is not None, user_motion is not None)
        motion = np.zeros((frames, self.config.model.motion_dim), np.float32) if user_motion is None else user_motion
        return self.generator.clips(
            features(avatar_audio, frames)[None],
            features(user_audio, frames)[None],
            motion[None],
            seed,
            keep,
            reference,
        )[0]

    @property
    def live(self) -> tuple[LiveParams, MelEar]:
        """Parameters and ear, as `afjax.streaming.live_step` takes them."""
        s = self.generator.normalizer
        return LiveParams(self.generator.params, (), s.motion_mean, s.motion_std, s.audio_mean, s.audio_std), MelEar()

    def warm_up(self, sound: int = 0):
        """Compiles the step of a single session, so that the next `generate` does not.

        `sound`: frames that the voices of that session last; the features of these models need no program.
        """
        self.generate(self.config.layout.block)


def features(wave, frames: int) -> np.ndarray:
    """Features [frames, f] of a waveform, cut or followed by silence; None is silence."""
    samples = np.zeros(frames * RATE // FPS, np.float32)
    if wave is not None:
        length = min(len(wave), len(samples))
        samples[:length] = wave[:length]
    return mel.features(samples)


def load_run(workdir: str | Path) -> Run:
    """Run of a folder that `experiments.train` wrote, or of one of its checkpoints, `WORKDIR/checkpoints/STEP`.

    Raises InputError without a checkpoint or with another config.
    """
    workdir, step = Path(workdir).expanduser().absolute(), None
    if workdir.parent.name == "checkpoints" and workdir.name.isdigit():
        workdir, step = workdir.parents[1], int(workdir.name)
    path = workdir / "config.json"
    if not workdir.is_dir():
        raise InputError("no such run folder", workdir, "train first: python -m experiments.train --workdir ...")
    if not path.is_file():
        raise InputError("no checkpoint: config.json is missing", workdir, "train first")
    config = read_config(workdir, Config, "give a folder of experiments.train")
    shapes = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
    params, meta, step = load_ema(workdir, shapes, step)
    trained = to_dict(from_dict(upgraded(meta["config"]), where=str(workdir / "checkpoints")))
    changed = differences(trained, to_dict(config), free=("name", "sampler", "data", "training", "compute"))
    if changed:
        raise InputError(f"the checkpoint is of another config ({changed[0]})", path, "use the one it came with")
    normalizer = Normalizer.from_json(meta["statistics"], config.model.motion_dim, config.model.audio_dim)
    return Run(config, Generator(config, params, normalizer), step, workdir)
