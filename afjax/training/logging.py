"""Metrics of a run: one JSON line per record, and the same in TensorBoard and Weights & Biases where asked for.

A record says what a run did since the record before it: `Averages` holds means over its steps.
"""

import importlib.util
import json
import math
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import jax

from afjax import files
from afjax.errors import InputError
from afjax.types import Scalar

__all__ = ["Averages", "Board", "MetricWriter", "require_boards"]


class Averages:
    """Means of metrics over the steps since the last record, each over the steps that had it.

    Values stay on the device until they are asked for. They are added up in float64 one by one: a run that was stopped
    between two records and goes on from `state` has the same means to the bit.
    """

    def __init__(self, state: dict[str, Any] | None = None):
        """`state`: that of a run that goes on."""
        self._sums: dict[str, list] = {name: list(each) for name, each in (state or {}).items()}
        self._pending: list[Mapping[str, Scalar]] = []

    def note(self, metrics: Mapping[str, Scalar]):
        """Remembers a step's metrics."""
        self._pending.append(metrics)

    def take(self) -> dict[str, float]:
        """The means; counting then begins anew."""
        means = {name: total / count for name, (total, count) in self.state().items()}
        self._sums = {}
        return means

    def state(self) -> dict[str, list]:
        """Sum and number of steps of every metric."""
        for metrics in jax.device_get(self._pending):
            for name, value in metrics.items():
                total, count = self._sums.get(name, (0.0, 0))
                self._sums[name] = [total + float(value), count + 1]
        self._pending = []
        return self._sums


class Board(Protocol):
    """Where records are shown as curves."""

    def add(self, step: int, values: dict[str, float]) -> None:
        """Adds a record."""

    def close(self) -> None:
        """Ends the board; what was added is safe."""


class MetricWriter:
    """Appends to `metrics.jsonl`, and adds the same to boards. Only the first of several processes writes.

    Lines after step `start` (of a run that was cut off) are dropped when it opens; `last` is the last kept line.
    """

    def __init__(self, workdir: Path, start: int = 0, tensorboard: bool = False, wandb: str = ""):
        """`tensorboard`: whether to write its events to `workdir/tensorboard`; `wandb`: project of Weights & Biases."""
        writes, workdir = jax.process_index() == 0, Path(workdir)
        path = workdir / "metrics.jsonl"
        kept = [line for line in path.read_text().splitlines() if _step_of(line) <= start] if path.exists() else []
        self.last = json.loads(kept[-1]) if kept else {}
        self._boards: list[Board] = []
        if not writes:
            self._file = open(os.devnull, "a")
            return
        require_boards(tensorboard, wandb)
        self._boards += [_TensorBoard(workdir / "tensorboard")] if tensorboard else []
        self._boards += [_WeightsAndBiases(workdir, wandb)] if wandb else []
        with files.aside(path) as partial:
            partial.write_text("".join(line + "\n" for line in kept))
        self._file = path.open("a")

    def write(self, step: int, **values: float):
        """Adds a record to the file and the boards. Numbers that are not finite are written as text."""
        record = {name: value if math.isfinite(value) else str(value) for name, value in values.items()}
        self._file.write(json.dumps({"step": step, **record}) + "\n")
        self._file.flush()
        for board in self._boards:
            board.add(step, values)

    def close(self):
        """Ends the file and the boards."""
        self._file.close()
        for board in self._boards:
            board.close()


def require_boards(tensorboard: bool = False, wandb: str = ""):
    """Raises InputError where a board is asked for whose package is missing."""
    for wanted, package in ((tensorboard, "tensorboardX"), (wandb, "wandb")):
        if wanted and importlib.util.find_spec(package) is None:
            raise InputError(f"{package} is not installed", do=f"pip install {package}")


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # a line cut short when the process died
        return 1 << 62


class _TensorBoard:
    def __init__(self, folder: Path):
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def add(self, step: int, values: dict[str, float]):
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self):
        self._writer.close()


class _WeightsAndBiases:
    """A run of a project, named as the folder; `wandb/id` in the folder holds its id, so that the same run goes on.

    Curves are over our own steps: repeated steps of a run that was cut off lie over the earlier ones.
    """

    def __init__(self, workdir: Path, project: str):
        import wandb

        known, settings = workdir / "wandb" / "id", workdir / "config.json"
        if not known.exists():
            known.parent.mkdir(parents=True, exist_ok=True)
            with files.aside(known) as partial:
                partial.write_text(secrets.token_hex(4))
        config = json.loads(settings.read_text()) if settings.exists() else None
        run = {"id": known.read_text(), "name": workdir.name, "dir": str(workdir), "resume": "allow"}
        try:
            self._run = wandb.init(project=project, config=config, **run)
        except Exception as error:  # of its own kinds, some of which have changed their names
            what = " ".join(str(error).split())
            raise InputError(f"Weights & Biases: {what}", do="wandb login, or set WANDB_MODE=offline") from None
        self._run.define_metric("*", step_metric="step")

    def add(self, step: int, values: dict[str, float]):
        self._run.log({"step": step, **values})

    def close(self):
        self._run.finish()
