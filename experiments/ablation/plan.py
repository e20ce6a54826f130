"""Training length of a suite: the steps and seeds that fit into a budget."""

import json
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import jax

from afjax import files
from afjax.errors import InputError
from afjax.training.generator.state import init_state, token_layout
from afjax.training.generator.step import make_random_inputs, make_train_step
from data_pipeline.dataset import batches
from experiments.ablation import cells

SMOKE = 600
"""Training steps below which a cell says nothing about the method."""


@dataclass(frozen=True)
class Plan:
    """The plan that a suite's folder was begun with: `steps` per trained cell (0: its config's own) and `seeds`."""

    suite: str
    seeds: int
    steps: int


FIXED_SECONDS = 60.0
"""Seconds of a cell apart from its training steps: compiling, generating 64 conversations several times, metrics."""


def seconds_of(budget: str) -> float:
    """Seconds of "40m", "2h" or "90s"; 0 for none. Raises InputError for anything else."""
    if not budget:
        return 0.0
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", budget)
    if not match or float(match[1]) == 0:
        raise InputError(f"--budget={budget} is no time", do="write 90s, 40m or 2h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def make_plan(name: str, suite, out: Path, seeds: int, budget: float, data: Path) -> Plan:
    """The plan that the folder was begun with, else a fresh one; a suite that goes on keeps its steps."""
    path = out / f"{name}.plan.json"
    if path.exists():
        stored = json.loads(path.read_text())
        if stored["budget"] == budget and stored["asked_seeds"] == seeds:
            return Plan(name, stored["seeds"], stored["steps"])
    plan = Plan(name, seeds, 0)
    if budget:
        plan = fit(name, suite, seeds, budget, step_seconds(suite, data))
    files.write_json(path, asdict(plan) | {"budget": budget, "asked_seeds": seeds})
    return plan


def fit(name: str, suite, seeds: int, budget: float, per_token: float) -> Plan:
    """Seeds and steps that fit into `budget` seconds, at `per_token` seconds per training token."""
    per_step = sum(cells.tokens_per_step(suite, cell) for cell in suite.cells if not cell.goes_on)
    fixed_length = sum(cells.cost(suite, cell) for cell in suite.cells if cell.goes_on)
    fixed = FIXED_SECONDS * len(suite.cells) + per_token * fixed_length
    for count in range(seeds, 0, -1):
        steps = int((budget / count - fixed) / (per_token * per_step))
        if steps >= SMOKE or count == 1:
            return Plan(name, count, max(steps, 10))
    raise InputError(f"--seeds={seeds} must be at least 1")


def step_seconds(suite, data: Path, steps: int = 12) -> float:
    """Seconds per training token here, for the suite's first cell after compiling."""
    config = cells.config_of(suite, suite.cells[0], 0, data=str(data))
    step, draw, layout = make_train_step(config), make_random_inputs(config), token_layout(config)
    iterator = batches(data, "train", config.data.batch, config.data.window, earlier=config.model.earlier_frames)
    state, _ = step(init_state(config), next(iterator), draw(0), layout)
    jax.block_until_ready(state)
    started = time.perf_counter()
    for number in range(steps):
        state, _ = step(state, next(iterator), draw(number), layout)
    jax.block_until_ready(state)
    return (time.perf_counter() - started) / (steps * config.data.batch * len(layout.frame))
