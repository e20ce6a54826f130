"""The front door: `afjax.load`."""

from pathlib import Path

from afjax import files
from afjax.avatar.avatar import Avatar
from afjax.avatar.released import load_released
from afjax.avatar.runs import load_run
from afjax.errors import InputError
from afjax.weights.convert import FILES

__all__ = ["load"]


def load(path: str | Path) -> Avatar:
    """A trained model, ready to use.

    Args:
      path: a run folder of `experiments.train`, one of its checkpoints `RUN/checkpoints/STEP`, or a folder of released
        weights that `experiments.convert` wrote.

    Raises InputError, one line, where there is none or it is damaged.
    """
    folder = files.absolute(path)
    if not folder.is_dir():
        do = (
            "give a run folder, RUN/checkpoints/STEP, or a folder of experiments.convert; no models ship with afjax yet"
        )
        raise InputError("no such run folder", folder, do)
    return load_released(folder) if (folder / FILES[0]).is_file() else load_run(folder)
