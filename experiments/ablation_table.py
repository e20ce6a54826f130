"""The table of a suite: means over seeds, intervals, and which differences from the first cell exceed the noise.

With two seeds or more an interval is Student's t over the seeds' figures, and a difference is taken seed by seed (the
same seed, data and noise on both sides). With one seed the interval is that over the clips, and no difference is
marked: it would not say whether another seed agrees.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from afjax.metrics.report import METRICS, number

COLUMNS = {
    "rpcc_expression": "rPCC exp",
    "rpcc_pose": "rPCC pose",
    "response_peak_smile": "peak",
    "response_lag_ms_smile": "lag",
    "event_response_voice_only": "voice-only",
    "lip_corr": "lip_corr",
    "variance": "Var",
    "sid": "SID",
    "fd": "FD",
    "jitter_inside": "jitter in",
    "jitter_boundary": "jitter edge",
}
REFERENCES = ("recorded", "oracle", "shuffled", "frozen")


def aggregate(records: Sequence[Mapping]) -> dict[str, dict]:
    """`{cell: {"seeds", "steps", "failed", "rows": {row: {metric: estimate}}, "difference": {metric: estimate}}}`.

    `records`: what `experiments.ablation.run_suite` yields, in its order; the first cell is the base. An estimate is
    {"mean", "low", "high", "n"}, of a difference also "marked".
    """
    by_cell: dict[str, dict[int, Mapping]] = {}
    for record in records:
        by_cell.setdefault(record["cell"], {})[record["seed"]] = record
    table, base = {}, None
    for cell, by_seed in by_cell.items():
        good = {seed: record for seed, record in by_seed.items() if "error" not in record}
        entry = {
            "seeds": len(good),
            "steps": sorted({record["steps"] for record in good.values()}),
            "failed": {seed: record["error"] for seed, record in by_seed.items() if "error" in record},
            "rows": _rows([record["metrics"] for record in good.values()]),
            "difference": {},
        }
        base = base or good
        if good is not base:
            entry["difference"] = _differences(good, base)
        table[cell] = entry
    return table


def _rows(tables: Sequence[Mapping]) -> dict[str, dict]:
    if not tables:
        return {}
    return {
        row: {metric: _over_seeds([table[row][metric] for table in tables]) for metric in tables[0][row]}
        for row in tables[0]
    }


def _over_seeds(estimates: Sequence[Mapping]) -> dict:
    means = [estimate["mean"] for estimate in estimates]
    if len(means) < 2 or None in means:
        return dict(estimates[0]) if len(means) == 1 else {"mean": None, "low": None, "high": None, "n": len(means)}
    return _student(np.array(means))


def _student(values: np.ndarray) -> dict:
    reach = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return {"mean": values.mean(), "low": values.mean() - reach, "high": values.mean() + reach, "n": len(values)}


def _differences(good: Mapping[int, Mapping], base: Mapping[int, Mapping]) -> dict[str, dict]:
    seeds, found = sorted(set(good) & set(base)), {}
    for metric in METRICS:
        pairs = [[r[seed]["metrics"]["model"].get(metric, {}).get("mean") for r in (good, base)] for seed in seeds]
        if not pairs or any(None in pair for pair in pairs):
            continue
        values = np.array([ours - theirs for ours, theirs in pairs])
        if len(values) == 1:
            found[metric] = {"mean": values[0], "low": None, "high": None, "n": 1, "marked": False}
        else:
            estimate = _student(values)
            found[metric] = estimate | {"marked": bool(estimate["low"] > 0 or estimate["high"] < 0)}
    return found


def markdown(table: Mapping[str, dict], smoke_below: int) -> str:
    """A Markdown table: reference rows, then cells; `*` marks differences from the first cell beyond the noise."""
    header = ["", "seeds", "steps", *COLUMNS.values(), "peak, user dropped"]
    rows = [header, ["---"] * len(header), *_reference_rows(table)]
    for cell, entry in table.items():
        rows.append([_label(cell, entry, smoke_below), *_cells(entry)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines += ["", "`*`: differs from the first cell by more than the noise of the seeds (95 %, paired)."]
    for cell, entry in table.items():
        lines += [f"- {cell}, seed {seed}, failed: {error}" for seed, error in entry["failed"].items()]
    return "\n".join(lines) + "\n"


def latex(table: Mapping[str, dict], smoke_below: int) -> str:
    """The same table for booktabs."""
    header = ["", "seeds", "steps", *COLUMNS.values(), "peak, user dropped"]
    cells = [[_label(cell, entry, smoke_below), *_cells(entry)] for cell, entry in table.items()]
    groups = [[header], list(_reference_rows(table)), cells]
    body = "\n\\midrule\n".join("\n".join(" & ".join(map(_escape, row)) + r" \\" for row in group) for group in groups)
    return "\\begin{tabular}{l" + "r" * (len(header) - 1) + f"}}\n\\toprule\n{body}\n\\bottomrule\n\\end{{tabular}}\n"


def _reference_rows(table: Mapping[str, dict]):
    rows = next((entry["rows"] for entry in table.values() if entry["rows"]), {})
    for name in REFERENCES:
        if name in rows:
            figures = [_figure(rows[name].get(metric), METRICS[metric].unit) for metric in COLUMNS]
            yield [name, "", "", *figures, ""]


def _label(cell: str, entry: Mapping, smoke_below: int) -> str:
    smoke = entry["steps"] and entry["steps"][-1] < smoke_below and not cell.startswith(("dpo", "more steps"))
    return f"{cell} (smoke only)" if smoke else cell


def _cells(entry: Mapping) -> list[str]:
    if not entry["rows"]:
        return ["0", "", *["failed"] * len(COLUMNS), ""]
    steps = " to ".join(str(step) for step in (entry["steps"][:1] + entry["steps"][1:][-1:]))
    model = entry["rows"]["model"]
    figures = [
        _figure(model.get(metric), METRICS[metric].unit, entry["difference"].get(metric, {}).get("marked", False))
        for metric in COLUMNS
    ]
    dropped = _figure(entry["rows"].get("model_user_dropped", {}).get("response_peak_smile"), "")
    return [str(entry["seeds"]), steps, *figures, dropped]


def _figure(estimate: Mapping | None, unit: str, marked: bool = False) -> str:
    if not estimate or estimate["mean"] is None:
        return "-"
    star = "*" if marked else ""
    if estimate["low"] is None:
        return number(estimate["mean"], unit) + star
    return f"{number(estimate['mean'], unit)}{star} ± {number((estimate['high'] - estimate['low']) / 2, unit)}"


def _escape(text: str) -> str:
    return text.replace("_", r"\_").replace("%", r"\%").replace("±", r"$\pm$").replace("*", r"$^{*}$")
