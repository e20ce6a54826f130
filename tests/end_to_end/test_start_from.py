"""A run that starts from a model: its weights, its statistics, and models that don't fit."""

import dataclasses
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

import afjax
from afjax.config import Config
from afjax.errors import InputError
from data_pipeline import records
from experiments.runs.train import train_run


def continued(config: Config, model, rate: float, **training) -> Config:
    training = {"start_from": str(model), "num_steps": 2, "log_every": 1, "probe_every": 0} | training
    optimizer = {"kind": "adamw", "learning_rate": rate, "warmup_steps": 1, "weight_decay": 0.0}
    return dataclasses.replace(
        config,
        training=dataclasses.replace(config.training, **training),
        optimizer=dataclasses.replace(config.optimizer, **optimizer),
    )


def test_it_has_the_weights_and_the_statistics_of_the_model(config, workdir, tmp_path):
    model = afjax.load(workdir)
    model.save(tmp_path / "model")
    metadata = records.read_metadata(config.data.path)
    other = dataclasses.replace(metadata.normalizer, motion_std=2 * metadata.normalizer.motion_std)
    data = tmp_path / "data"
    data.mkdir()
    for file in Path(config.data.path).iterdir():
        (data / file.name).symlink_to(file.resolve())
    (data / records.METADATA).unlink()
    records.write_metadata(data, dataclasses.replace(metadata, normalizer=other))
    elsewhere = dataclasses.replace(config, data=dataclasses.replace(config.data, path=str(data)))
    train_run(continued(elsewhere, tmp_path / "model", rate=1e-30), tmp_path / "still", samples=False)
    still = afjax.load(tmp_path / "still")
    # the average of equal weights rounds
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), still.generator.params, model.generator.params)
    assert still.normalizer.to_json() == model.normalizer.to_json() != other.to_json()
    train_run(continued(config, tmp_path / "model", rate=1e-3), tmp_path / "moved", samples=False)
    moved = jax.tree.leaves(afjax.load(tmp_path / "moved").generator.params)
    assert max(np.abs(x - y).max() for x, y in zip(moved, jax.tree.leaves(model.generator.params), strict=True)) > 1e-5


def test_models_that_do_not_fit_are_named(config, tmp_path):
    for model, message in (
        ("nobody", "no model of this name"),
        ("listener", r"model\.width"),
        ("listener_fast", "was distilled .* start from its teacher, listener"),
    ):
        with pytest.raises(InputError, match=message):
            train_run(continued(config, model, rate=1e-3), tmp_path / model, samples=False)
    with pytest.raises(InputError, match=r"start_from must be empty"):
        dataclasses.replace(
            continued(config, "listener", rate=1e-3), distillation=dataclasses.replace(config.distillation, model="a")
        )
