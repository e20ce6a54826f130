"""Runs the cells of a suite: each one a configuration, trained, streamed and measured on the same conversations.

A cell lies in `R/cells/HASH/`. The hash is over all that decides its figures: configuration, seed, data, and the hashes
of the cells that it needs. Finished cells are not made again, so that a stopped suite goes on, and suites in one folder
share cells.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from afjax import files
from afjax.avatar.avatar import Avatar
from afjax.avatar.runs import load_run
from afjax.config import Config
from afjax.diffusion.guidance import guidance_branches
from afjax.errors import InputError
from data_pipeline.records import read_metadata
from data_pipeline.schema import Conversation
from experiments.ablation.cells import config_of, data_of, digest, order
from experiments.ablation.plan import Plan
from experiments.configs.ablations.suite import Cell, Suite
from experiments.evaluation import eval_set, reaction_lag
from experiments.preferences.losing_samples import make_preferences
from experiments.runs.train import train_run

MEASURED = {"model": "joint", "model_user_dropped": "avatar"}


@dataclass(frozen=True)
class CellResult:
    """A cell with one seed: its folder and its record, which holds figures or an `error`."""

    cell: Cell
    seed: int
    folder: Path
    record: dict


def check_data(suite: Suite, data: Path):
    """Raises InputError for conversations on which a suite can't be measured."""
    clips = eval_set.held_out(data)
    if suite.smiles:
        reaction_lag.require_simulated(clips, data)


def run_suite(suite: Suite, plan: Plan, out: Path, data: Path) -> Iterator[CellResult]:
    """Yields every cell and seed as soon as it is finished; a seed has all its cells before the next seed begins.

    A cell that fails has a record with `error`. The cells that need it fail with it; the others go on.
    """
    data_digest = read_metadata(data).normalizer.to_json()["sha256"]
    work = _Work(suite, plan, out, data, data_digest, eval_set.held_out(data))
    for seed in range(plan.seeds):
        for cell in order(suite):
            record = _record(work, cell, seed) | {"cell": cell.name}  # suites share cells under other names
            yield CellResult(cell, seed, work.folder(cell, seed), record)


@dataclass(frozen=True)
class _Work:
    """What a suite's cells share: its folder, and the conversations on which all are measured."""

    suite: Suite
    plan: Plan
    out: Path
    data: Path
    data_digest: str
    clips: list[Conversation]

    def folder(self, cell: Cell, seed: int) -> Path:
        return self.out / "cells" / digest(self.suite, cell, seed, self.plan.steps, self.data_digest)

    def needed(self, name: str, seed: int) -> Path:
        """Folder of a finished cell. Raises InputError where it is not finished."""
        folder = self.folder(self.suite[name], seed)
        if _stored(folder / "cell.json") is None:
            raise InputError(f"it needs the cell {name!r}, which failed")
        return folder

    def config(self, cell: Cell, seed: int) -> Config:
        return config_of(self.suite, cell, seed, self.plan.steps, str(data_of(self.data, cell)))


def _stored(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _record(work: _Work, cell: Cell, seed: int) -> dict:
    """Figures of a cell, made first where they are missing; `error` or `reaction_error` where it fails."""
    try:
        record = _stored(work.folder(cell, seed) / "cell.json") or _make(work, cell, seed)
    except Exception as error:  # whatever it is, the table says so and the other cells go on
        return {"cell": cell.name, "seed": seed, "error": _line(error)}
    if not work.suite.smiles:
        return record
    try:
        return record | {"reaction": _reaction(work, cell, seed)}
    except Exception as error:
        return record | {"reaction_error": _line(error)}


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _make(work: _Work, cell: Cell, seed: int) -> dict:
    started, folder = time.perf_counter(), work.folder(cell, seed)
    summary = {} if cell.samples else _train(work, cell, seed)
    run = _trained(work, cell, seed)
    arrays = eval_set.eval_arrays(work.clips, eval_set.generate(run, work.clips, kept=MEASURED))
    record = {
        "cell": cell.name,
        "seed": seed,
        "steps": run.step,
        "stopped": summary.get("stopped"),
        "block": run.config.layout.block,
        "evaluations": run.config.sampler.nfe * len(guidance_branches(run.config.sampler)[1]),
        "metrics": eval_set.metric_table(arrays, run.config.layout.block),
        "seconds": time.perf_counter() - started,
    }
    with files.aside(folder / "motion.npz") as path:
        np.savez_compressed(path, model=arrays["model"].astype(np.float16))
    return _written(folder / "cell.json", record)


def _train(work: _Work, cell: Cell, seed: int) -> dict:
    config = work.config(cell, seed)
    if cell.tunes:
        source = work.needed(cell.losing, seed)
        losing = source / f"losing_{cell.user}"  # shared by all cells that are tuned with it
        make_preferences(load_run(source / "run"), data_of(work.data, cell), losing, [cell.user], per_clip=1, seed=seed)
        tuned = str(work.needed(cell.tunes, seed) / "run")
        config = replace(config, preference=replace(config.preference, path=str(losing), model=tuned))
    if cell.taught_by:
        teacher = str(work.needed(cell.taught_by, seed) / "run")
        config = replace(config, distillation=replace(config.distillation, model=teacher))
    return train_run(config, work.folder(cell, seed) / "run", samples=False)


def _trained(work: _Work, cell: Cell, seed: int) -> Avatar:
    """The model of a cell: its own, or another cell's with this cell's sampling."""
    if not cell.samples:
        return load_run(work.folder(cell, seed) / "run")
    return load_run(work.needed(cell.samples, seed) / "run").with_config(work.config(cell, seed))


def _reaction(work: _Work, cell: Cell, seed: int) -> dict:
    smiles = work.suite.smiles
    path = work.folder(cell, seed) / f"reaction_{smiles}.json"
    return _stored(path) or _written(path, reaction_lag.measure(_trained(work, cell, seed), work.clips, smiles))


def _written(path: Path, values: dict) -> dict:
    """Stores values that a later start of the suite reads instead of making them."""
    files.write_json(path, values)
    return json.loads(path.read_text())
