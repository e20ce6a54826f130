"""How fast a live avatar is here, everything counted.

    python -m experiments.benchmark --workdir out/demo/run --baseline out/infp --seconds 300 --out out/benchmark
    python -m experiments.benchmark --bundle bundle --data out/demo/run/data --out out/benchmark
    python -m experiments.benchmark --preset released --out out/benchmark
    python -m experiments.benchmark --preset released --stages --out out/benchmark

The first two hold a conversation at wall-clock pace for so long (`experiments.realtime`): pictures of a drawn user are
tracked, a simulated conversation is heard, blocks are generated and rendered, and shown on a play-out clock whose
offset is set by a trial conversation of 20 seconds. Fifty or more events, a user who smiles from one
frame to the next in a twin of the conversation, give the reaction latency. `--baseline`, a run of the `infp` preset,
goes through the same, with files of its own in baseline/; the ratio is that of the p50s. They write summary.json,
times.jsonl (every arrival and delivery), latency.md, waterfall.png, and model.json, a model's part of the summary as
soon as it is there. A bundle must be of two sessions. The third times the released network with synthetic
weights from the user's pictures to the avatar's (`experiments.released_benchmark`), the last its stages at the
authors' shapes (`experiments.stages`).
"""

from pathlib import Path
from typing import Any

from absl import flags

from afjax.errors import InputError
from experiments import cli, live_benchmark, released_benchmark, stages, subjects


def main():
    out = cli.writable(_OUT.value, folder=True)
    if _STAGES.value:
        summary = stages.benchmark(stages.STAGES, _REPEATS.value)
        stages.report(summary)
    elif _PRESET.value:
        sizes = released_benchmark.SMALL if _SMALL.value else released_benchmark.Sizes()
        profile = out / "profile" if _PROFILE.value else None
        summary = released_benchmark.measure(sizes, _BLOCK.value, _BLOCKS.value, _SESSIONS.value, profile)
        released_benchmark.report(summary)
    elif bool(_WORKDIR.value) == bool(_BUNDLE.value):
        raise InputError("one thing is measured", do="give --workdir DIR, --bundle DIR or --preset released")
    else:
        summary = measure(out)
        with cli.aside(out / "latency.md") as path:
            path.write_text(table(summary))
        print(table(summary))
    cli.write_json(out / "summary.json", summary)
    print(f"on {summary['device']}; written: {out / 'summary.json'}")


def measure(out: Path) -> dict[str, Any]:
    """The summary of --workdir or --bundle, with that of --baseline in it."""
    found = [subjects.bundled(_BUNDLE.value) if _BUNDLE.value else subjects.trained(_WORKDIR.value)]
    if _BASELINE.value:  # a bad folder is found before anything is measured
        found.append(subjects.trained(_BASELINE.value))
    summaries = []
    for subject, part in zip(found, (out, out / "baseline"), strict=False):
        data = _DATA.value or subject.data
        if data is None:
            raise InputError("a bundle has no conversations", do="give --data, a folder of data_pipeline.build")
        summaries.append(
            live_benchmark.measure(subject, cli.absolute(data), part, _SECONDS.value, _EVENTS.value, _SIZE.value)
        )
        cli.write_json(part / "model.json", summaries[-1])  # minutes of measuring outlive a failure of the baseline
    summary = summaries[0]
    if len(summaries) == 2:
        ours, theirs = (s["reaction_latency_ms"]["p50"] for s in summaries)
        summary |= {"infp": summaries[1], "ratio_to_infp": theirs / ours if ours and theirs else None}
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
    _BUNDLE = flags.DEFINE_string("bundle", "", "In place of --workdir: a bundle of experiments.export_stream.")
    _BASELINE = flags.DEFINE_string("baseline", "", "Run folder of the infp preset, for the ratio.")
    _DATA = flags.DEFINE_string("data", "", "Folder of conversations; the run's own without it.")
    _SECONDS = flags.DEFINE_float("seconds", 60.0, "Length of the conversation, at least what the events need.")
    _EVENTS = flags.DEFINE_integer("events", 50, "Events for the reaction latency.", lower_bound=1)
    _SIZE = flags.DEFINE_integer("size", 256, "Pixels a side of both faces.")
    _PRESET = flags.DEFINE_enum("preset", None, ["released"], "Measures that network with synthetic weights.")
    _BLOCK = flags.DEFINE_integer("block", 10, "Frames of a block of --preset.", lower_bound=3, upper_bound=25)
    _BLOCKS = flags.DEFINE_integer("blocks", 200, "Blocks of --preset that are timed.", lower_bound=5)
    _SESSIONS = flags.DEFINE_integer("sessions", 64, "Most sessions of --preset that are tried.", lower_bound=1)
    _SMALL = flags.DEFINE_bool("small", False, "--preset at a size that only shows that it runs.")
    _PROFILE = flags.DEFINE_bool("profile", False, "Write a profiler's trace of some blocks of --preset.")
    _STAGES = flags.DEFINE_bool("stages", False, "Measure each stage of --preset alone, at the authors' shapes.")
    _REPEATS = flags.DEFINE_integer("repeats", 7, "Calls of each stage after the first.", lower_bound=5)
    _OUT = flags.DEFINE_string("out", "out/benchmark", "Folder of the results.")
    cli.run(main)
