"""How fast a live avatar is here, everything counted.

    python -m experiments.benchmark --workdir out/demo/run --baseline out/infp --seconds 300 --out out/benchmark
    python -m experiments.benchmark --preset released --stages --out out/benchmark

The first holds a conversation at wall-clock pace for so long (`experiments.realtime`): pictures of a drawn user are
tracked, a simulated conversation is heard, blocks are generated and rendered, and shown on a play-out clock whose
offset is set at the start from a few blocks that nobody waits for. Fifty or more events, a user who smiles from one
frame to the next in a twin of the conversation, give the reaction latency. `--baseline`, a run of the `infp` preset,
goes through the same; the ratio is that of the p50s. Writes summary.json, times.jsonl (every arrival and delivery),
latency.md and waterfall.png. The second times the released network's stages one by one (`experiments.stages`).
"""

from pathlib import Path
from typing import Any

from absl import flags

from afjax.errors import InputError
from experiments import cli, live_benchmark, stages
from experiments.runs import load_run


def _data(workdir: str) -> Path:
    """The held-out conversations of a run."""
    if _DATA.value:
        return cli.absolute(_DATA.value)
    config = load_run(workdir).config
    return Path(config.data.path) if config.data.path else cli.absolute(workdir) / "data"


def main():
    out = cli.writable(_OUT.value, folder=True)
    if _STAGES.value:
        summary = stages.benchmark(stages.STAGES, _REPEATS.value)
        stages.report(summary)
    elif not _WORKDIR.value:
        raise InputError("nothing to measure", do="give --workdir DIR, or --preset released --stages")
    else:
        summary = measure(out)
        with cli.aside(out / "latency.md") as path:
            path.write_text(table(summary))
        print(table(summary))
    cli.write_json(out / "summary.json", summary)
    print(f"on {summary['device']}; written: {out / 'summary.json'}")


def measure(out: Path) -> dict[str, Any]:
    """The summary of --workdir, with that of --baseline in it."""
    folders = filter(None, (_WORKDIR.value, _BASELINE.value))
    runs = [load_run(folder) for folder in folders]  # a bad folder is found before anything is measured
    found = []
    for run, part in zip(runs, (out, out / "baseline"), strict=False):
        data = _DATA.value or run.config.data.path or run.folder / "data"
        settings = (_SECONDS.value, _EVENTS.value, _SIZE.value)
        found.append(live_benchmark.measure(run, cli.absolute(data), part, *settings))
    summary = found[0]
    if len(found) == 2:
        ours, theirs = (s["reaction_latency_ms"]["p50"] for s in found)
        summary |= {"infp": found[1], "ratio_to_infp": theirs / ours if ours and theirs else None}
    return summary


def table(summary: dict[str, Any]) -> str:
    """The summary as a Markdown table, a column for each model."""
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


if __name__ == "__main__":
    _WORKDIR = flags.DEFINE_string("workdir", "", "Run folder of a trained model.")
    _BASELINE = flags.DEFINE_string("baseline", "", "Run folder of the infp preset, for the ratio.")
    _DATA = flags.DEFINE_string("data", "", "Folder of conversations; the run's own without it.")
    _SECONDS = flags.DEFINE_float("seconds", 60.0, "Length of the conversation, at least what the events need.")
    _EVENTS = flags.DEFINE_integer("events", 50, "Events for the reaction latency.", lower_bound=1)
    _SIZE = flags.DEFINE_integer("size", 256, "Pixels a side of both faces.")
    _PRESET = flags.DEFINE_enum("preset", "released", ["released"], "Whose stages.")
    _STAGES = flags.DEFINE_bool("stages", False, "Measure each stage of the released network alone.")
    _REPEATS = flags.DEFINE_integer("repeats", 7, "Calls of each stage after the first.", lower_bound=5)
    _OUT = flags.DEFINE_string("out", "out/benchmark", "Folder of the results.")
    cli.run(main)
