"""Models to give away, made from runs."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

import afjax
from afjax import files
from afjax.avatar.avatar import Avatar
from afjax.errors import InputError
from afjax.streaming.generator import Generator
from experiments.runs.centring import centred, training_clips


def save(
    workdir: str | Path, out: str | Path, card: str | Path = "", share: float = 1.0, centre: str | Path = ""
) -> dict:
    """Writes a run's model folder; returns its size, and how far its mean was off where it is centred.

    Args:
      workdir: whatever `afjax.load` takes.
      out: folder to write.
      card: file of a card in place of the one that is there.
      share: how far to go from the model that was tuned by preferences (0) to this run (1), see `between`.
      centre: folder of conversations whose training split's mean its streams shall have (`experiments.runs.centring`).

    Raises InputError for a run, conversations or a card that can't be used, and for a folder that holds something else.
    """
    out = files.writable(out, folder=True)
    avatar, text = afjax.load(workdir), _text(files.absolute(card)) if card else ""
    if share < 1:
        avatar = between(avatar, share, workdir)
    off = {}
    if centre:
        avatar, found = centred(avatar, training_clips(avatar, files.absolute(centre)))
        squares = np.square(found).sum(axis=1).round(4).tolist()
        off = {"mean_off": dict(zip(("before", "halfway", "after"), squares, strict=True))}
    avatar.save(out, text)
    size = sum(file.stat().st_size for file in out.iterdir())
    return {"model": out, "name": avatar.config.name, "step": avatar.step, "MB": round(size / 1e6, 2), **off}


def between(tuned: Avatar, share: float, where: object) -> Avatar:
    """The weights a part of the way from the model that was tuned to what it became, w + share (w' - w).

    A long tuning and half of its way keeps more of the model's distribution than a short tuning that answers as much
    (docs/results.md). Wortsman et al., arXiv 2109.01903, found the same of fine-tuned classifiers.
    """
    if not tuned.config.preference.model:
        raise InputError("it was not tuned by preferences: there is nothing to go from", where, "leave out --share")
    base = afjax.load(tuned.config.preference.model).generator.params
    params = jax.tree.map(lambda x, y: x + share * (y - x), base, tuned.generator.params)
    return replace(tuned, generator=Generator(tuned.config, params, tuned.normalizer, tuned.generator.absolute))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"is no model card that can be read ({error})", path) from None
