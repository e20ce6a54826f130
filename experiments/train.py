"""Trains a model, or continues a run that was stopped.

    python -m experiments.train --config experiments/configs/quickstart.py --workdir out/quickstart
    python -m experiments.train --config experiments/configs/quickstart.py --workdir out/wide --config.model.width=128

Without `--config.data.path` conversations are simulated into `workdir/data` first. The run folder holds `config.json`,
`metrics.jsonl`, `checkpoints/`, `samples/` (motion of held-out conversations as it goes, and a
video) and `summary.json`. A folder with a checkpoint of another config is refused.
"""

import json
import time
from pathlib import Path

import numpy as np
from absl import flags

from afjax.audio.framing import FPS
from afjax.config import Config, from_dict, to_dict
from afjax.errors import InputError
from afjax.streaming.generator import Generator
from afjax.training.loop import train
from afjax.training.state import count
from data_pipeline.dataset import batches
from data_pipeline.records import Metadata, read_metadata, read_split
from data_pipeline.simulate.build import build
from experiments import cli
from experiments.conversation import write_conversation

_CONFIG = cli.define_config("config", Path(__file__).parent / "configs" / "quickstart.py")
_WORKDIR = flags.DEFINE_string("workdir", "out/quickstart", "Run folder.")
_TENSORBOARD = flags.DEFINE_bool("tensorboard", False, "Also write TensorBoard events (needs tensorboardX).")


def main():
    summary = train_run(from_dict(_CONFIG.value.to_dict()), _WORKDIR.value, _TENSORBOARD.value)
    cli.print_table([(name, value) for name, value in summary.items() if not isinstance(value, dict)])


def train_run(config: Config, workdir: str | Path, tensorboard: bool = False) -> dict:
    """Trains in a run folder; returns (and writes) its summary."""
    workdir = cli.writable(workdir, folder=True)
    remember(config, workdir)
    started = time.perf_counter()
    folder = training_data(config, workdir)
    metadata = read_metadata(folder)
    check_data(config, metadata, folder)
    prepared = time.perf_counter()
    iterator = batches(folder, "train", config.data.batch, config.data.window, config.train.seed)
    meta = {"config": to_dict(config), "statistics": metadata.statistics.to_json()}
    sampler = Sampler(config, folder, metadata, workdir / "samples")
    with cli.Progress(config.train.steps, "train", "steps") as progress:

        def report(step: int, metrics: dict):
            progress.update(step - progress.done, f"loss {metrics['loss']:.4f}")

        state = train(config, workdir, iterator, meta, tensorboard=tensorboard, progress=report, sample=sampler)
    sampler(int(state.step), state.ema_params)
    records = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    summary = {
        "workdir": workdir,
        "name": config.name,
        "steps": int(state.step),
        "parameters": count(state.params),
        "loss": float(np.mean([record["loss"] for record in records[-5:]])),
        "seconds": {"data": prepared - started, "train": time.perf_counter() - prepared},
    }
    cli.write_json(workdir / "summary.json", summary)
    return summary


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
            raise InputError(
                f"the run was started with another config ({changed[0]})", workdir, "choose another --workdir"
            )
    cli.write_json(path, to_dict(config))


def differences(old: dict, new: dict, where: str = "") -> list[str]:
    """Names of settings that differ; how long to train and how often to write may change."""
    free = {"train.steps", "train.log_every", "train.save_every", "train.sample_every", "train.keep"}
    found = []
    for name in new:
        path = f"{where}{name}"
        if isinstance(new[name], dict) and isinstance(old[name], dict) and name != "drop_table":
            found += differences(old[name], new[name], f"{path}.")
        elif old[name] != new[name] and path not in free:
            found.append(f"{path}: {old[name]} before, {new[name]} asked for")
    return found


def training_data(config: Config, workdir: Path) -> Path:
    """Folder of the records: the configured one, or simulated into the run folder."""
    if config.data.path:
        return Path(config.data.path).expanduser().absolute()
    folder = workdir / "data"
    if not folder.exists():
        counts = {"train": config.data.train_clips, "eval": config.data.eval_clips}
        build(folder, counts, config.data.seconds, config.train.seed)
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
        self._config, self._metadata, self._out = config, metadata, out
        self._clips = [clip for clip, _ in zip(read_split(folder, "eval"), range(clips), strict=False)]

    def __call__(self, step: int, params):
        if not self._clips:
            return
        avatar_audio, user_audio, user, recorded = (
            np.stack([getattr(clip, name) for clip in self._clips]).astype(np.float32)
            for name in ("avatar_features", "user_features", "user_motion", "avatar_motion")
        )
        motion = Generator(self._config, params, self._metadata.statistics).clips(avatar_audio, user_audio, user)
        self._out.mkdir(parents=True, exist_ok=True)
        np.savez(self._out / f"{step:07d}.npz", motion=motion, recorded=recorded, user=user)
        if self._clips[0].avatar_audio is not None and self._config.train.sample_seconds:
            shown = motion[0, : round(self._config.train.sample_seconds * FPS)]
            write_conversation(self._out / f"{step:07d}.mp4", self._clips[0], shown, size=128)


if __name__ == "__main__":
    cli.run(main)
