"""Runs side by side on one page."""

import glob
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import median
from typing import Any

from afjax import files
from afjax.config.earlier_names import renamed_settings
from afjax.errors import InputError
from experiments.report import page, svg

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")


DASHES = ("", "6 3", "2 3", "8 3 2 3")


CSS = (
    svg.CSS
    + """
.legend { display: flex; flex-wrap: wrap; gap: 0.3rem 1.2rem; margin: 0.8rem 0; }
.legend svg { display: inline; width: 34px; height: 10px; border: 0; background: none; margin-right: 0.4rem; }
thead th { min-width: 4.6rem; }
th[scope=row] { overflow-wrap: anywhere; }
.charts h3 { font-size: 0.95rem; margin: 0 0 0.3rem; }
.differences td, .differences thead th { text-align: left; }
"""
)


@dataclass(frozen=True)
class RunLog:
    """Contents of a run folder: `config` by dotted name, the records of its log, its summary (empty until it ends)."""

    name: str
    config: dict[str, Any]
    records: list[dict[str, Any]]
    summary: dict[str, Any]

    def curve(self, scalar: str) -> list[tuple[float, float]]:
        """(step, value) of one column of the log."""
        return [(record["step"], float(record[scalar])) for record in self.records if scalar in record]

    def typical(self, scalar: str) -> float | None:
        """The median over the log, None without one."""
        values = [value for _, value in self.curve(scalar) if math.isfinite(value)]
        return median(values) if values else None

    def last(self, scalar: str) -> float | None:
        """The last value."""
        return self.records[-1].get(scalar) if self.records else None


def find(patterns: Sequence[str]) -> list[Path]:
    """Folders that the patterns name, in order, each once. Raises InputError for a pattern that names none."""
    found = []
    for pattern in patterns:
        paths = sorted(glob.glob(str(files.absolute(pattern))))
        folders = [Path(path) for path in paths if (Path(path) / "metrics.jsonl").is_file()]
        if not folders:
            raise InputError("no run folder: metrics.jsonl is missing", pattern, "give folders of experiments.train")
        found += folders
    return list(dict.fromkeys(found))


def read(folders: Sequence[Path]) -> list[RunLog]:
    """Runs, named by their paths below the folder that they share, without the ending that they share."""
    paths = [folder.relative_to(os.path.commonpath([f.parent for f in folders])) for folder in folders]
    while all(path.name == paths[0].name and path.parent.name for path in paths):
        paths = [path.parent for path in paths]
    return [
        RunLog(
            path.as_posix(),
            flat(renamed_settings(_table(folder / "config.json"))),
            _records(folder / "metrics.jsonl"),
            _table(folder / "summary.json"),
        )
        for path, folder in zip(paths, folders, strict=True)
    ]


def _table(path: Path) -> dict[str, Any]:
    """A JSON table, empty where there is none or it is not whole."""
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _records(path: Path) -> list[dict[str, Any]]:
    records = []
    for line in path.read_text().splitlines():
        try:
            record = {name: float(value) for name, value in json.loads(line).items()}
        except (ValueError, TypeError, AttributeError):  # a line that is being written
            continue
        if "step" in record:
            records.append(record)
    return records


def flat(table: dict[str, Any], where: str = "") -> dict[str, Any]:
    """A nested table by dotted names."""
    found = {}
    for name, value in table.items():
        found |= flat(value, f"{where}{name}.") if isinstance(value, dict) and value else {f"{where}{name}": value}
    return found


def differences(runs: Sequence[RunLog]) -> dict[str, list[Any]]:
    """Settings in which the runs differ: one value per run, None where a run lacks the setting."""
    names = dict.fromkeys(name for run in runs for name in run.config)
    rows = {name: [run.config.get(name) for run in runs] for name in names}
    return {name: row for name, row in rows.items() if any(value != row[0] for value in row)}


FIGURES = {
    "steps": lambda run: run.last("step"),
    "parameters": lambda run: run.summary.get("parameters"),
    "loss, end": lambda run: run.summary.get("loss") or run.last("loss"),
    "frames/s": lambda run: run.typical("frames_per_second"),
    "FLOP/s": lambda run: run.typical("flops_per_second"),
    "MFU": lambda run: run.typical("mfu"),
    "input wait": lambda run: run.typical("input_wait"),
    "peak GB, device": lambda run: run.last("device_gb"),
    "peak GB, process": lambda run: run.last("process_gb"),
    "minutes": lambda run: None if run.last("seconds") is None else run.last("seconds") / 60,
}
"""Columns of the first table. Speeds are medians over the log."""


def compare(folders: Sequence[Path], out: Path) -> dict[str, Any]:
    """Writes the page. Returns the figures of every run and the names of the settings in which they differ."""
    runs = read(folders)
    figures = {run.name: {name: get(run) for name, get in FIGURES.items()} for run in runs}
    shown = [name for name in FIGURES if any(row[name] is not None for row in figures.values())]
    differ = differences(runs)
    styles = {run.name: _style(number) for number, run in enumerate(runs)}
    parts = [
        f"<h1>{len(runs)} run{'s' * (len(runs) > 1)}</h1>",
        _legend(styles),
        "<h2>Figures</h2>",
        _html_table(["run", *shown], [[name, *(figure(row[s]) for s in shown)] for name, row in figures.items()]),
        "<p>Speeds are medians over the log; FLOPs are those of the model's matrix products.</p>",
        "<h2>Settings that differ</h2>",
        _differences(runs, differ),
        "<h2>Curves</h2>",
        f'<div class="charts">{"".join(_charts(runs, styles))}</div>',
    ]
    page.save(out, "runs", parts, CSS)
    return {"runs": figures, "differ": list(differ)}


def _style(number: int) -> str:
    dash = DASHES[number // len(COLOURS) % len(DASHES)]
    return f"stroke:{COLOURS[number % len(COLOURS)]}" + (f";stroke-dasharray:{dash}" if dash else "")


def _legend(styles: dict[str, str]) -> str:
    line = '<svg viewBox="0 0 34 10"><polyline style="{};stroke-width:3" points="0,5 34,5"/></svg>'
    items = (f"<span>{line.format(style)}{escape(name)}</span>" for name, style in styles.items())
    return f'<div class="legend">{"".join(items)}</div>'


def _differences(runs: Sequence[RunLog], differ: dict[str, list[Any]]) -> str:
    if not differ:
        return "<p>None.</p>"
    rows = [[name, *("–" if v is None else json.dumps(v) for v in row)] for name, row in differ.items()]
    return _html_table(["setting", *(run.name for run in runs)], rows, "differences")


def _charts(runs: Sequence[RunLog], styles: dict[str, str]):
    scalars = dict.fromkeys(name for run in runs for record in run.records for name in record if name != "step")
    for scalar in sorted(scalars, key=lambda name: name != "loss"):
        drawn = svg.chart({run.name: run.curve(scalar) for run in runs}, styles, f"{scalar} by step")
        if drawn:
            yield f"<div><h3>{escape(scalar)}</h3>{drawn}</div>"


def _html_table(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    table = f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll {kind}">{table}</div>'


def figure(value: float | None) -> str:
    return "–" if value is None else svg.number(float(value))
