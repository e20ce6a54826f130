"""One set of simulated conversations and one model trained on it, at the size of the smoke config."""

import dataclasses

import pytest

from afjax.config import Config, from_dict
from data_pipeline.simulate.build import build
from experiments.configs import smoke
from experiments.runs.train import train_run


@pytest.fixture(scope="session")
def config(tmp_path_factory) -> Config:
    pytest.importorskip("espeakng_loader")
    config = from_dict(smoke.get_config().to_dict())
    folder = tmp_path_factory.mktemp("data") / "records"
    build(folder, {"train": config.data.train_clips, "eval": config.data.eval_clips}, config.data.seconds, 0)
    return dataclasses.replace(config, data=dataclasses.replace(config.data, path=str(folder)))


@pytest.fixture(scope="session")
def workdir(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run") / "run"
    train_run(config, workdir)
    return workdir
