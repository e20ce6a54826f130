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
from experiments import cli, evaluation
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


def run_suite(suite: Suite, plan: Plan, out: Path, data: Path) -> Iterator[Made]:
    """Yields every cell and seed as soon as it is there: seed by seed, so that each has all cells first.

    A cell that fails has a record with `error`; those that need it fail with it, the others go on.
    """
    data_digest = read_metadata(data).statistics.to_json()["sha256"]
    clips = evaluation.held_out(data)
    for seed in range(plan.seeds):
        for cell in order(suite):
            folder = out / "cells" / digest(suite, cell, seed, plan.steps, data_digest)
            record = _stored(folder)
            if record is None:
                record = _try(suite, cell, seed, plan, out, data, data_digest, folder, clips)
            yield Made(cell, seed, folder, record | {"cell": cell.name})  # suites share cells under other names


def _stored(folder: Path) -> dict | None:
    try:
        return json.loads((folder / "cell.json").read_text())
    except (OSError, ValueError):
        return None


def _try(suite, cell, seed, plan, out, data, data_digest, folder, clips) -> dict:
    try:
        return _make(suite, cell, seed, plan, out, data, data_digest, folder, clips)
    except Exception as error:  # whatever it is, the table says so and the other cells go on
        return {"cell": cell.name, "seed": seed, "error": f"{type(error).__name__}: {error}".splitlines()[0]}


def _make(suite, cell, seed, plan, out, data, data_digest, folder, clips) -> dict:
    started = time.perf_counter()

    def of(name: str) -> Path:
        needed = out / "cells" / digest(suite, suite[name], seed, plan.steps, data_digest)
        if _stored(needed) is None:
            raise InputError(f"it needs the cell {name!r}, which failed")
        return needed

    config = config_of(suite, cell, seed, plan.steps, str(data))
    if cell.samples:
        trained = load_run(of(cell.samples) / "run")
        run = Run(config, Generator(config, trained.generator.params, trained.generator.statistics), trained.step)
        summary = {"steps": trained.step}
    else:
        if cell.tunes:
            losing = of(cell.losing) / f"losing_{cell.user}"  # shared by all cells that are tuned with it
            make_preferences(load_run(of(cell.losing) / "run"), data, losing, cell.user, per_clip=1, seed=seed)
            preference = replace(config.preference, path=str(losing), model=str(of(cell.tunes) / "run"))
            config = replace(config, preference=preference)
        summary = train_run(config, folder / "run", samples=False)
        run = load_run(folder / "run")
    arrays = evaluation.eval_arrays(clips, evaluation.generate(run, clips, kept=MEASURED))
    table = evaluation.metric_table(arrays, config.layout.block)
    record = {
        "cell": cell.name,
        "seed": seed,
        "steps": summary["steps"],
        "stopped": summary.get("stopped"),
        "block": config.layout.block,
        "block_seconds": _block_seconds(run),
        "metrics": table,
        "seconds": time.perf_counter() - started,
    }
    with cli.aside(folder / "motion.npz") as path:
        np.savez_compressed(path, model=arrays["model"].astype(np.float16))
    cli.write_json(folder / "cell.json", record)
    return json.loads((folder / "cell.json").read_text())


def _block_seconds(run: Run, blocks: int = 20) -> float:
    """Median time of one block of one session through the step, compiled, on this machine."""
    frames = run.config.layout.block
    run.generate(frames)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        run.generate(frames * blocks)
        times.append((time.perf_counter() - start) / blocks)
    return float(np.median(times))
