"""A run folder of the latent codec: its pictures, its training, and the trained codec."""

import contextlib
from dataclasses import asdict
from pathlib import Path

import jax
import numpy as np

from afjax import files
from afjax.errors import InputError
from afjax.training import sharding
from afjax.training.latent_codec.config import LatentTrainingConfig
from afjax.training.latent_codec.step import train
from afjax.training.logging import require_boards
from afjax.weights.lpips import load_vgg
from data_pipeline import face_crops
from experiments import cli
from experiments.runs import measure_latent_codec
from experiments.runs.folder import TrainingProgress, outcome, read_metrics, remember

SOME = 64
"""Number of pictures that centre the encoder, one per person where there are enough people."""


def train_run(config: LatentTrainingConfig, workdir: str | Path, tensorboard: bool = False, wandb: str = "") -> dict:
    """Trains in a run folder and measures the result; returns (and writes) its summary.

    Only the first of several processes measures; the others return an empty summary. `tensorboard`, `wandb`: as for
    `MetricWriter`.
    """
    require_boards(tensorboard, wandb)
    workdir = files.writable(workdir, folder=True)
    with files.held(workdir) if jax.process_index() == 0 else contextlib.nullcontext():
        return _train_run(config, workdir, {"tensorboard": tensorboard, "wandb": wandb})


def _train_run(config: LatentTrainingConfig, workdir: Path, boards: dict) -> dict:
    vgg = load_vgg(config.loss.vgg) if config.loss.vgg else None
    part = sharding.rows(config.compute, config.pictures.batch)
    watch = cli.Watch()
    with watch("data"), sharding.first_process_first("run folder"):
        remember(config, workdir)
        folder = _pictures(config, workdir / "data")
    faces = face_crops.Faces(folder, "train")
    batches = face_crops.batches(faces, config.pictures.batch, config.training.seed, part)
    chosen = [(faces[n % len(faces)].pictures, n) for n in range(SOME)]
    people = np.stack([pictures[n % len(pictures)] for pictures, n in chosen])
    with TrainingProgress(config.training.num_steps) as progress:
        codec = {"codec": asdict(config.codec)}
        around = boards | {"begun": progress.begun, "progress": progress.report}
        state = train(config, workdir, batches, codec, vgg, people, **around)
    state = state.replace(params=sharding.whole(state.params), ema_params=sharding.whole(state.ema_params))
    if jax.process_index() > 0:
        sharding.together("measured")
        return {}
    with watch("measure"):
        measured = measure_latent_codec.measure(config.codec, state.ema_params, folder, workdir / "samples", vgg)
    trained = {"train": read_metrics(workdir)[-1]["seconds"]}
    summary = (
        outcome(config, workdir, state, batches)
        | measured
        | {"seconds": watch.seconds | trained, "warnings": cli.said()}
    )
    files.write_json(workdir / "summary.json", summary)
    sharding.together("measured")
    return summary


def _pictures(config: LatentTrainingConfig, folder: Path) -> Path:
    """The run's pictures, made where they are missing."""
    pictures = config.pictures
    source = face_crops.Source(
        config.codec.size, config.codec.margin, pictures.frames, pictures.videos,
        pictures.train_people, pictures.eval_people, config.training.seed,
    )  # fmt: skip
    if folder.exists():
        if face_crops.read_index(folder)["source"] != asdict(source):
            raise InputError("it holds pictures of another config", folder, "delete it or choose another --workdir")
        return folder
    with cli.Progress(0, "read", "clips") as progress:

        def report(done: int, total: int):
            progress.total = total
            progress.update(done - progress.done)

        index = face_crops.build(folder, source, report)
    for name, reason in index["left_out"].items():
        print(f"left out: {name}: {reason}")
    return folder
