"""Kills a training run at random moments, starts it again each time, and compares its end with a run never killed.

    python -m tests.end_to_end.kill_and_resume --kills 25 --out /tmp/kills

A moment is `kill -9` after the first step of a start, at a time drawn from 0 to a share of the whole run such that no
start can finish early. Compared to the bit: parameters, their average, optimizer state, the hash of the names of all
windows seen, and the metrics. It fails too where no kill fell into a save. Without `--data` conversations are simulated
first. About 10 s a kill on an idle machine.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

from afjax.config import Config, from_dict
from afjax.training.checkpoint import Checkpoints
from afjax.training.generator.state import init_state

ROOT = Path(__file__).resolve().parents[2]
CLOCKS = {"seconds", "steps_per_second", "frames_per_second", "flops_per_second", "mfu", "input_wait"}
MEMORY = {"device_gb", "process_gb"}


def start(workdir: Path, settings: list[str], log: Path) -> subprocess.Popen:
    """`experiments.train` with the smoke config in a process group of its own."""
    config = ROOT / "experiments/configs/smoke.py"
    command = [sys.executable, "-m", "experiments.train", "--config", str(config), "--workdir", str(workdir), *settings]
    with log.open("a") as out:
        return subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, start_new_session=True)


def steps(workdir: Path) -> int:
    """Number of whole lines in a run's metrics."""
    path = workdir / "metrics.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def kill_one(workdir: Path, settings: list[str], log: Path, delay: float) -> bool:
    """Starts the run and kills it `delay` seconds after its first step; whether a save was in flight.

    Raises RuntimeError if the run ends before.
    """
    metrics = workdir / "metrics.jsonl"
    inode = metrics.stat().st_ino if metrics.exists() else None
    process = start(workdir, settings, log)
    while process.poll() is None and (not metrics.exists() or metrics.stat().st_ino == inode):
        time.sleep(0.005)  # a run that goes on writes the lines up to its checkpoint to another file, then appends
    kept = steps(workdir)
    while process.poll() is None and steps(workdir) <= kept:
        time.sleep(0.005)
    time.sleep(delay)
    if process.poll() is not None:
        raise RuntimeError(f"the run ended with code {process.returncode} before it was killed\n{log.read_text()}")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return any(workdir.glob("checkpoints/*.orbax-checkpoint-tmp*"))


def kill_and_resume(workdir: Path, settings: list[str], kills: int, longest: float, seed: int = 0) -> int:
    """Kills the run `kills` times, then lets it end; the number of kills with a save in flight."""
    workdir.mkdir(parents=True, exist_ok=True)
    rng, log, in_flight = random.Random(seed), workdir / "log.txt", 0
    for number in range(kills):
        delay = rng.uniform(0, longest)
        flying = kill_one(workdir, settings, log, delay)
        in_flight += flying
        print(f"kill {number + 1} after {delay:.2f} s, step {steps(workdir)}{', saving' * flying}", flush=True)
    if start(workdir, settings, log).wait():
        raise RuntimeError(log.read_text())
    return in_flight


def differences(config: Config, one: Path, other: Path) -> list[str]:
    """In what two ended runs differ."""
    states, places = zip(*(final(config, workdir) for workdir in (one, other)), strict=True)
    found = [] if places[0] == places[1] else ["place and names of the data"]
    pairs = zip(*(jax.tree_util.tree_leaves_with_path(state) for state in states), strict=True)
    found += [jax.tree_util.keystr(path) for (path, a), (_, b) in pairs if not np.array_equal(a, b)]
    summaries = [json.loads((workdir / "summary.json").read_text()) for workdir in (one, other)]
    found += [name for name in ("params_sha256", "data_sha256") if summaries[0][name] != summaries[1][name]]
    logs = [logged(workdir) for workdir in (one, other)]
    common = logs[0].keys() & logs[1].keys()
    return found + [f"metrics of step {step}" for step in sorted(common) if logs[0][step] != logs[1][step]]


def final(config: Config, workdir: Path):
    """State and place of the data of an ended run."""
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.restore(init_state(config))


def logged(workdir: Path) -> dict[int, dict]:
    """Lines of the metrics by step, without what clock and memory say; each step must be there once."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert len({line["step"] for line in lines}) == len(lines)
    return {
        line["step"]: {name: value for name, value in line.items() if name not in CLOCKS | MEMORY} for line in lines
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--out", type=Path, default=Path("out/kills"))
    parser.add_argument("--data", default="")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--save_every", type=int, default=5)
    args = parser.parse_args()
    out = args.out.absolute()
    shutil.rmtree(out, ignore_errors=True)
    straight, killed = out / "straight", out / "killed"
    straight.mkdir(parents=True)
    settings = [f"--config.training.{name}={value}" for name, value in (
        ("num_steps", args.steps), ("save_every", args.save_every), ("log_every", 1), ("sample_every", 10**6),
    )]  # fmt: skip
    settings.append(f"--config.data.path={args.data}")
    if start(straight, settings, straight / "log.txt").wait():
        raise RuntimeError((straight / "log.txt").read_text())
    if not args.data:
        shutil.copytree(straight / "data", killed / "data")
    seconds = json.loads((straight / "summary.json").read_text())["seconds"]["train"]
    in_flight = kill_and_resume(killed, settings, args.kills, seconds / (args.kills + 1), args.seed)
    config = from_dict(json.loads((straight / "config.json").read_text()))
    found = differences(config, straight, killed)
    print(f"{args.kills} kills, {in_flight} with a save in flight: {', '.join(found) or 'the runs are identical'}")
    sys.exit(bool(found) or not in_flight)


if __name__ == "__main__":
    main()
