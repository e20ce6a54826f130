"""The tables of a suite: means over seeds, intervals, and which differences exceed the noise.

An interval is Student's t over the seeds' figures where there are two seeds or more. A difference is taken per seed
(the same seed, data and noise on both sides) from the cell's own control if it names one, else from the suite's first
cell. A table has many differences, some of which would pass a test at 5 % by chance. Holm's procedure therefore
corrects their p-values, of Student's paired t, over the cells of a column: a column without any effect then has a mark
in at most 5 % of all tables. The interval of one seed is that over the clips, and no difference is marked: it would not
say whether another seed agrees.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from afjax.audio.framing import FPS
from afjax.metrics.table.report import METRICS, number
from experiments.ablation.plan import SMOKE
from experiments.configs.ablations.suite import Suite

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
PAIRED = COLUMNS | {"variance_pose": "Var pose", "sid_pose": "SID pose"}
WAITS = {
    "p50, ms": ("model", "p50"),
    "p95": ("model", "p95"),
    "seen": ("model", "seen"),
    "own p50": ("own", "p50"),
    "people p50": ("people", "p50"),
    "people p95": ("people", "p95"),
    "people seen": ("people", "seen"),
}
STEP_MS = 1000.0 / FPS
"""Lags are in whole frames."""
REFERENCES = ("recorded", "oracle", "shuffled", "frozen")


def aggregate(suite: Suite, records: Sequence[Mapping]) -> dict[str, dict]:
    """`{cell: {"seeds", "steps", "smoke", "failed", "unmeasured", "rows": {row: {metric: estimate}}, "reactions",
    "against", "difference"}}`.

    `records`: what `experiments.ablation.runner.run_suite` yields; cells are in the suite's order. An estimate is
    {"mean", "low", "high", "n"}; `difference` is {metric: estimate} from the cell `against`, with "p" (corrected),
    "marked" and the "values" of the seeds. `reactions` has the results of `experiments.evaluation.reaction_lag.measure`
    per seed; `unmeasured` says why there are none.
    """
    by_cell: dict[str, dict[int, Mapping]] = {}
    for record in records:
        by_cell.setdefault(record["cell"], {})[record["seed"]] = record
    good = {
        cell: {seed: record for seed, record in by_seed.items() if "error" not in record}
        for cell, by_seed in by_cell.items()
    }
    table = {}
    for cell in (cell for cell in suite.cells if cell.name in by_cell):
        against, ours = cell.against or suite.cells[0].name, good[cell.name]
        table[cell.name] = {
            "seeds": len(ours),
            "steps": sorted({record["steps"] for record in ours.values()}),
            "smoke": not cell.goes_on and any(record["steps"] < SMOKE for record in ours.values()),
            "failed": {seed: one["error"] for seed, one in by_cell[cell.name].items() if "error" in one},
            "unmeasured": {seed: one["reaction_error"] for seed, one in ours.items() if "reaction_error" in one},
            "rows": _rows([record["metrics"] for record in ours.values()]),
            "reactions": {seed: record["reaction"] for seed, record in ours.items() if "reaction" in record},
            "against": against,
            "difference": {} if against == cell.name else _differences(ours, good.get(against, {})),
        }
    _correct([entry["difference"] for entry in table.values()])
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
    return _t_interval(np.array(means))


def _t_interval(values: np.ndarray) -> dict:
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
            estimate = {"mean": values[0], "low": None, "high": None, "n": 1, "p": None}
        else:
            estimate = _t_interval(values) | {"p": _paired_p(values, STEP_MS if METRICS[metric].unit == "ms" else 0.0)}
        found[metric] = estimate | {"marked": False, "values": values.tolist()}
    return found


def _paired_p(values: np.ndarray, step: float = 0.0) -> float:
    """p-value of Student's paired test; 1 where nothing differs, as for a run that was taken back to its start.

    Figures in steps of size `step` have at least the spread of rounding to a step, even where all seeds show the same.
    Other figures whose differences are all equal have the p of their signs.
    """
    n, deviation = len(values), max(values.std(ddof=1), step / np.sqrt(12))
    if not values.any():
        return 1.0
    if deviation < 1e-12 * np.abs(values).max():
        return 2.0 / 2**n
    return float(2.0 * stats.t.sf(abs(values.mean()) / (deviation / np.sqrt(n)), n - 1))


def _correct(differences: Sequence[dict]) -> None:
    """Corrects the p-values of each metric over the cells, and marks those below 5 %."""
    for metric in METRICS:
        found = [one[metric] for one in differences if one.get(metric, {}).get("p") is not None]
        for estimate, p in zip(found, holm([estimate["p"] for estimate in found]), strict=True):
            estimate |= {"p": p, "marked": p < 0.05}


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values (Holm 1979): the k-th smallest of m times m - k + 1, never below a smaller one's, at most 1."""
    order = np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values, float)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted.tolist()


