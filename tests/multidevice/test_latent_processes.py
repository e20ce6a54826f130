"""Four processes train, tune and measure a model of latent motion as one does."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from afjax.avatar.runs import load_run
from experiments.preferences.losing_samples import make_preferences
from tests.latent_conversations import settings, write
from tests.multidevice.runs import ROOT
from tests.multidevice.test_processes import free_port


def run(processes: int, program: str, *flags: str):
    """A program in so many processes; they are told of one another where there are several."""
    env = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_backend_optimization_level=0"}  # compiles faster
    where, started = f"localhost:{free_port()}", []
    for index in range(processes):
        told = [f"--distributed={where},{index}/{processes}"] if processes > 1 else []
        command = [sys.executable, "-m", f"experiments.{program}", *flags, *told]
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
    common = ["--config=experiments/configs/smoke.py", "--config.optimizer.kind=sgd", "--config.compute.data=0"]
    common += [f"--config.{group}.{name}={value}" for group, name, value in settings(tmp_path)]
    tables = []
    for processes in (1, 4):
        folder = tmp_path / str(processes)
        run(processes, "train", *common, f"--workdir={folder / 'run'}")
        if processes == 1:
            make_preferences(load_run(folder / "run"), config.data.path, tmp_path / "losing", per_clip=1)
        preference = {"path": tmp_path / "losing", "model": folder / "run", "validation": 2, "fd_growth": 100.0}
        tuned = [f"--config.preference.{name}={value}" for name, value in preference.items()]
        run(processes, "train", *common, *tuned, f"--workdir={folder / 'tuned'}")
        run(processes, "evaluate", f"--workdir={folder / 'tuned'}", f"--out={folder / 'evaluation'}")
        tables.append(json.loads((folder / "evaluation" / "summary.json").read_text())["metrics"])
    alone, shared = (tmp_path / str(processes) for processes in (1, 4))
    for name, wanted in (("run", "held_out/loss"), ("tuned", "loss")):
        one, other = (lines(folder / name / "metrics.jsonl") for folder in (alone, shared))
        assert [line["step"] for line in other] == [2, 4, 6]
        np.testing.assert_allclose(*[[line[wanted] for line in each] for each in (other, one)], rtol=1e-5)
    one, other = (lines(folder / "tuned" / "validation.jsonl") for folder in (alone, shared))
    assert [line["step"] for line in other] == [0, 2, 4, 6]
    np.testing.assert_allclose(*[[line["fd"] for line in each] for each in (other, one)], rtol=1e-5)
    assert set(tables[0]) == set(tables[1]) and "model" in tables[0]
    for row, figures in tables[0].items():
        for metric, figure in figures.items():
            found = tables[1][row][metric]
            assert found["n"] == figure["n"] and (found["mean"] is None) == (figure["mean"] is None)
            for value in ("mean", "low", "high"):
                if figure[value] is not None:
                    assert found[value] == pytest.approx(figure[value], rel=1e-5, abs=1e-5), (row, metric, value)
