"""Progress of long steps, seconds per stage, tables."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


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
    """Progress of a long step: a bar on a terminal, elsewhere a line at most every `every` seconds.

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
        """Counts n more; `note` (a loss, say) stands at the line's end."""
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
    """Seconds of wall time per stage: `with watch("render"): ...`; a stage entered again adds to its sum."""

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
