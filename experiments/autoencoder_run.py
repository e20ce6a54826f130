"""A run folder of the latent codec: its pictures, its training, and the codec that came of it."""

from dataclasses import asdict
from pathlib import Path

import jax
import numpy as np

from afjax.codec.latent.autoencoder import init_params
from afjax.codec.latent.codec import LatentCodec
from afjax.errors import InputError
from afjax.training.autoencoder import train
from afjax.training.autoencoder_config import AutoencoderConfig
from afjax.training.checkpoint import load_ema
from afjax.weights.lpips import load_vgg
from data_pipeline import frames
from experiments import autoencoder_report, cli
from experiments.run_folder import TrainingProgress, outcome, read_config, read_metrics, remember

__all__ = ["load_autoencoder", "train_run"]

SOME = 64
"""Pictures by which the encoder is centred, one of each person where there are as many."""


def train_run(config: AutoencoderConfig, workdir: str | Path) -> dict:
    """Trains in a run folder and measures the result; returns (and writes) its summary."""
    workdir = cli.writable(workdir, folder=True)
    vgg = load_vgg(config.loss.vgg) if config.loss.vgg else None
    remember(config, workdir)
    watch = cli.Watch()
    with watch("data"):
        folder = _pictures(config, workdir / "data")
    faces = frames.Faces(folder, "train")
    batches = frames.batches(faces, config.pictures.batch, config.training.seed)
    chosen = [(faces[n % len(faces)].pictures, n) for n in range(SOME)]
    people = np.stack([pictures[n % len(pictures)] for pictures, n in chosen])
    with TrainingProgress(config.training.num_steps) as progress:
        codec = {"codec": asdict(config.codec)}
        state = train(config, workdir, batches, codec, vgg, people, begun=progress.begun, progress=progress.report)
    with watch("measure"):
        measured = autoencoder_report.measure(config.codec, state.ema_params, folder, workdir / "samples", vgg)
    trained = {"train": read_metrics(workdir)[-1]["seconds"]}
    summary = outcome(config, workdir, state, batches) | measured | {"seconds": watch.seconds | trained}
    cli.write_json(workdir / "summary.json", summary)
    return summary


def _pictures(config: AutoencoderConfig, folder: Path) -> Path:
    """The run's pictures, made where they are missing."""
    pictures = config.pictures
    source = frames.Source(
        config.codec.size, config.codec.margin, pictures.frames, pictures.videos,
        pictures.train_people, pictures.eval_people, config.training.seed,
    )  # fmt: skip
    if folder.exists():
        if frames.read_index(folder)["source"] != asdict(source):
            raise InputError("it holds pictures of another config", folder, "delete it or choose another --workdir")
        return folder
    with cli.Progress(0, "read", "clips") as progress:

        def report(done: int, total: int):
            progress.total = total
            progress.update(done - progress.done)

        index = frames.build(folder, source, report)
    for name, reason in index["left_out"].items():
        print(f"left out: {name}: {reason}")
    return folder


def load_autoencoder(workdir: str | Path) -> LatentCodec:
    """The codec of a run folder, with averaged weights. Raises InputError without a checkpoint."""
    workdir = cli.absolute(workdir)
    config = read_config(workdir, AutoencoderConfig, "give the run folder of experiments.train_autoencoder").codec
    shapes = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
    return LatentCodec(config, load_ema(workdir, shapes)[0])
