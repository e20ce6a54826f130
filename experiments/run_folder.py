"""What every run folder holds beside its checkpoints: `config.json`, `metrics.jsonl` and `summary.json`."""

import json
from pathlib import Path

import numpy as np

from afjax.config import differences, from_dict, to_dict
from afjax.errors import InputError
from afjax.training.state import count
from experiments import cli


def read_config(workdir: Path, kind: type, do: str):
    """Config of class `kind` in `config.json`. Raises InputError, which says what to do, where it can't be read."""
    path = workdir / "config.json"
    try:
        return from_dict(json.loads(path.read_text()), kind, str(path))
    except (OSError, ValueError) as error:
        raise InputError(f"not readable: {error}", path, do) from None


def remember(config, workdir: Path):
    """Writes `config.json`, or checks that a run that is continued has the same one but for its length."""
    other = "choose another --workdir"
    if (workdir / "config.json").exists():
        changed = differences(to_dict(read_config(workdir, type(config), other)), to_dict(config))
        if changed and any(step.name.isdigit() for step in workdir.glob("checkpoints/*")):
            raise InputError(f"the run was started with another config ({changed[0]})", workdir, other)
    cli.write_json(workdir / "config.json", to_dict(config))


def read_metrics(workdir: Path) -> list[dict]:
    """Lines of `metrics.jsonl`."""
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def outcome(config, workdir: Path, state) -> dict:
    """The first lines of a summary: names, sizes, and the loss at the end."""
    return {
        "workdir": workdir,
        "name": config.name,
        "steps": int(state.step),
        "parameters": count(state.params),
        "loss": float(np.mean([record["loss"] for record in read_metrics(workdir)[-5:]])),
    }
