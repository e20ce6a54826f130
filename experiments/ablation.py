"""Runs the cells of a suite: each one a configuration, trained, streamed and measured on the same conversations.

A cell lies in `R/cells/HASH/`, the hash being over all that decides its figures: configuration, seed, data, and the
hashes of the cells that it needs. What is there is not made again, so a suite that was stopped goes on, and suites in
one folder share cells.
"""

import hashlib
import importlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from afjax.config import Config, from_dict, to_dict
from afjax.errors import InputError
from afjax.streaming.generator import Generator
from afjax.training.state import token_layout
from data_pipeline.records import read_metadata
from data_pipeline.schema import Conversation
from experiments import cli, evaluation, reaction
from experiments.configs.ablations.cell import Cell, Suite
from experiments.make_preferences import make_preferences
from experiments.runs import Run, load_run
from experiments.training import train_run

SMOKE = 600
"""Training steps below which a cell says nothing about the method."""
MEASURED = {"model": "joint", "model_user_dropped": "avatar"}


@dataclass(frozen=True)
class Plan:
    """What a suite's folder was begun with: `steps` of a trained cell (0: its config's own) and `seeds`."""

    suite: str
    seeds: int
    steps: int


@dataclass(frozen=True)
class Made:
    """A cell with one seed, its folder, and its record: figures, or `error`."""

    cell: Cell
    seed: int
    folder: Path
    record: dict


def load_suite(name: str) -> Suite:
    """Suite of `experiments/configs/ablations/NAME.py`."""
    return importlib.import_module(f"experiments.configs.ablations.{name}").SUITE


def order(suite: Suite) -> list[Cell]:
    """Cells with what they need before them, the cheapest first among those that are ready."""
    done, left = [], list(suite.cells)
    while left:
        ready = [cell for cell in left if all(any(d.name == need for d in done) for need in cell.needs)]
        if not ready:
            raise InputError(f"cells that wait for one another or for none: {', '.join(cell.name for cell in left)}")
        done.append(min(ready, key=lambda cell: cost(suite, cell)))
        left.remove(done[-1])
    return done


def tokens_per_step(suite: Suite, cell: Cell) -> int:
    """Tokens of one training step of a cell; 0 where nothing is trained."""
    if cell.samples:
        return 0
    config = config_of(suite, cell, seed=0)
    pairs = 4 if cell.tunes else 1  # winner and loser, and the frozen model on both
    return config.data.batch * len(token_layout(config).frame) * pairs


def cost(suite: Suite, cell: Cell) -> int:
    """Training tokens of a cell at its configuration's length."""
    return config_of(suite, cell, seed=0).training.num_steps * tokens_per_step(suite, cell)


def config_of(suite: Suite, cell: Cell, seed: int, steps: int = 0, data: str = "data") -> Config:
    """The configuration of a cell; `steps` takes the place of the quickstart's length, in proportion for others."""
    if cell.samples:
        parent = config_of(suite, suite[cell.samples], seed, steps, data)
        return from_dict(_changed(to_dict(parent), cell.changes) | {"name": cell.name})
    name, _, variant = cell.config.partition(":")
    values = importlib.import_module(f"experiments.configs.{name}").get_config(variant).to_dict()
    values = _changed(values, (suite.base if cell.config == "quickstart" else {}) | cell.changes)
    settings = values["training"]
    if steps and not cell.tunes:
        settings["num_steps"] = steps
    settings |= {"seed": seed, "save_every": settings["save_every"] if cell.tunes else settings["num_steps"]}
    values["data"] |= {"path": data}
    return from_dict(values | {"name": cell.name})


def _changed(values: dict, changes: dict) -> dict:
    values = json.loads(json.dumps(values))
    for name, value in changes.items():
        *groups, field = name.split(".")
        place = values
        for group in groups:
            place = place[group]
        place[field] = value
    return values


