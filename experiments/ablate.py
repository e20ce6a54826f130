"""Runs a suite of ablations and writes its table.

    python -m experiments.ablate --suite paper --seeds 3 --budget 40m --out out/paper
    python -m experiments.ablate --suite guidance --seeds 3 --out out/paper            # shares cells and data

`--budget` sets the training steps of the cells so that the suite ends in time on this machine: it times a few steps
first, lowers the seeds where a cell would fall under 600 steps, and marks cells under that `smoke only`. Without it the
configurations say how long they train. Writes `SUITE.json`, `SUITE.md`, `SUITE.tex` and pictures to `--out`; `cells/`
holds every model. Started again it goes on; a cell that fails is named in the table and tried again the next time.
"""

import json
import re
import time
from dataclasses import asdict
from pathlib import Path

import jax
from absl import flags

from afjax.errors import InputError
from afjax.training.state import init_state, token_layout
from afjax.training.step import make_draw, make_train_step
from data_pipeline.dataset import batches
from data_pipeline.simulate.build import build
from experiments import ablation, ablation_figures, ablation_table, cli

SUITES = ("paper", "preferences", "guidance", "delay", "steps")
FIXED_SECONDS = 60.0
"""Of a cell, apart from its training steps: compiling, generating 64 conversations some times, metrics."""


def main():
    out = cli.writable(_OUT.value or f"out/{_SUITE.value}", folder=True)
    summary = ablate(_SUITE.value, out, _SEEDS.value, seconds_of(_BUDGET.value), _DATA.value)
    print(Path(summary["markdown"]).read_text())
    cli.print_table(
        [(name, value) for name, value in summary.items() if name in ("steps", "seeds", "seconds", "failed")]
    )
    print(f"written: {summary['markdown']}")


def seconds_of(budget: str) -> float:
    """ "40m", "2h" or "90s" in seconds; 0 for none. Raises InputError for anything else."""
    if not budget:
        return 0.0
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", budget)
    if not match or float(match[1]) == 0:
        raise InputError(f"--budget={budget} is no time", do="write 90s, 40m or 2h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def ablate(name: str, out: Path, seeds: int = 3, budget: float = 0.0, data: str = "") -> dict:
    """Runs the suite; returns the summary that is written to `out/NAME.json`."""
    started = time.perf_counter()
    suite = ablation.load_suite(name)
    data = cli.absolute(data) if data else _simulated(out)
    ablation.check_data(suite, data)
    plan = _plan(name, suite, out, seeds, budget, data)
    made, total = [], plan.seeds * len(suite.cells)
    for one in ablation.run_suite(suite, plan, out, data):
        made.append(one)
        state = one.record.get("error") or f"{one.record['seconds']:.0f} s"
        print(f"[{len(made)}/{total}] {one.cell.name}, seed {one.seed}: {state}", flush=True)
        summary = _write(name, suite, plan, out, data, made, time.perf_counter() - started)
    ablation_figures.draw(out, name, made, data)
    return summary


def _simulated(out: Path) -> Path:
    """The quickstart's conversations, made in the suite's folder once."""
    folder = out / "data"
    if not folder.exists():
        build(folder, {"train": 384, "eval": 64}, 20.0, 0)
    return folder


def _plan(name: str, suite, out: Path, seeds: int, budget: float, data: Path) -> ablation.Plan:
    """The plan that the folder was begun with, or a new one; a suite that goes on keeps its steps."""
    path = out / f"{name}.plan.json"
    if path.exists():
        stored = json.loads(path.read_text())
        if stored["budget"] == budget and stored["asked_seeds"] == seeds:
            return ablation.Plan(name, stored["seeds"], stored["steps"])
    plan = ablation.Plan(name, seeds, 0)
    if budget:
        plan = fit(name, suite, seeds, budget, step_seconds(suite, data))
    cli.write_json(path, asdict(plan) | {"budget": budget, "asked_seeds": seeds})
    return plan


def fit(name: str, suite, seeds: int, budget: float, per_token: float) -> ablation.Plan:
    """Seeds and steps that fit into `budget` seconds, given the seconds a training token takes."""
    per_step = sum(ablation.tokens_per_step(suite, cell) for cell in suite.cells if not cell.tunes)
    tuning = sum(ablation.cost(suite, cell) for cell in suite.cells if cell.tunes)
    fixed = FIXED_SECONDS * len(suite.cells) + per_token * tuning
    for count in range(seeds, 0, -1):
        steps = int((budget / count - fixed) / (per_token * per_step))
        if steps >= ablation.SMOKE or count == 1:
            return ablation.Plan(name, count, max(steps, 10))
    raise InputError(f"--seeds={seeds} must be at least 1")


def step_seconds(suite, data: Path, steps: int = 12) -> float:
    """Seconds that a training token takes here, of the suite's first cell after compiling."""
    config = ablation.config_of(suite, suite.cells[0], 0, data=str(data))
    step, draw, layout = make_train_step(config), make_draw(config), token_layout(config)
    iterator = batches(data, "train", config.data.batch, config.data.window, 0)
    state, _ = step(init_state(config), next(iterator), draw(0), layout)
    jax.block_until_ready(state)
    started = time.perf_counter()
    for number in range(steps):
        state, _ = step(state, next(iterator), draw(number), layout)
    jax.block_until_ready(state)
    return (time.perf_counter() - started) / (steps * config.data.batch * len(layout.frame))


def _write(name: str, suite, plan: ablation.Plan, out: Path, data: Path, made: list, seconds: float) -> dict:
    table = ablation_table.aggregate(suite, [one.record for one in made])
    summary = {
        "suite": name,
        "about": suite.about,
        "data": data,
        "seeds": plan.seeds,
        "steps": plan.steps or "as configured",
        "seconds": seconds,
        "failed": sum(len(entry["failed"]) for entry in table.values()),
        "cells": table,
        "runs": [
            {key: value for key, value in record.items() if key != "metrics"} for record in (m.record for m in made)
        ],
        "markdown": out / f"{name}.md",
    }
    cli.write_json(out / f"{name}.json", summary)
    for suffix, render in (("md", ablation_table.markdown), ("tex", ablation_table.latex)):
        with cli.aside(out / f"{name}.{suffix}") as path:
            path.write_text(render(table))
    return summary


if __name__ == "__main__":
    _SUITE = flags.DEFINE_enum("suite", "paper", SUITES, "Which ablations.")
    _OUT = flags.DEFINE_string("out", "", "Folder of the results; out/SUITE without it.")
    _SEEDS = flags.DEFINE_integer("seeds", 3, "Training seeds a cell.", lower_bound=1, upper_bound=20)
    _BUDGET = flags.DEFINE_string("budget", "", "Time for the whole suite, as 40m or 2h; sets the training steps.")
    _DATA = flags.DEFINE_string("data", "", "Folder of conversations; simulated into --out without it.")
    cli.run(main)
