"""One set of simulated conversations and one model trained on it, at the size of the smoke config.

Processes that share the tests share both: the first makes them, the others wait.
"""

import dataclasses
import fcntl
from contextlib import contextmanager
from pathlib import Path

import pytest

from afjax.config import Config, from_dict
from data_pipeline.simulate.build import build
from experiments.configs import smoke
from experiments.runs.train import train_run


@pytest.fixture(scope="session")
def shared(tmp_path_factory, worker_id) -> Path:
    """A folder of this run of the tests, one for all processes."""
    folder = tmp_path_factory.getbasetemp()
    return folder if worker_id == "master" else folder.parent


@contextmanager
def once(path: Path):
    """Holds a lock; -> whether `path` is still to be made."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not path.with_suffix(".made").exists()
        path.with_suffix(".made").touch()


@pytest.fixture(scope="session")
def config(shared) -> Config:
    pytest.importorskip("espeakng_loader")
    config = from_dict(smoke.get_config().to_dict())
    folder, counts = shared / "smoke_records", {"train": config.data.train_clips, "eval": config.data.eval_clips}
    with once(folder) as missing:
        if missing:
            build(folder, counts, config.data.seconds, 0)
    return dataclasses.replace(config, data=dataclasses.replace(config.data, path=str(folder)))


@pytest.fixture(scope="session")
def workdir(config, shared) -> Path:
    workdir = shared / "smoke_run"
    with once(workdir) as missing:
        if missing:
            train_run(config, workdir)
    return workdir
