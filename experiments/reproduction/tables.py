"""Our tables beside the paper's: the steps' results, under the paper's rows and columns."""

import json
from pathlib import Path
from typing import Any

from afjax import files
from experiments.reproduction.published import OURS, TABLES
from experiments.reproduction.recipe import PROTOCOL

__all__ = ["write"]


def write(out: Path, tables: tuple[int, ...], said: str = "") -> Path:
    """Writes `table1.json` .. and `tables.md` of the measurements in `out`; `said`: first lines of `tables.md`."""
    pages = []
    for number in tables:
        content = _study(out) if number == 2 else _measured(out, number)
        files.write_json(out / f"table{number}.json", content)
        pages.append(_page(number, content))
    with files.aside(out / "tables.md") as path:
        path.write_text("\n\n".join(filter(None, ["# The paper's tables", said, *pages])) + "\n")
    return out / "tables.md"


def _measured(out: Path, number: int) -> dict[str, Any]:
    """`rows`: the values of each of the paper's rows and, where we have a model for it, ours with intervals."""
    table, protocol = TABLES[number], PROTOCOL.get(number, "dyadic")
    rows, missing, notes = {}, {}, list(table.notes)
    further = {}
    for name, printed in table.rows.items():
        model = OURS.get(name)
        rows[name] = {"paper": dict(zip(table.columns, printed, strict=True)), "model": model, "ours": {}}
        if model is None:
            continue
        found = _read(out / "measured" / f"{protocol}_{'tuned' if model == 'recorded' else model}" / "published.json")
        if found is None:
            missing[name] = f"nothing of {protocol} was measured for {model}"
            continue
        row = found["metrics"].get("recorded" if model == "recorded" else "model", {})
        rows[name]["ours"] = {column: row[column] for column in table.columns if column in row}
        further[name] = {metric: value for metric, value in row.items() if metric not in table.columns}
        missing |= {column: why for column, why in found["missing"].items() if column in table.columns}
        notes += [note for note in found["notes"] if note not in notes]
        if "latency" in table.columns and model != "recorded":
            timed = _read(out / "timed" / model / "summary.json")
            if timed is not None:
                rows[name]["ours"] |= _latency(timed)
                notes += [note for note in [f"Our steps were timed on {timed['device']}."] if note not in notes]
    return {
        "table": number, "title": table.title, "columns": table.columns, "rows": rows, "further": further,
        "missing": missing, "notes": notes,
    }  # fmt: skip


def _latency(timed: dict[str, Any]) -> dict[str, Any]:
    """Seconds that a block is waited for, and the median of its step."""
    return {"latency": {"mean": timed["latency_s"], "low": None, "high": None, "n": timed["blocks"]}}


def _study(out: Path) -> dict[str, Any]:
    """The study's entry: where its page is, and the results of its answers where there are any."""
    table = TABLES[2]
    found = _read(out / "study" / "results" / "results.json")
    missing = {} if found else {"answers": f"put those of {out / 'study' / 'site'} into {out / 'study' / 'answers'}"}
    rows = {
        name: {"paper": dict(zip(table.columns, printed, strict=True)), "model": None, "ours": {}}
        for name, printed in table.rows.items()
    }
    return {
        "table": 2, "title": table.title, "columns": table.columns, "rows": rows, "results": found, "missing": missing,
        "notes": list(table.notes),
    }  # fmt: skip


def _read(path: Path) -> dict | None:
    return json.loads(path.read_text()) if path.is_file() else None


def _page(number: int, content: dict[str, Any]) -> str:
    """Markdown of a table: each row of the paper's, with ours and its interval below it."""
    columns = content["columns"]
    lines = [f"## Table {number}. {content['title']}", "", "| | " + " | ".join(columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for name, row in content["rows"].items():
        lines.append(f"| {name} | " + " | ".join(_plain(row["paper"][column]) for column in columns) + " |")
        if row["model"]:
            ours = [_cell(row["ours"].get(column)) for column in columns]
            lines.append(f"| ours, {row['model']} | " + " | ".join(ours) + " |")
    for name, values in content.get("further", {}).items():
        shown = ", ".join(f"{metric} {_cell(value)}" for metric, value in values.items())
        if shown:
            lines += ["", f"Ours for {name}, without what the paper prints: {shown}."]
    lines += ["", *(f"- {name}: {why}" for name, why in content["missing"].items())]
    return "\n".join([*lines, *(f"- {note}" for note in content["notes"])])


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _cell(found: dict[str, Any] | None) -> str:
    if not found or found["mean"] is None:
        return "-"
    if found.get("low") is None:
        return f"{found['mean']:.3f}"
    return f"{found['mean']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