def markdown(table: Mapping[str, dict]) -> str:
    """Markdown of reference rows and cells, with `*` at differences beyond chance.

    The seeds' differences of cells with a control of their own follow.
    """
    header = ["", "seeds", "steps", *COLUMNS.values(), "peak, user dropped"]
    rows = [header, ["---"] * len(header), *_reference_rows(table)]
    for cell, entry in table.items():
        rows.append([_label(cell, entry), *_cells(entry)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines += ["", "`*`: differs from its control, paired by seeds, p < .05 after Holm's correction within the column."]
    lines += [*_paired(table), *_reactions(table)]
    for cell, entry in table.items():
        lines += [f"- {cell}, seed {seed}, failed: {error}" for seed, error in entry["failed"].items()]
        lines += [f"- {cell}, seed {seed}, smiles: {error}" for seed, error in entry["unmeasured"].items()]
    return "\n".join(lines) + "\n"


def _paired(table: Mapping[str, dict]) -> list[str]:
    """Lines of a table of differences per seed, for the cells whose control is not the first cell."""
    first = next(iter(table), "")
    own = {cell: entry for cell, entry in table.items() if entry["against"] != first and entry["difference"]}
    if not own:
        return []
    rows = [["", "minus", *PAIRED.values()], ["---"] * (2 + len(PAIRED))]
    for cell, entry in own.items():
        found = (entry["difference"].get(metric, {"values": []})["values"] for metric in PAIRED)
        rows.append(
            [cell, entry["against"], *(" ".join(f"{value:+.3g}" for value in values) or "-" for values in found)]
        )
    return ["", "Differences, seed by seed:", "", *("| " + " | ".join(row) + " |" for row in rows)]


def _reactions(table: Mapping[str, dict]) -> list[str]:
    """Lines of a table of reaction latencies, one figure per seed, with the people from whom the cells learned."""
    measured = {cell: entry["reactions"] for cell, entry in table.items() if entry["reactions"]}
    if not measured:
        return []
    seeds = sorted(set().union(*measured.values()))
    rows = [["", *WAITS, "behind"], ["---"] * (2 + len(WAITS))]
    for cell, found in measured.items():
        columns = [
            [found[seed][who][name] if seed in found else None for seed in seeds] for who, name in WAITS.values()
        ]
        behind = next(iter(found.values()))["offset_ms"]
        rows.append([cell, *map(_figures, columns), _figures([behind])])
    headroom = next(iter(next(iter(measured.values())).values()))["headroom_ms"]
    about = f"Smiles of seeds {', '.join(map(str, seeds))}, a block computed in {headroom:g} ms:"
    return ["", about, "", *("| " + " | ".join(row) + " |" for row in rows)]


def _figures(values: Sequence[float | None]) -> str:
    return " ".join("-" if value is None else f"{value:.2f}" if 0 < value < 1 else f"{value:.0f}" for value in values)


def latex(table: Mapping[str, dict]) -> str:
    """The same table for booktabs."""
    header = ["", "seeds", "steps", *COLUMNS.values(), "peak, user dropped"]
    cells = [[_label(cell, entry), *_cells(entry)] for cell, entry in table.items()]
    groups = [[header], list(_reference_rows(table)), cells]
    body = "\n\\midrule\n".join("\n".join(" & ".join(map(_escape, row)) + r" \\" for row in group) for group in groups)
    return "\\begin{tabular}{l" + "r" * (len(header) - 1) + f"}}\n\\toprule\n{body}\n\\bottomrule\n\\end{{tabular}}\n"


def _reference_rows(table: Mapping[str, dict]):
    rows = next((entry["rows"] for entry in table.values() if entry["rows"]), {})
    for name in REFERENCES:
        if name in rows:
            figures = [_figure(rows[name].get(metric), METRICS[metric].unit) for metric in COLUMNS]
            yield [name, "", "", *figures, ""]


def _label(cell: str, entry: Mapping) -> str:
    return f"{cell} (smoke only)" if entry["smoke"] else cell


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
