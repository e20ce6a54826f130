"""The start of a program: configuration flags, the cache of compiled programs, one line per mistake."""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_flags

from afjax.errors import InputError
from data_pipeline import command
from data_pipeline.command import said

__all__ = ["define_config", "parse", "run", "said"]

_CONFIG_ERRORS = (KeyError, AttributeError, TypeError, ValueError, OSError, ImportError, SyntaxError)
_ROOT = Path(__file__).resolve().parents[2]


def run(main: Callable[[], Any]):
    """`data_pipeline.command.run` for programs with configuration flags and compiled steps."""
    _keep_compiled_programs()
    _say_errors_once()
    command.run(lambda: _on_device(main), parse)


def _on_device(main: Callable[[], Any]):
    """`main()`, with a one-line error where the platform of JAX_PLATFORMS, or the device's memory, is missing."""
    try:
        main()
    except InputError:
        raise
    except Exception as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            do = "end what else is on it, or ask for less: --config.data.batch, --config.compute.accumulate, --size"
            raise InputError(f"the device's memory is full ({command.one_line(error)})"[:200], do=do) from None
        wanted = os.environ.get("JAX_PLATFORMS", "")
        if wanted and not _has_devices():
            do = "unset it, or install what it needs (docs/inputs.md)"
            raise InputError("no such device here", f"JAX_PLATFORMS={wanted}", do) from None
        raise


def _has_devices() -> bool:
    import jax

    try:
        return bool(jax.devices())
    except Exception:  # RuntimeError or AssertionError, by the platform
        return False


def parse(argv: Sequence[str]) -> list[str]:
    """`data_pipeline.command.parse`, configuration files included."""
    try:
        rest = command.parse(argv)
        # ml_collections holds back the error of a configuration file until its first field is read
        for name in list(flags.FLAGS):
            value = flags.FLAGS[name].value
            if type(value).__module__.startswith("ml_collections.config_flags"):
                _ = value.any_field
    except InputError:
        raise
    except _CONFIG_ERRORS as error:
        raise _config_error(error) from None
    return rest


def define_config(name: str, default: str | Path):
    """Defines a flag for a configuration file, `--config=file.py:variant`, with its fields as flags:
    `--config.lr=3e-4`.

    ml_collections already reads the overrides of the default file here; their mistakes end the program in one line.
    """
    try:
        return config_flags.DEFINE_config_file(name, str(default), "configuration file", lock_config=True)
    except _CONFIG_ERRORS as error:
        command.fail(_config_error(error))


def _config_error(error: Exception) -> InputError:
    unknown = isinstance(error, KeyError | AttributeError)
    said = command.one_line(error)
    return InputError(("unknown configuration field: " if unknown else "bad configuration: ") + said)


def _keep_compiled_programs():
    """Keeps compiled programs, so that a second run starts at once; the environment overrules.

    They lie beside the code in a clone, else where the user's caches are.
    """
    clone = (_ROOT / "pyproject.toml").is_file() and os.access(_ROOT, os.W_OK)
    folder = _ROOT / ".cache" / "jax" if clone else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "afjax", "jax")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.expanduser(folder))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _say_errors_once():
    """Silences Orbax's threads: they log what it also raises, and that their event loop is closed."""
    logging.getLogger("absl").addFilter(lambda record: "orbax" not in record.pathname)
    show = sys.unraisablehook
    sys.unraisablehook = lambda event: "Event loop is closed" in str(event.exc_value) or show(event)
