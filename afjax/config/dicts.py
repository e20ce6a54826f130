"""Settings as nested dicts, as `config.json` holds them: `from_dict` refuses unknown names and wrong types."""

import dataclasses
import difflib
import json
import typing
from pathlib import Path

from afjax.config.checks import require
from afjax.config.config import Config
from afjax.config.earlier_names import SETTINGS, renamed_settings
from afjax.errors import InputError


def to_dict(config) -> dict:
    """Nested plain dict of a config."""
    return dataclasses.asdict(config)


def from_dict(values: dict, cls: type = Config, where: str = "config"):
    """Config from a nested dict; every name must be known and every value of its type."""
    require(isinstance(values, dict), f"{where} must be a group of settings")
    hints = typing.get_type_hints(cls)
    arguments = {}
    for name, value in values.items():
        if name not in hints:
            near = SETTINGS.get(f"{where.rpartition('.')[2]}.{name}")
            near = near or difflib.get_close_matches(name, hints, n=1, cutoff=0.0)[0]
            raise InputError(f"unknown field {name!r}", where, f"did you mean {near!r}?")
        arguments[name] = _convert(value, hints[name], f"{where}.{name}")
    return cls(**arguments)


def stored_config(values: dict, where: str = "config") -> Config:
    """The config of an experiment from its stored values; it maps earlier settings to their present form.

    The solver `adams_bashforth` is read as `dpm_solver_pp` on the grid `power`. wav2vec2 features without the setting
    `whole_clips` are of whole clips. Raises InputError for what is no config, and for preference tuning whose formula
    has no name.
    """
    values = renamed_settings(values)
    sampler = values.get("sampler") if isinstance(values, dict) else None
    if isinstance(sampler, dict) and sampler.get("solver") == "adams_bashforth":
        values = values | {"sampler": sampler | {"solver": "dpm_solver_pp", "grid": "power"}}
    data = values.get("data") if isinstance(values, dict) else None
    if isinstance(data, dict) and data.get("features") and "whole_clips" not in data:
        values = values | {"data": data | {"whole_clips": True}}
    values = _precision(values)
    preference = values.get("preference") if isinstance(values, dict) else None
    if not isinstance(preference, dict) or not _READING.keys() & preference.keys():
        return from_dict(values, where=where)
    reading = {name: preference.get(name, default) for name, default in _READING.items()}
    formula = next((name for name, known in _FORMULAS.items() if known == reading), None)
    if formula is None and preference.get("path"):
        said = ", ".join(f"{name} {value}" for name, value in reading.items())
        raise InputError(f"no preference.formula has {said}", where, f"choose of {', '.join(_FORMULAS)}")
    kept = {name: value for name, value in preference.items() if name not in _READING}
    return from_dict(values | {"preference": kept | ({"formula": formula} if formula else {})}, where=where)


def _precision(values):
    """Reads `compute.dtype` as `compute.precision`; float32 left products to JAX, as tf32 does."""
    compute = values.get("compute") if isinstance(values, dict) else None
    if not isinstance(compute, dict) or "dtype" not in compute:
        return values
    kept = {name: value for name, value in compute.items() if name != "dtype"}
    precision = "tf32" if compute["dtype"] == "float32" else compute["dtype"]
    return values | {"compute": kept | {"precision": precision}}


_READING = {"norm": "l2", "channels": "mean", "average": "before", "factor": 0.5}
_FORMULAS = {"diffusion_dpo": _READING, "paper": {"norm": "l1", "channels": "sum", "average": "after", "factor": 1.0}}
"""Stored settings that `preference.formula` names, and their values by its names."""


def read_config(workdir: Path, kind: type, do: str):
    """Config of class `kind` in a folder's `config.json`. Raises InputError with advice `do` if it can't be read."""
    path = workdir / "config.json"
    try:
        values = json.loads(path.read_text())
        if kind is Config:
            return stored_config(values, str(path))
        return from_dict(_precision(renamed_settings(values)), kind, str(path))
    except InputError as error:
        raise InputError(str(error), do=do) from None
    except (OSError, ValueError) as error:
        raise InputError(f"not readable: {error}", path, do) from None


CHANGEABLE = (
    *(
        f"training.{name}"
        for name in ("num_steps", "listening_steps", "log_every", "save_every", "sample_", "probe_every", "keep")
    ),
    "training.max_loss_ratio",
    "sampler.temperature",
    "compute.",
)
"""Starts of the names of settings that may change when a run is continued."""


def differences(old: dict, new: dict, free: tuple[str, ...] = CHANGEABLE, where: str = "") -> list[str]:
    """Settings in which two nested dicts of a config differ, except those that start with a name in `free`."""
    found = []
    for name in {**old, **new}:
        path, before, after = f"{where}{name}", old.get(name), new.get(name)
        if path.startswith(free) or before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, free, f"{path}.")
        else:
            found.append(f"{path}: {before} before, {after} asked for")
    return found


def _convert(value, kind, where: str):
    if dataclasses.is_dataclass(kind):
        return from_dict(value, kind, where)
    if typing.get_origin(kind) is dict:
        require(isinstance(value, dict), f"{where} must be a table")
        return {str(k): _convert(v, typing.get_args(kind)[1], f"{where}.{k}") for k, v in value.items()}
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        require(isinstance(value, list | tuple), f"{where} must be a list")
        return tuple(_convert(each, item, f"{where}[{n}]") for n, each in enumerate(value))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{value!r} is not of type {kind.__name__}", where)
    return value
