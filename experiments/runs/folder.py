"""Files of every run folder beside its checkpoints: `config.json`, `metrics.jsonl` and `summary.json`."""

import json
from pathlib import Path

import numpy as np

from afjax import digests, files
from afjax.config import differences, to_dict
from afjax.config.dicts import read_config
from afjax.errors import InputError
from afjax.training.generator.state import count
from experiments import cli


def remember(config, workdir: Path):
    """Writes `config.json`, or checks that a continued run has the same one but for its length."""
    other = "choose another --workdir"
    steps = [int(step.name) for step in workdir.glob("checkpoints/*") if step.name.isdigit()]
    done = max(steps, default=0)
    if done > config.training.num_steps:
        what = f"{done} steps are done, training.num_steps asks for {config.training.num_steps}"
        raise InputError(what, workdir, f"ask for more, or {other}")
    if (workdir / "config.json").exists():
        changed = differences(to_dict(read_config(workdir, type(config), other)), to_dict(config))
        if changed and steps:
            raise InputError(f"the run was started with another config ({changed[0]})", workdir, other)
    files.write_json(workdir / "config.json", to_dict(config))


def read_metrics(workdir: Path) -> list[dict]:
    """Lines of `metrics.jsonl`."""
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


class TrainingProgress(cli.Progress):
    """Progress of a training, from the step where it goes on."""

    def __init__(self, steps: int):
        super().__init__(steps, "train", "steps")
        self._end = steps

    def begun(self, step: int):
        self.total -= step
        if step:
            print(f"continues at step {step}")

    def report(self, step: int, metrics: dict):
        self.update(self.total - (self._end - step) - self.done, f"loss {metrics['loss']:.4f}")


def outcome(config, workdir: Path, state, batches) -> dict:
    """Entries of every summary: names, sizes, the last loss, hashes of the parameters and of what they saw."""
    return {
        "workdir": workdir,
        "name": config.name,
        "steps": int(state.step),
        "parameters": count(state.params),
        "loss": float(np.mean([record["loss"] for record in read_metrics(workdir)[-5:]])),
        "params_sha256": digests.of_params(state.params),
        "data_sha256": batches.sha256,
    }
