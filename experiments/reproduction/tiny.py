"""The whole reproduction at a size that a laptop does in minutes: drawn people who talk, networks of drawn weights.

Its figures mean nothing. It shows that every step runs on the result of the step before. People are drawn portraits,
moved by the simulator's conversations and rendered by the face codec; voices are synthetic. Conversations are of
different people. The same videos are the codec's faces, the talking heads (avatars) and the listening heads.
"""

import csv
import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from afjax import files
from afjax.audio.framing import RATE
from afjax.codec.face.codec import FaceCodec
from afjax.media.container import optional
from afjax.media.writer import SOUND_RATE, VideoWriter
from afjax.weights import tiny_release
from afjax.weights.folder import to_folder
from data_pipeline.schema import Conversation
from data_pipeline.simulate.conversation import simulate
from data_pipeline.simulate.portrait.draw import paint_portrait
from data_pipeline.simulate.speech.synthesis import Speaker
from experiments.evaluation.tiny_networks import write_tiny
from experiments.reproduction.recipe import Settings

__all__ = ["prepare", "settings"]

SPLITS = {"train": 3, "eval": 2}
SECONDS, SIZE = 6.04, 256
"""A record of 6 s holds two windows of the baseline, which generates 75 frames at once."""
SPEAKS = 0.1
"""Least share of a conversation in which each person speaks: a silent voice would be set aside."""
DIM = 24
"""Channels of the latent codec's motion."""
STEPS = 4
SIDES = ("avatar", "user")


def prepare(out: Path):
    """Makes recordings and networks in `out`/given, unless they are there."""
    if (out / "given").is_dir():
        return
    with files.folder_aside(out / "given") as folder:
        _recordings(folder)
        source, weights = tiny_release.write(folder / "source"), folder / "networks" / "weights"
        to_folder(**source, out=str(weights), heads=tiny_release.FLOW.heads)
        write_tiny(folder / "networks")


def settings(out: Path) -> Settings:
    """Settings for `recipe.plan`, of what `prepare` makes."""
    given = out / "given"
    speech = tiny_release.SPEECH
    steps = tuple(f"--config.training.{name}={STEPS}" for name in ("num_steps", "log_every", "save_every"))
    model = {
        "motion_dim": DIM, "audio_dim": speech.width * speech.depth, "width": 16, "depth": 1, "heads": 2,
        "mlp_ratio": 2, "condition_width": 16, "condition_heads": 2,
    }  # fmt: skip
    sizes = (
        *(f"--config.model.{name}={value}" for name, value in model.items()), "--config.data.batch=2", *steps,
        f"--config.training.sample_every={STEPS}", "--config.sampler.nfe=3",
    )  # fmt: skip
    codec = (
        "--config=experiments/configs/autoencoder.py:small", f"--config.codec.dim={DIM}",
        "--config.codec.directions=8", "--config.codec.channels=(8, 8, 8, 8, 4)", "--config.loss.known_motion=0",
        "--config.encoder_steps=0", "--config.pictures.frames=8", "--config.pictures.batch=1", *steps,
    )  # fmt: skip
    return Settings(
        data=given / "recordings", networks=given / "networks", out=out, codec_sizes=codec, sizes=sizes,
        tuning=("--config.preference.validation_clips=2",), seconds=6.0,
        environment=(("JAX_DISABLE_MOST_OPTIMIZATIONS", "1"),),  # at this size it is compiling that takes the time
    )  # fmt: skip


def _recordings(folder: Path):
    """Makes the recordings of a data folder (`recipe.Settings.data`); videos are named by their conversation."""
    data, codec, films = folder / "recordings", FaceCodec(SIZE), []
    optional("soxr")
    with Speaker() as speaker, ThreadPoolExecutor() as threads:
        for split, count in SPLITS.items():
            seeds = (seed for seed in itertools.count() if _both_speak(simulate(seed, split, speaker, SECONDS)))
            for n, seed in enumerate(itertools.islice(seeds, count)):
                clip = simulate(seed, split, speaker, SECONDS, sound=True)
                person = 2 * n + 100 * (split == "eval")
                films.append(threads.submit(_filmed, data, f"{split}{n}", split, person, clip, codec))
        rows = [film.result() for film in films]
    with (data / "pairs.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def _both_speak(clip: Conversation) -> bool:
    return min(clip.avatar_speaking.mean(), clip.user_speaking.mean()) >= SPEAKS


def _filmed(data: Path, name: str, split: str, person: int, clip: Conversation, codec: FaceCodec) -> dict[str, str]:
    """Writes both videos of a conversation, with links to them where other steps look. Returns its line of the table.

    The people are the drawn person `person` and the next one.
    """
    import soxr

    row = {"conversation": name}
    for side in SIDES:
        path = data / side / f"{name}.mp4"
        identity = codec.identity(paint_portrait(person + (side == "user"), SIZE + SIZE // 4))
        pictures = codec.render(identity, getattr(clip, f"{side}_motion"))
        sound = getattr(clip, f"{side}_wave").astype(np.float32) / 32768
        with VideoWriter(path, SIZE, SIZE) as writer:
            writer.frames(pictures)
            writer.sound(soxr.resample(sound, RATE, SOUND_RATE))
        row |= {f"{side}_video": f"{side}/{name}.mp4", f"{side}_person": f"{name}_{side}"}
        _link(path, data / "faces" / split / f"{name}_{side}.mp4")
    if split == "eval":
        _link(data / "avatar" / f"{name}.mp4", data / "hdtf" / f"{name}.mp4")
        _link(data / "user" / f"{name}.mp4", data / "vico" / "talker" / f"{name}.mp4")
        _link(data / "avatar" / f"{name}.mp4", data / "vico" / "listener" / f"{name}.mp4")
    return row | {"split": split}


def _link(path: Path, link: Path):
    link.parent.mkdir(parents=True, exist_ok=True)
    link.hardlink_to(path)
