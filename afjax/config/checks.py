"""Checks of settings; an error is one line for whoever gave them."""

from afjax.errors import InputError


def require(ok: bool, what: str, do: str = ""):
    """Raises InputError unless `ok`."""
    if not ok:
        raise InputError(what, "config", do)


def one_of(name: str, value: str, choices: tuple[str, ...]):
    """Raises InputError for a value that is none of `choices`."""
    require(value in choices, f"{name} = {value!r} is not known", f"choose one of {', '.join(choices)}")
