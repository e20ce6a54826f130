"""A run folder from a config: data, training, samples, summary."""

import importlib.util
import shutil
import time
from pathlib import Path

import jax
import numpy as np

from afjax.audio import mel
from afjax.audio.framing import FPS
from afjax.codec.face.channels import CHANNELS
from afjax.config import Config, to_dict
from afjax.errors import InputError
from afjax.streaming.generator import Generator
from afjax.training import sharding
from afjax.training.loop import train
from data_pipeline.dataset import batches
from data_pipeline.records import Metadata, read_metadata, read_split
from data_pipeline.simulate.build import build
from data_pipeline.sources import first, sources
from experiments import cli, tuning
from experiments.board import show
from experiments.conversation import write_conversation
from experiments.run_folder import TrainingProgress, outcome, read_metrics, remember

SATURATED = 0.01
MEDIA = ("av", "soxr", "PIL", "ai_edge_litert", "matplotlib", "soundfile")


def train_run(
    config: Config,
    workdir: str | Path,
    tensorboard: bool = False,
    samples: bool = True,
    profile: tuple[int, int] | None = None,
) -> dict:
    """Trains in a run folder; returns (and writes) its summary. `samples`: whether motion and videos are written."""
    workdir = cli.writable(workdir, folder=True)
    started = time.perf_counter()
    with sharding.first_process_first("run folder"):
        remember(config, workdir)
        folder = training_data(config, workdir)
    metadata = read_metadata(folder)
    check_data(config, metadata, folder)
    prepared = time.perf_counter()
    preference = config.preference
    tuned = bool(preference.path)
    reference = tuning.start(config, metadata) if tuned else None
    mixed = [(cli.absolute(path), weight) for path, weight in sources(config.data.path)] if config.data.path else folder
    iterator = batches(
        mixed, "train", config.data.batch, config.data.window, config.training.seed,
        losing=cli.absolute(preference.path) if tuned else "", leave=preference.validation if tuned else 0,
        user_delay=config.layout.user_delay, swap=config.data.swap,
        part=sharding.rows(config),
    )  # fmt: skip
    meta = {"config": to_dict(config), "statistics": metadata.statistics.to_json()}
    board = workdir / "tensorboard" / "samples" if tensorboard else None
    sampler = Sampler(config, folder, metadata, workdir / "samples", board) if samples else lambda step, params: None
    sampler = sharding.on_first(sampler)
    validation = tuning.Validation(config, folder, metadata, workdir / "validation.jsonl") if tuned else None
    with TrainingProgress(config.training.num_steps) as progress:
        state = train(
            config, workdir, iterator, meta,
            reference=reference, tensorboard=tensorboard, profile=profile,
            begun=progress.begun, progress=progress.report,
            sample=sampler, validate=sharding.on_first(validation) if tuned else None,
        )  # fmt: skip
    sampler(int(state.step), state.ema_params)
    records = read_metrics(workdir)
    summary = {
        **outcome(config, workdir, state, iterator),
        "seconds": {"data": prepared - started, "train": records[-1]["seconds"]},
    }
    if validation:
        summary |= {"stopped": validation.reason or None, **_saturation(records)}
    if jax.process_index() == 0:
        cli.write_json(workdir / "summary.json", summary)
    return summary


def _saturation(records: list[dict]) -> dict:
    """Mean weight of a pair's gradient in the last logged steps, with a warning where the sigmoid is saturated."""
    pull = float(np.mean([record["pull"] for record in records[-5:]]))
    if pull < SATURATED:
        print(f"warning: pairs weigh {pull:.4f} on average: the sigmoid is saturated, lower preference.beta")
    return {"pull": pull, "accuracy": float(np.mean([record["accuracy"] for record in records[-5:]]))}


def training_data(config: Config, workdir: Path) -> Path:
    """Folder of the records: the first that is configured, or simulated into the run folder."""
    if config.data.path:
        return cli.absolute(first(config.data.path))
    if (config.model.motion_dim, config.model.audio_dim) != (len(CHANNELS), mel.DIM):
        raise InputError(
            f"simulated conversations have {len(CHANNELS)} motion channels and {mel.DIM} audio features, the model "
            f"{config.model.motion_dim} and {config.model.audio_dim}",
            "config",
            "give a data set that fits, --config.data.path=...",
        )
    folder = workdir / "data"
    for unfinished in workdir.glob(".data.*"):  # of a run that was killed
        shutil.rmtree(unfinished, ignore_errors=True)
    counts = {"train": config.data.train_clips, "eval": config.data.eval_clips}
    if not folder.exists():
        build(folder, counts, config.data.seconds, config.training.seed)
    frames = round(config.data.seconds * FPS)
    for split, stored in read_metadata(folder).splits.items():
        if (stored["count"], stored["frames"]) != (counts[split], frames):
            found = f"{stored['count']} {split} clips of {stored['frames']} frames"
            raise InputError(f"it holds {found}, the config asks for others", folder, "delete it or change data.*")
    return folder


def check_data(config: Config, metadata: Metadata, folder: Path):
    """Raises InputError if the records do not fit the model."""
    for what, found, wanted in (
        ("motion channels", len(metadata.channels), config.model.motion_dim),
        ("audio features", metadata.feature_dim, config.model.audio_dim),
    ):
        if found != wanted:
            raise InputError(f"{found} {what}, the config has {wanted}", folder, "build the data again")


class Sampler:
    """Writes generated motion of a few held-out clips as it goes, and the first seconds of one of them as a video.

    `board`: folder of TensorBoard events that get the video as well.
    """

    def __init__(self, config: Config, folder: Path, metadata: Metadata, out: Path, board: Path | None, clips: int = 4):
        self._clips = [clip for clip, _ in zip(read_split(folder, "eval"), range(clips), strict=False)]
        self._generator = Generator(config, None, metadata.statistics)
        self._out, self._board = out, board
        missing = [package for package in MEDIA if importlib.util.find_spec(package) is None]
        silent = not self._clips or self._clips[0].avatar_audio is None or metadata.channels != CHANNELS
        self._frames = 0 if missing or silent else round(config.training.sample_seconds * FPS)
        if missing:
            print(f"samples without videos: {', '.join(missing)} not installed")

    def __call__(self, step: int, params):
        if not self._clips:
            return
        avatar_audio, user_audio, user, recorded = (
            np.stack([getattr(clip, name) for clip in self._clips]).astype(np.float32)
            for name in ("avatar_features", "user_features", "user_motion", "avatar_motion")
        )
        self._generator.params = params
        rest = np.stack([clip.rest for clip in self._clips])
        motion = self._generator.clips(avatar_audio, user_audio, user, reference=rest)
        with cli.aside(self._out / f"{step:07d}.npz") as path:
            np.savez(path, motion=motion, recorded=recorded, user=user)
        if self._frames:
            video = self._out / f"{step:07d}.mp4"
            write_conversation(video, self._clips[0], motion[0, : self._frames], size=128)
            if self._board:
                show(self._board, step, video)
