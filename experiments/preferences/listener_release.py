"""The models that ship, from nothing: simulated conversations, a training, and its tuning by preferences."""

from dataclasses import replace
from pathlib import Path

import afjax
from afjax import files
from afjax.avatar import model_folder, shipped
from afjax.config import Config
from experiments import cli
from experiments.preferences.losing_samples import make_preferences
from experiments.runs.data import training_data
from experiments.runs.release import save
from experiments.runs.train import train_run

BASE = "listener_base"
"""The model that ships as it was trained, before its tuning."""
SHARE = 0.5
"""How far of its tuning the model that ships goes: with all of it answers overshoot (docs/results.md)."""


def make(config: Config, tuning: Config, out: Path, ship: bool = False) -> dict:
    """Trains by `config`, tunes by `tuning`, saves both models in `out` or, to ship, in place of those that do.

    The losing samples are the trained model's own, made without the user (paper section 4.2). What is done already is
    not done again. Returns the result of `save`.
    """
    names = (BASE, cli.SHIPPED) if ship else ("base", "model")
    base, model = (files.writable((shipped.MODELS if ship else out) / name, folder=True) for name in names)
    train_run(config, out / "run")
    save(out / "run", base, _card(BASE))
    data = training_data(tuning, out / "tuned")
    make_preferences(afjax.load(base), data, out / "losing", per_clip=1)
    preference = replace(tuning.preference, model=str(base), path=str(out / "losing"))
    train_run(replace(tuning, preference=preference), out / "tuned", samples=False)
    return save(out / "tuned", model, _card(cli.SHIPPED), SHARE)


def _card(name: str) -> Path | str:
    """The card of a model that ships; "" where there is none."""
    card = shipped.MODELS / name / model_folder.CARD
    return card if card.is_file() else ""
