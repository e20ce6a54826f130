"""Tables and pictures of `experiments.live.gpu_report`, as docs/gpu.md shows them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from afjax import files
from afjax.errors import InputError
from experiments.report.figures import ACCENT, AVATAR, RECORDED, USER, canvas

__all__ = ["tables", "write"]

_MARKS = ("p50", "p95", "p99", "max")
_TIMED = ("bfloat16", "tf32", "float32", "block_5")


def write(out: Path, summary: Mapping[str, Any]):
    """`out`/gpu.md and, where matplotlib is installed, gpu_blocks.png and gpu_kernels.png."""
    with files.aside(out / "gpu.md") as path:
        path.write_text(tables(summary))
    try:
        _blocks(out / "gpu_blocks.png", summary)
        _kernels(out / "gpu_kernels.png", summary)
    except InputError as error:
        print(f"no pictures: {error}")


def tables(summary: Mapping[str, Any]) -> str:
    """The report in Markdown; what was not measured is left out."""
    phases = summary["phases"]
    size = ", sizes that only show that it runs" if summary["small"] else ""
    parts = [f"Measured on {summary['device']}, jax {summary['jax']}{size}."]
    rows = []
    for name in _TIMED:
        found = phases.get(name, {})
        for what, times in [("block", found.get("block_ms")), *found.get("stage_ms", {}).items()]:
            if times:
                rows.append([name, what, *(f"{times[mark]:.2f}" for mark in _MARKS), times["n"]])
    parts.append(_table(("", "ms", *_MARKS, "blocks"), rows))
    rows = []
    for name in _TIMED:
        found = phases.get(name, {})
        if "first_call_s" in found:
            memory = next((f"{found[key]:.2f}" for key in ("device_gb", "process_gb") if key in found), "")
            rate = found.get("products_gflop_per_second", 0) / 1000
            rows.append([name, *(f"{took:.1f}" for took in found["first_call_s"].values()), memory, f"{rate:.1f}"])
    parts.append(_table(("first calls, s", "see", "step", "show", "GB", "TFLOP/s of a matrix product"), rows))
    sessions = phases.get("sessions", {})
    rows = [
        [name, *(f"{found['block_ms'][mark]:.1f}" for mark in _MARKS)]
        for name, found in sessions.get("tried", {}).items()
    ]
    parts.append(_table(("sessions", *(f"{mark}, ms" for mark in _MARKS)), rows))
    attention = {name: found for name, found in phases.get("attention", {}).items() if name != "error"}
    times = {**attention, **_evaluations(phases)}
    rows = [
        [name, f"{found['p50']:.4f}" if "p50" in found else found.get("error", "")] for name, found in times.items()
    ]
    parts.append(_table(("attention of a block; the step by evaluations", "p50, ms"), rows))
    kernels = phases.get("kernels", {})
    rows = [
        [each["name"][:80].replace("|", "/"), f"{each['ms']:.3f}", f"{each['calls']:.1f}", f"{100 * each['share']:.1f}"]
        for each in kernels.get("kernels", ())
    ]
    parts.append(_table(("kernel", "ms a block", "calls", "%"), rows))
    if kernels:
        launches = ", ".join(f"{count:.0f} {name}" for name, count in kernels["launches"].items()) or "not told"
        parts.append(
            f"Busy {kernels['busy_ms']:.2f} ms a block in {kernels['count']:.0f} kernels; launches: {launches}."
        )
    errors = [f"{name}: {found['error']}" for name, found in phases.items() if "error" in found]
    missing = [f"{name}: left out, {why}" for name, why in summary["left_out"].items()]
    return "\n\n".join(filter(None, [*parts, *errors, *missing])) + "\n"


def _evaluations(phases: Mapping[str, Any]) -> dict[str, Any]:
    found = phases.get("evaluations", {}).get("step_ms", {})
    return {f"step, {count} evaluations": times for count, times in found.items()}


def _table(header, rows) -> str:
    if not rows:
        return ""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in lines)


def _blocks(path: Path, summary: Mapping[str, Any]):
    """Median of each program, stacked, and the block's percentiles."""
    found = {name: entry for name, entry in summary["phases"].items() if name in _TIMED and "stage_ms" in entry}
    if not found:
        return
    with canvas(path, 7.0, 1.0 + 0.5 * len(found)) as figure:
        axis = figure.subplots()
        for row, entry in enumerate(found.values()):
            left = 0.0
            for colour, (name, times) in zip((USER, AVATAR, ACCENT), entry["stage_ms"].items(), strict=False):
                axis.barh(row, times["p50"], 0.5, left, color=colour, label=name if row == 0 else None)
                left += times["p50"]
            whole = [entry["block_ms"][mark] for mark in _MARKS[:3]]
            axis.plot(
                whole, [row] * 3, "|-", color="black", ms=12, lw=1, label="block p50, p95, p99" if row == 0 else None
            )
        axis.set_yticks(range(len(found)), list(found))
        axis.invert_yaxis()
        axis.set_xlabel("ms a block")
        axis.set_title(summary["device"])
        figure.legend(loc="outside upper center", ncols=4, fontsize=8)


def _kernels(path: Path, summary: Mapping[str, Any]):
    rows = summary["phases"].get("kernels", {}).get("kernels", [])[:12]
    if not rows:
        return
    with canvas(path, 8.0, 1.0 + 0.28 * len(rows)) as figure:
        axis = figure.subplots()
        axis.barh(range(len(rows)), [each["ms"] for each in rows], 0.6, color=RECORDED)
        axis.set_yticks(range(len(rows)), [each["name"][:48] for each in rows], fontsize=7)
        axis.invert_yaxis()
        axis.set_xlabel("ms a block")
        axis.set_title(f"longest kernels, {summary['device']}")
