"""A run folder from a config: data, training, samples, summary."""

import importlib.util
import json
import time
from pathlib import Path

import numpy as np

from afjax.audio import mel
from afjax.audio.framing import FPS
from afjax.codec.face.channels import CHANNELS
from afjax.config import Config, differences, from_dict, to_dict
from afjax.errors import InputError
from afjax.streaming.generator import Generator
from afjax.training.checkpoint import Checkpoints
from afjax.training.loop import train
from afjax.training.state import count
from data_pipeline.dataset import batches
from data_pipeline.records import Metadata, read_metadata, read_split
from data_pipeline.simulate.build import build
from experiments import cli, tuning
from experiments.conversation import write_conversation

SATURATED = 0.01
MEDIA = ("av", "soxr", "PIL", "ai_edge_litert", "matplotlib")


def train_run(config: Config, workdir: str | Path, tensorboard: bool = False, samples: bool = True) -> dict:
    """Trains in a run folder; returns (and writes) its summary. `samples`: whether motion and videos are written."""
    workdir = cli.writable(workdir, folder=True)
    remember(config, workdir)
    started = time.perf_counter()
    folder = training_data(config, workdir)
    metadata = read_metadata(folder)
    check_data(config, metadata, folder)
    prepared = time.perf_counter()
    preference = config.preference
    tuned = bool(preference.path)
    reference = tuning.start(config, metadata) if tuned else None
    iterator = batches(
        folder, "train", config.data.batch, config.data.window, config.training.seed,
        losing=cli.absolute(preference.path) if tuned else "", leave=preference.validation if tuned else 0,
        user_delay=config.layout.user_delay,
    )  # fmt: skip
    with Checkpoints(workdir) as checkpoints:
        resumed = checkpoints.latest or 0
    if resumed:
        print(f"continues at step {resumed}")
    meta = {"config": to_dict(config), "statistics": metadata.statistics.to_json()}
    sampler = Sampler(config, folder, metadata, workdir / "samples") if samples else lambda step, params: None
    validation = tuning.Validation(config, folder, metadata, workdir / "validation.jsonl") if tuned else None
    with cli.Progress(max(config.training.num_steps - resumed, 0), "train", "steps") as progress:

        def report(step: int, metrics: dict):
            progress.update(step - resumed - progress.done, f"loss {metrics['loss']:.4f}")

        state = train(
            config, workdir, iterator, meta,
            tensorboard=tensorboard, progress=report, sample=validation or sampler, reference=reference,
        )  # fmt: skip
    sampler(int(state.step), state.ema_params)
    records = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    summary = {
        "workdir": workdir,
        "name": config.name,
        "steps": int(state.step),
        "parameters": count(state.params),
        "loss": float(np.mean([record["loss"] for record in records[-5:]])),
        "seconds": {"data": prepared - started, "train": records[-1]["seconds"]},
    }
    if validation:
        summary |= {"stopped": validation.reason or None, **_saturation(records)}
    cli.write_json(workdir / "summary.json", summary)
    return summary


def _saturation(records: list[dict]) -> dict:
    """Mean weight of a pair's gradient in the last logged steps, with a warning where the sigmoid is saturated."""
    pull = float(np.mean([record["pull"] for record in records[-5:]]))
    if pull < SATURATED:
        print(f"warning: pairs weigh {pull:.4f} on average: the sigmoid is saturated, lower preference.beta")
    return {"pull": pull, "accuracy": float(np.mean([record["accuracy"] for record in records[-5:]]))}


def remember(config: Config, workdir: Path):
    """Writes `config.json`, or checks that a run that is continued has the same one but for its length."""
    path = workdir / "config.json"
    if path.exists():
        try:
            old = from_dict(json.loads(path.read_text()), where=str(path))
        except ValueError as error:
            raise InputError(f"not readable: {error}", path, "choose another --workdir") from None
        changed = differences(to_dict(old), to_dict(config))
        if changed and (workdir / "checkpoints").exists():
            why = f"the run was started with another config ({changed[0]})"
            raise InputError(why, workdir, "choose another --workdir")
    cli.write_json(path, to_dict(config))


def training_data(config: Config, workdir: Path) -> Path:
    """Folder of the records: the configured one, or simulated into the run folder."""
    if config.data.path:
        return Path(config.data.path).expanduser().absolute()
    if (config.model.motion_dim, config.model.audio_dim) != (len(CHANNELS), mel.DIM):
        raise InputError(
            f"simulated conversations have {len(CHANNELS)} motion channels and {mel.DIM} audio features, the model "
            f"{config.model.motion_dim} and {config.model.audio_dim}",
            "config",
            "give a data set that fits, --config.data.path=...",
        )
    folder = workdir / "data"
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
    """Writes generated motion of a few held-out clips as it goes, and the first seconds of one of them as a video."""

    def __init__(self, config: Config, folder: Path, metadata: Metadata, out: Path, clips: int = 4):
        self._clips = [clip for clip, _ in zip(read_split(folder, "eval"), range(clips), strict=False)]
        self._generator = Generator(config, None, metadata.statistics)
        self._out = out
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
            write_conversation(self._out / f"{step:07d}.mp4", self._clips[0], motion[0, : self._frames], size=128)