def digest(suite: Suite, cell: Cell, seed: int, steps: int, data_digest: str) -> str:
    """Name of a cell's folder: SHA-256 over what decides its figures, the first 16 digits."""
    values = to_dict(config_of(suite, cell, seed, steps))
    for group in ("name", "compute"):  # these decide nothing
        values.pop(group)
    needed = {
        role: digest(suite, suite[name], seed, steps, data_digest)
        for role, name in (("tunes", cell.tunes), ("losing", cell.losing), ("samples", cell.samples))
        if name
    }
    whole = {"config": values, "data": data_digest, "needs": needed, "user": cell.user if cell.losing else ""}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def check_data(suite: Suite, data: Path):
    """Raises InputError for conversations on which a suite can't be measured."""
    clips = evaluation.held_out(data)
    if suite.smiles:
        reaction.require_simulated(clips, data)


def run_suite(suite: Suite, plan: Plan, out: Path, data: Path) -> Iterator[Made]:
    """Yields every cell and seed as soon as it is there: seed by seed, so that each has all cells first.

    A cell that fails has a record with `error`; those that need it fail with it, the others go on.
    """
    data_digest = read_metadata(data).statistics.to_json()["sha256"]
    work = _Work(suite, plan, out, data, data_digest, evaluation.held_out(data))
    for seed in range(plan.seeds):
        for cell in order(suite):
            record = _record(work, cell, seed) | {"cell": cell.name}  # suites share cells under other names
            yield Made(cell, seed, work.folder(cell, seed), record)


@dataclass(frozen=True)
class _Work:
    """What the cells of a suite have in common: its folder, and the conversations on which all are measured."""

    suite: Suite
    plan: Plan
    out: Path
    data: Path
    data_digest: str
    clips: list[Conversation]

    def folder(self, cell: Cell, seed: int) -> Path:
        return self.out / "cells" / digest(self.suite, cell, seed, self.plan.steps, self.data_digest)

    def needed(self, name: str, seed: int) -> Path:
        """Folder of a cell that is there; raises InputError where it is not."""
        folder = self.folder(self.suite[name], seed)
        if _stored(folder / "cell.json") is None:
            raise InputError(f"it needs the cell {name!r}, which failed")
        return folder

    def config(self, cell: Cell, seed: int) -> Config:
        return config_of(self.suite, cell, seed, self.plan.steps, str(self.data))


def _stored(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _record(work: _Work, cell: Cell, seed: int) -> dict:
    """Figures of a cell, those that are not there yet made first; `error` or `reaction_error` where it fails."""
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
    arrays = evaluation.eval_arrays(work.clips, evaluation.generate(run, work.clips, kept=MEASURED))
    record = {
        "cell": cell.name,
        "seed": seed,
        "steps": run.step,
        "stopped": summary.get("stopped"),
        "block": run.config.layout.block,
        "metrics": evaluation.metric_table(arrays, run.config.layout.block),
        "seconds": time.perf_counter() - started,
    }
    with cli.aside(folder / "motion.npz") as path:
        np.savez_compressed(path, model=arrays["model"].astype(np.float16))
    return _written(folder / "cell.json", record)


def _train(work: _Work, cell: Cell, seed: int) -> dict:
    config = work.config(cell, seed)
    if cell.tunes:
        source = work.needed(cell.losing, seed)
        losing = source / f"losing_{cell.user}"  # shared by all cells that are tuned with it
        make_preferences(load_run(source / "run"), work.data, losing, cell.user, per_clip=1, seed=seed)
        tuned = str(work.needed(cell.tunes, seed) / "run")
        config = replace(config, preference=replace(config.preference, path=str(losing), model=tuned))
    return train_run(config, work.folder(cell, seed) / "run", samples=False)


def _trained(work: _Work, cell: Cell, seed: int) -> Run:
    """The model of a cell: its own, or another cell's with this one's way of sampling."""
    if not cell.samples:
        return load_run(work.folder(cell, seed) / "run")
    config, trained = work.config(cell, seed), load_run(work.needed(cell.samples, seed) / "run")
    return Run(config, Generator(config, trained.generator.params, trained.generator.statistics), trained.step)


def _reaction(work: _Work, cell: Cell, seed: int) -> dict:
    smiles = work.suite.smiles
    path = work.folder(cell, seed) / f"reaction_{smiles}.json"
    return _stored(path) or _written(path, reaction.measure(_trained(work, cell, seed), work.clips, smiles))


def _written(path: Path, values: dict) -> dict:
    """What a later start of the suite reads in place of making it."""
    cli.write_json(path, values)
    return json.loads(path.read_text())
