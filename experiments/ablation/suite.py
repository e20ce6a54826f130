"""A whole suite: data, plan, cells, table, pictures."""

import time
from pathlib import Path

from afjax import files
from afjax.errors import InputError
from data_pipeline.simulate.build import build
from experiments.ablation import figures, runner
from experiments.ablation.cells import listening_name, load_suite
from experiments.ablation.plan import Plan, make_plan
from experiments.ablation.table import aggregate, latex, markdown
from experiments.configs.ablations.suite import Suite

SUITES = ("paper", "preferences", "guidance", "delay", "steps", "imbalance", "distillation")


def ablate(name: str, out: Path, seeds: int = 5, budget: float = 0.0, data: str = "") -> dict:
    """Runs the suite; returns the summary that is written to `out/NAME.json`."""
    started = time.perf_counter()
    suite = load_suite(name)
    if data and any(cell.listening for cell in suite.cells):
        raise InputError(f"the suite {name} simulates conversations of its own", do="leave --data out")
    data = files.absolute(data) if data else _simulated(out, suite)
    runner.check_data(suite, data)
    plan = make_plan(name, suite, out, seeds, budget, data)
    made, total = [], plan.seeds * len(suite.cells)
    for one in runner.run_suite(suite, plan, out, data):
        made.append(one)
        state = one.record.get("error") or f"{one.record['seconds']:.0f} s"
        print(f"[{len(made)}/{total}] {one.cell.name}, seed {one.seed}: {state}", flush=True)
        summary = _write(name, suite, plan, out, data, made, time.perf_counter() - started)
    figures.plot(out, name, suite.cells[0].name, made, data)
    return summary


def _simulated(out: Path, suite: Suite) -> Path:
    """Simulates as many conversations as the quickstart's in the suite's folder, once per share of listening.

    Returns the folder of the first cell. The held-out conversations are the same for all shares but 0.
    """
    shares = dict.fromkeys(cell.listening for cell in suite.cells)
    folders = [out / listening_name(share) for share in shares]
    for folder, share in zip(folders, shares, strict=True):
        if not folder.exists():
            build(folder, {"train": 384, "eval": 64}, 20.0, 0, listening=share)
    return folders[0]


def _write(name: str, suite, plan: Plan, out: Path, data: Path, made: list, seconds: float) -> dict:
    table = aggregate(suite, [one.record for one in made])
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
    files.write_json(out / f"{name}.json", summary)
    for suffix, render in (("md", markdown), ("tex", latex)):
        with files.aside(out / f"{name}.{suffix}") as path:
            path.write_text(render(table))
    return summary
