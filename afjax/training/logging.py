"""Metrics of a run: one JSON line a record, and TensorBoard where tensorboardX is installed and asked for."""

import json
import math
import os
from pathlib import Path

import jax

from afjax import files
from afjax.errors import InputError


class MetricWriter:
    """Appends to `metrics.jsonl`; lines after `start` (of a run that was cut off) are dropped when it opens.

    `last` is the last line that was kept. Of several processes the first writes.
    """

    def __init__(self, workdir: Path, start: int = 0, tensorboard: bool = False):
        writes = jax.process_index() == 0
        self._board = _board(Path(workdir) / "tensorboard") if tensorboard and writes else None
        path = Path(workdir) / "metrics.jsonl"
        kept = [line for line in path.read_text().splitlines() if _step_of(line) <= start] if path.exists() else []
        self.last = json.loads(kept[-1]) if kept else {}
        if not writes:
            self._file = open(os.devnull, "a")
            return
        with files.aside(path) as partial:
            partial.write_text("".join(line + "\n" for line in kept))
        self._file = path.open("a")

    def write(self, step: int, **values: float):
        record = {name: value if math.isfinite(value) else str(value) for name, value in values.items()}
        self._file.write(json.dumps({"step": step, **record}) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def close(self):
        self._file.close()
        if self._board is not None:
            self._board.close()


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # a line cut short when the process died
        return 1 << 62


def _board(folder: Path):
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise InputError("tensorboardX is not installed", do="pip install tensorboardX") from None
    return SummaryWriter(str(folder))
