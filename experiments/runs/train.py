"""A run folder from a config: data, training, samples, summary."""

import contextlib
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from afjax import files
from afjax.config import Config, to_dict
from afjax.training import sharding
from afjax.training.generator.train import train
from afjax.training.logging import require_boards
from data_pipeline.dataset import batches, sources
from data_pipeline.records import read_metadata
from experiments.runs import teacher, tune
from experiments.runs.data import check_data, training_data
from experiments.runs.folder import TrainingProgress, outcome, read_metrics, remember
from experiments.runs.held_out import held_out_probe
from experiments.runs.samples import SampleWriter
from experiments.runs.start import start

SATURATED = 0.01


def train_run(
    config: Config,
    workdir: str | Path,
    tensorboard: bool = False,
    wandb: str = "",
    samples: bool = True,
    profile: tuple[int, int] | None = None,
) -> dict:
    """Trains in a run folder; returns (and writes) its summary.

    `samples`: whether motion and videos are written; `tensorboard`, `wandb`: as for `MetricWriter`.
    """
    require_boards(tensorboard, wandb)
    workdir = files.writable(workdir, folder=True)
    with files.held(workdir) if jax.process_index() == 0 else contextlib.nullcontext():
        return _train_run(config, workdir, tensorboard, wandb, samples, profile)


def _train_run(config: Config, workdir: Path, tensorboard: bool, wandb: str, samples: bool, profile) -> dict:
    if config.data.features:  # absolute, so that the run loads from any folder
        config = replace(config, data=replace(config.data, features=str(files.absolute(config.data.features))))
    started = time.perf_counter()
    with sharding.first_process_first("run folder"):
        remember(config, workdir)
        folder = training_data(config, workdir)
    metadata = read_metadata(folder)
    features = check_data(config, metadata, folder)
    prepared = time.perf_counter()
    preference = config.preference
    tuned = bool(preference.path)
    begin, ref_params, guided = None, None, None
    if config.training.start_from:
        begin, metadata = start(config.training.start_from, config, metadata, "start from")
    if tuned:
        ref_params, metadata = tune.reference(config, metadata)
    if config.distillation.model:
        ref_params, guided, metadata = teacher.guided(config, metadata)
    validation = tune.Validation(config, folder, metadata, workdir / "validation.jsonl") if tuned else None
    mixed = (
        [(files.absolute(path), weight) for path, weight in sources(config.data.path)] if config.data.path else folder
    )
    iterator = batches(
        mixed, "train", config.data.batch, config.data.window, config.training.seed,
        losing=files.absolute(preference.path) if tuned else "", leave=preference.validation_clips if tuned else 0,
        user_delay=config.layout.user_delay, swap=config.data.swap,
        part=sharding.rows(config.compute, config.data.batch), stored=True, filter=config.data.filter,
        earlier=config.model.earlier_frames,
    )  # fmt: skip
    if jax.process_index() == 0:
        for path, kept, total in iterator.kept:
            print(f"data.filter keeps {kept} of {total} clips of {path}")
    meta = {"config": to_dict(config), "statistics": metadata.normalizer.to_json(), "features": features}
    board = workdir / "tensorboard" / "samples" if tensorboard else None
    sampler = (
        SampleWriter(config, folder, metadata, workdir / "samples", board) if samples else lambda step, params: None
    )
    sampler = sharding.on_first(sampler)
    probe = held_out_probe(config, folder, metadata) if config.training.probe_every else None
    with TrainingProgress(config.training.num_steps) as progress:
        state = train(
            config, workdir, iterator, meta,
            ref_params=ref_params, normalizer=metadata.normalizer, teacher=guided, start=begin,
            tensorboard=tensorboard, wandb=wandb, profile=profile,
            begun=progress.begun, progress=progress.report,
            sample=sampler, validate=sharding.in_all(validation) if tuned else None,
            probe=probe,
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
        files.write_json(workdir / "summary.json", summary)
    return summary


def _saturation(records: list[dict]) -> dict:
    """Mean weight of a pair's gradient in the last logged steps, with a warning where the sigmoid is saturated."""
    weights = [record["grad_weight"] if "grad_weight" in record else record["pull"] for record in records[-5:]]
    weight = float(np.mean(weights))  # an earlier run's record has it as `pull`
    if weight < SATURATED:
        print(f"warning: pairs weigh {weight:.4f} on average: the sigmoid is saturated, lower preference.beta")
    return {"grad_weight": weight, "accuracy": float(np.mean([record["accuracy"] for record in records[-5:]]))}
