"""The front door: `afjax.load`."""

from pathlib import Path

from afjax import files
from afjax.avatar import model_folder
from afjax.avatar.avatar import Avatar
from afjax.avatar.released import load_released
from afjax.avatar.runs import load_run
from afjax.avatar.shipped import load_model, shipped
from afjax.errors import InputError
from afjax.weights import convert

__all__ = ["load"]


def load(model: str | Path, precision: str | None = None) -> Avatar:
    """A trained model, ready to use.

    Args:
      model: the name of a model that ships with afjax, "listener", "listener_base" or "listener_fast"; a run folder of
        `experiments.train`, one of its checkpoints `RUN/checkpoints/STEP`, a folder that `Avatar.save` wrote, or a
        folder of released weights that `experiments.convert` wrote. A folder goes before a model of the same name.
      precision: that of its networks (`afjax.nn.precision`); by default the one they were trained in.

    Raises InputError, one line, if there is no such model or it is damaged.
    """
    avatar = _load(files.absolute(model), model)
    return avatar if precision is None else avatar.with_precision(precision)


def _load(folder: Path, model: str | Path) -> Avatar:
    if not folder.is_dir() and str(model) in shipped():
        folder = shipped()[str(model)]
    if not folder.is_dir():
        do = f"give the name of a model that ships ({', '.join(shipped()) or 'none does here'}), or a run folder"
        raise InputError("no such run folder, and no model of this name", folder, do)
    if (folder / convert.FILES[0]).is_file():
        return load_released(folder)
    given = any((folder / name).is_file() for name in model_folder.FILES)
    return load_model(folder) if given else load_run(folder)
