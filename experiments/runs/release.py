"""Models to give away, made from runs."""

from pathlib import Path

import afjax
from afjax import files
from afjax.avatar import model_folder, shipped
from afjax.config import Config
from afjax.errors import InputError
from experiments import cli
from experiments.runs.train import train_run


def save(workdir: str | Path, out: str | Path, card: str | Path = "") -> dict:
    """Writes a run's model folder; returns its size. `card`: file of a card in place of the one that is there.

    Raises InputError for a run or a card that can't be used, and for a folder that holds something else.
    """
    out = files.writable(out, folder=True)
    avatar = afjax.load(files.absolute(workdir))
    avatar.save(out, _text(files.absolute(card)) if card else "")
    size = sum(file.stat().st_size for file in out.iterdir())
    return {"model": out, "name": avatar.config.name, "step": avatar.step, "MB": round(size / 1e6, 2)}


def make(config: Config, out: Path, ship: bool = False) -> dict:
    """Simulates, trains and saves in `out`, or in place of the model that ships. Returns the result of `save`."""
    place = shipped.MODELS / cli.SHIPPED
    if ship:
        files.writable(place, folder=True)
    train_run(config, out / "run")
    target, card = (place if ship else out / "model"), place / model_folder.CARD
    return save(out / "run", target, card if card.is_file() else "")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"is no model card that can be read ({error})", path) from None
