"""What the binaries share: configuration flags, progress, results.

Progress and tables go to stdout, so that stderr holds nothing but the error.
"""

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from ml_collections import config_flags

from afjax.errors import InputError
from data_pipeline import command

__all__ = [
    "Progress", "Watch", "absolute", "aside", "define_config", "print_table", "quiet", "run", "writable", "write_json",
]  # fmt: skip

_CONFIG_ERRORS = (KeyError, AttributeError, TypeError, ValueError, OSError, ImportError, SyntaxError)
_CACHE = Path(__file__).resolve().parents[1] / ".cache" / "jax"


def run(main: Callable[[], Any]):
    """`data_pipeline.command.run` for programs with configuration flags and compiled steps."""
    _keep_compiled_programs()
    command.run(main, _parse)


def _parse(argv: Sequence[str]) -> list[str]:
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
    """A flag for a configuration file, `--config=file.py:variant`, whose fields are flags too, `--config.lr=3e-4`.

    ml_collections reads the overrides of the default file already here; their mistakes end the program in one line.
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
    """Compiled programs are kept beside the code, so that a second run starts at once; the environment overrules."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ and os.access(_CACHE.parents[1], os.W_OK):
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(_CACHE)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@contextlib.contextmanager
def quiet():
    """Hides what native libraries print on stderr while the block runs; exceptions pass through."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class Progress:
    """How far a long step is: a bar on a terminal, elsewhere a line at most every `every` seconds.

    with Progress(total, "render") as progress:
        progress.update(10)
    """

    def __init__(self, total: int, what: str, unit: str = "frames", every: float = 10.0, out=None):
        self.total, self.what, self.unit, self.every = total, what, unit, every
        self.done, self.note, self._line = 0, "", ""
        self._out = out or sys.stdout
        self._terminal = self._out.isatty()
        self._start = self._shown = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self._show()
        if self._terminal:
            self._out.write("\n")
        self._out.flush()

    def update(self, n: int = 1, note: str = ""):
        """n more are done; `note` (a loss, say) stands at the line's end."""
        self.done += n
        self.note = note or self.note
        if time.monotonic() - self._shown >= (0.1 if self._terminal else self.every):
            self._show()

    def _show(self):
        self._shown = time.monotonic()
        seconds = self._shown - self._start
        rate = self.done / max(seconds, 1e-9)
        share = min(1.0, self.done / max(self.total, 1))
        left = (self.total - self.done) / rate if 0 < self.done < self.total else 0.0
        times = f"{_clock(seconds)} < {_clock(left)}" if left else _clock(seconds)
        text = f"{self.what}: {self.done}/{self.total} {self.unit}, {times}, {rate:.1f}/s {self.note}".rstrip()
        if self._terminal:
            bar = "#" * round(20 * share)
            self._out.write(f"\r\x1b[K[{bar:.<20}] {text}")
        elif text != self._line:
            self._out.write(text + "\n")
            self._line = text
        self._out.flush()


@dataclass
class Watch:
    """Seconds of wall time by stage: `with watch("render"): ...`; a stage entered again adds to its sum."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def absolute(path: str | Path) -> Path:
    """An absolute path with `~` expanded; nothing is looked up."""
    return Path(path).expanduser().absolute()


def writable(path: str | Path, folder: bool = False) -> Path:
    """The absolute path of an output file (or folder) that can be written; InputError before any work is done.

    Missing folders above it are allowed and made when the file is written.
    """
    path = absolute(path)
    if folder and path.exists() and not path.is_dir():
        raise InputError("is a file, a folder is needed", path)
    if not folder and path.is_dir():
        raise InputError("is a directory, a file name is needed", path)
    above = path if folder else path.parent
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir():
        raise InputError(f"{above} is a file, not a folder", path, "choose another place")
    if not os.access(above, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise InputError("no permission to write it", path, "choose another place")
    return path


@contextlib.contextmanager
def aside(path: str | Path) -> Iterator[Path]:
    """A file name beside `path`, of the same suffix, to write to.

    Missing folders are made. What was written takes the name `path` when the block ends well, else vanishes.
    """
    path = absolute(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: str | Path, content: Mapping[str, Any]) -> Path:
    """Writes a JSON file aside and renames it. NumPy values become plain ones, NaN and infinity null."""
    path = absolute(path)
    with aside(path) as partial:
        partial.write_text(json.dumps(_plain(content), indent=2, allow_nan=False) + "\n")
    return path


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value if value is None or isinstance(value, str) else str(value)


def print_table(rows: Sequence[Sequence[Any]], header: Sequence[str] = ()):
    """Prints rows in columns: the first to the left, the others to the right; floats with three decimals."""
    rows = [header, *rows] if header else rows
    cells = [[f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[k]) for row in cells if k < len(row)) for k in range(max(map(len, cells), default=0))]
    for number, row in enumerate(cells):
        line = [c.rjust(w) if k else c.ljust(w) for k, (c, w) in enumerate(zip(row, widths, strict=False))]
        print("  ".join(line).rstrip())
        if header and number == 0:
            print("  ".join("-" * w for w in widths))
