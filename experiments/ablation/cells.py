"""The cells of a suite: their configurations, dependencies, costs and folder names."""

import importlib
import json
from pathlib import Path

from afjax import digests
from afjax.config import Config, from_dict, to_dict
from afjax.errors import InputError
from afjax.training.generator.state import token_layout
from experiments.configs.ablations.suite import Cell, Suite


def load_suite(name: str) -> Suite:
    """Suite of `experiments/configs/ablations/NAME.py`."""
    return importlib.import_module(f"experiments.configs.ablations.{name}").SUITE


def order(suite: Suite) -> list[Cell]:
    """Cells, each after those that it needs; the cheapest first among those that are ready."""
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
    tokens = config.data.batch * len(token_layout(config).frame)
    if cell.taught_by:  # a training step costs three evaluations, the guided teacher two per step of its solver
        tokens += tokens * 2 * config_of(suite, suite[cell.taught_by], seed=0).sampler.nfe // 3
    return tokens * (4 if cell.tunes else 1)  # both models run on winner and loser


def cost(suite: Suite, cell: Cell) -> int:
    """Training tokens of a cell at its configuration's length."""
    return config_of(suite, cell, seed=0).training.num_steps * tokens_per_step(suite, cell)


def config_of(suite: Suite, cell: Cell, seed: int, steps: int = 0, data: str = "data") -> Config:
    """The configuration of a cell; `steps`, if not 0, takes the place of its length without the listening steps."""
    if cell.samples:
        parent = config_of(suite, suite[cell.samples], seed, steps, data)
        return from_dict(_changed(to_dict(parent), cell.changes) | {"name": cell.name})
    name, _, variant = cell.config.partition(":")
    values = importlib.import_module(f"experiments.configs.{name}").get_config(variant).to_dict()
    values = _changed(values, (suite.base if cell.config == "quickstart" else {}) | cell.changes)
    settings = values["training"]
    if steps and not cell.goes_on:
        settings["num_steps"] = steps + settings["listening_steps"]
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


def data_of(data: Path, cell: Cell) -> Path:
    """Folder of the conversations that a cell is trained on; `data`: the suite's folder."""
    return data.with_name(listening_name(cell.listening)) if cell.listening else data


def listening_name(share: float) -> str:
    """Name of the folder of conversations with a share of listening; 0: the quickstart's."""
    return f"data_listening_{share:g}" if share else "data"


def digest(suite: Suite, cell: Cell, seed: int, steps: int, data_digest: str) -> str:
    """Name of a cell's folder: the first 16 digits of a SHA-256 over all that decides its figures."""
    values = to_dict(config_of(suite, cell, seed, steps))
    for group in ("name", "compute"):  # these decide nothing
        values.pop(group)
    needed = {
        role: digest(suite, suite[name], seed, steps, data_digest)
        for role in ("tunes", "losing", "samples", "taught_by")
        if (name := getattr(cell, role))
    }
    whole = {"config": values, "data": data_digest, "needs": needed, "user": cell.user if cell.losing else ""}
    if cell.listening:
        whole["listening"] = cell.listening
    return digests.of_json(whole)[:16]
