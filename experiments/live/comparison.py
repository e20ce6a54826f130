"""Live measurement of one model, or of two beside each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from afjax import files
from afjax.errors import InputError
from experiments.live import call_benchmark
from experiments.live.systems import SystemUnderTest


def compare(
    found: Sequence[SystemUnderTest],
    out: Path,
    data: str = "",
    seconds: float = 60.0,
    events: int = 50,
    size: int = 256,
) -> dict[str, Any]:
    """The summary of the first model; it holds that of a second, the baseline, whose files go to `out/baseline`.

    `data`: folder of conversations, by default each model's own; other arguments as for `call_benchmark.measure`.
    """
    summaries = []
    for subject, part in zip(found, (out, out / "baseline"), strict=False):
        folder = data or subject.data
        if folder is None:
            raise InputError("a bundle has no conversations", do="give --data, a folder of data_pipeline.build")
        summaries.append(call_benchmark.measure(subject, files.absolute(folder), part, seconds, events, size))
        files.write_json(part / "model.json", summaries[-1])  # kept if the baseline fails
    summary = summaries[0]
    if len(summaries) == 2:
        ours, theirs = (s["reaction_latency_ms"]["p50"] for s in summaries)
        summary |= {"infp": summaries[1], "ratio_to_infp": theirs / ours if ours and theirs else None}
    return summary


def table(summary: dict[str, Any]) -> str:
    """The summary as a Markdown table, one column per model."""
    columns = [summary] + ([summary["infp"]] if "infp" in summary else [])

    def number(value):
        return "-" if value is None else f"{value:.0f}" if isinstance(value, float) else str(value)

    def row(name, get):
        return [name, *(number(get(s)) for s in columns)]

    rows = [
        ["", *(s["setting"]["name"] for s in columns)],
        ["---"] * (len(columns) + 1),
        row("block, frames", lambda s: s["setting"]["block"]),
        row("user delay, frames", lambda s: s["setting"]["user_delay"]),
        row("blocks", lambda s: s["blocks"]),
        row("late blocks", lambda s: s["late_blocks"]),
        row("collected, ms", lambda s: s["algorithmic_ms"]["collected"]),
        row("play-out offset, ms", lambda s: s["offset_ms"]),
        row("track a frame, p50 ms", lambda s: s["compute_ms"]["track_frame"]["p50"]),
        row("step, p50 ms", lambda s: s["compute_ms"]["step"]["p50"]),
        row("render a block, p50 ms", lambda s: s["compute_ms"]["render_block"]["p50"]),
        row("block, p50 / ms", lambda s: s["compute_ms"]["block"]["p50"]),
        row("block, p99 ms", lambda s: s["compute_ms"]["block"]["p99"]),
        row("reaction latency, p50 ms", lambda s: s["reaction_latency_ms"]["p50"]),
        row("reaction latency, p95 ms", lambda s: s["reaction_latency_ms"]["p95"]),
        row("events seen", lambda s: s["reaction_latency_ms"]["n"]),
        row("visible reaction, ms", lambda s: s["visible_reaction_ms"]),
        row("sessions at real time", lambda s: s["sessions_at_real_time"]["sessions"]),
    ]
    text = "\n".join("| " + " | ".join(cells) + " |" for cells in rows) + "\n"
    if summary.get("ratio_to_infp"):
        text += f"\nreaction latency of infp over ours, p50: {summary['ratio_to_infp']:.1f}\n"
    return text
