"""The models that ship, from nothing: simulated conversations, a training, and its tuning by preferences."""

from dataclasses import replace
from pathlib import Path

import afjax
from afjax import files
from afjax.avatar import model_folder, shipped
from afjax.config import Config, differences, to_dict
from afjax.errors import InputError
from experiments import cli
from experiments.preferences.losing_samples import make_preferences
from experiments.runs.data import simulated, training_data
from experiments.runs.release import save
from experiments.runs.train import train_run

BASE = "listener_base"
"""The model that ships as it was trained, before its tuning."""
USERS = ("dropped", "unseen")
"""What is done to the user in losing samples, one of each per conversation: samples that lack the face alone raise what
is told by a face and leave what is heard, which is answered enough (docs/results.md)."""
SHARE = 0.35
"""How far of its tuning the model that ships goes: at half, more answers overshoot and seeds agree too much
(docs/results.md)."""
CENTRE = {"train": 256, "eval": 4, "seconds": 30.0, "listening": 0.6, "seed": 11}
"""Conversations by which what ships is centred: of the training's voices, the avatar listens for .6 of the time."""
SAME = ("model", "layout", "data.path", "data.seconds", "data.features", "training.seed")
"""Settings in which a tuning must be as the training before it: its conversations are the first of that training's."""


def make(config: Config, tuning: Config, out: Path, ship: bool = False) -> dict:
    """Trains by `config`, tunes by `tuning`, saves both models in `out` and, to ship, in place of those that do.

    The losing samples are the trained model's own, made without the user (paper section 4.2) or its face. The tuned
    model is centred (`experiments.runs.centring`). What took long is not done again, centring is. Returns the result
    of `save`. Raises InputError for a tuning that can't follow the training, and for a run in `out` begun with other
    settings.
    """
    _check(config, tuning)
    base, model = (files.writable(out / name, folder=True) for name in ("base", "model"))
    shipping = {BASE: base, cli.SHIPPED: model} if ship else {}
    for name in shipping:
        files.writable(shipped.MODELS / name, folder=True)
    train_run(config, out / "run")
    save(out / "run", base, _card(BASE))
    data = training_data(tuning, out / "tuned")
    make_preferences(afjax.load(base), data, out / "losing", USERS, per_clip=1)
    preference = replace(tuning.preference, model=str(base), path=str(out / "losing"))
    train_run(replace(tuning, preference=preference), out / "tuned", samples=False)
    made = save(out / "tuned", model, _card(cli.SHIPPED), SHARE, _conversations(config, out / "listening"))
    for name, folder in shipping.items():
        made = save(folder, shipped.MODELS / name, _card(name))
    return made


def _check(config: Config, tuning: Config):
    wanted, found = to_dict(config), to_dict(tuning)
    for name in SAME:
        group, _, field = name.partition(".")
        ours, theirs = wanted[group], found[group]
        if field:
            ours, theirs = {field: ours[field]}, {field: theirs[field]}
        if changed := differences(ours, theirs, free=(), where=f"{group}."):
            raise InputError(f"--tuning is not as --config ({changed[0]})", do="give both the same value")


def _conversations(config: Config, folder: Path) -> Path:
    """The conversations of CENTRE, simulated, no more than the training had; or its own, where it was given any."""
    if config.data.path:
        return training_data(config, folder)
    counts = {"train": min(CENTRE["train"], config.data.train_clips), "eval": CENTRE["eval"]}
    data = replace(config.data, seconds=CENTRE["seconds"])
    training = replace(config.training, seed=config.training.seed + CENTRE["seed"])
    config = replace(config, data=data, training=training)
    return simulated(config, folder, counts, "give a data set that fits, --config.data.path=...", CENTRE["listening"])


def _card(name: str) -> Path | str:
    """The card of a model that ships; "" where there is none."""
    card = shipped.MODELS / name / model_folder.CARD
    return card if card.is_file() else ""
