"""Two processes, connected over loopback, equal one."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.multidevice.runs import ROOT, begin, end, run


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize("mesh", [{"data": 0}, {"data": 0, "fsdp": 2}, {"data": 2, "tensor": 2}])
def test_two_processes_equal_one(mesh):
    where = f"localhost:{free_port()}"
    both = [begin("process", f"{where},{index}/2", mesh, devices=2) for index in range(2)]
    first, second = map(end, both)
    alone = run("process", "", {}, devices=1)
    assert first == second and first["devices"] == 4
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-5)


def train(workdir, *settings) -> subprocess.Popen:
    """`experiments.train` with the smoke config."""
    fields = {"num_steps": 60, "save_every": 50, "log_every": 1, "sample_every": 1000}
    given = [f"--config.training.{name}={value}" for name, value in fields.items()]
    command = [sys.executable, "-m", "experiments.train", "--config", "experiments/configs/smoke.py", *given, *settings]
    workdir.mkdir(exist_ok=True)
    with (workdir / f"log{len(list(workdir.glob('log*')))}").open("w") as log:
        return subprocess.Popen(
            [*command, "--workdir", str(workdir)],
            cwd=ROOT,
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
            stdout=log,
            stderr=log,
        )


def logged(workdir) -> list[dict]:
    path = workdir / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.slow
def test_two_processes_stop_at_a_signal_to_one_and_a_single_one_goes_on(tmp_path):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    assert train(alone).wait() == 0
    data, where = f"--config.data.path={alone / 'data'}", f"localhost:{free_port()}"
    both = [train(shared, data, "--config.compute.data=0", f"--distributed={where},{n}/2") for n in range(2)]
    while len(logged(shared)) < 5 and both[0].poll() is None:
        time.sleep(0.05)
    both[1].send_signal(signal.SIGTERM)
    assert [process.wait() for process in both] == [128 + signal.SIGTERM] * 2
    stopped = logged(shared)[-1]["step"]
    assert [int(path.name) for path in shared.glob("checkpoints/[0-9]*")] == [stopped] and stopped < 60
    assert train(shared, data).wait() == 0
    assert [line["step"] for line in logged(shared)] == list(range(1, 61))
    losses = [[line["loss"] for line in logged(folder)] for folder in (alone, shared)]
    assert losses[1][:stopped] == pytest.approx(losses[0][:stopped], rel=1e-3)
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (alone, shared)]
    assert summaries[0]["data_sha256"] == summaries[1]["data_sha256"]
