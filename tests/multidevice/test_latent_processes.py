"""Four processes train, tune and measure a model of latent motion as one does."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from afjax import files
from afjax.config import ComputeConfig, to_dict
from tests.latent_conversations import write
from tests.multidevice.runs import ROOT
from tests.multidevice.test_processes import free_port


def run(folder, processes: int):
    """The way in so many processes; they are told of one another where there are several."""
    env = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_backend_optimization_level=0"}  # compiles faster
    where, started = f"localhost:{free_port()}", []
    for index in range(processes):
        told = [f"{where},{index}/{processes}"] if processes > 1 else []
        command = [sys.executable, "-m", "tests.multidevice.latent_way", str(folder), *told]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen(command, cwd=ROOT, env=env, **pipes))
    said = [process.communicate()[0] for process in started]
    for process, text in zip(started, said, strict=True):
        assert process.returncode == 0, text[-3000:]


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_four_processes_train_validate_and_evaluate_as_one(tmp_path):
    """Plain gradient descent: adaptive rates would make differences of rounding as large as a step."""
    config = write(tmp_path)
    optimizer = dataclasses.replace(config.optimizer, kind="sgd")
    config = dataclasses.replace(config, optimizer=optimizer, compute=ComputeConfig(data=0))
    files.write_json(tmp_path / "config.json", to_dict(config))
    for processes in (1, 4):
        run(tmp_path, processes)
    alone, shared = (tmp_path / str(processes) for processes in (1, 4))
    for name, wanted in (("run", "held_out/loss"), ("tuned", "loss")):
        one, other = (lines(folder / name / "metrics.jsonl") for folder in (alone, shared))
        assert [line["step"] for line in other] == [2, 4, 6]
        np.testing.assert_allclose(*[[line[wanted] for line in each] for each in (other, one)], rtol=1e-5)
    one, other = (lines(folder / "tuned" / "validation.jsonl") for folder in (alone, shared))
    assert [line["step"] for line in other] == [0, 2, 4, 6]
    np.testing.assert_allclose(*[[line["fd"] for line in each] for each in (other, one)], rtol=1e-5)
    one, other = (json.loads((folder / "table.json").read_text()) for folder in (alone, shared))
    assert set(one) == set(other) and "model" in one
    for row, figures in one.items():
        for metric, figure in figures.items():
            found = other[row][metric]
            assert found["n"] == figure["n"] and (found["mean"] is None) == (figure["mean"] is None)
            for value in ("mean", "low", "high"):
                if figure[value] is not None:
                    assert found[value] == pytest.approx(figure[value], rel=1e-5, abs=1e-5), (row, metric, value)
