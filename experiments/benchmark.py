"""Speed of a live avatar on this machine, everything counted.

    python -m experiments.benchmark --out out/benchmark
    python -m experiments.benchmark --workdir out/demo/run --baseline out/infp --seconds 300 --out out/benchmark
    python -m experiments.benchmark --bundle bundle --data out/demo/run/data --out out/benchmark
    python -m experiments.benchmark --workdir out/latent --step --out out/benchmark
    python -m experiments.benchmark --preset released --out out/benchmark
    python -m experiments.benchmark --preset released --stages --out out/benchmark
    python -m experiments.benchmark --preset released --lower cuda --out out/lower
    python -m experiments.benchmark --preset released --gpu_report --out out/gpu

The first three hold a conversation at wall-clock pace for `--seconds` (`experiments.live.call`). Pictures of a drawn
user are tracked, and a simulated conversation is heard. Blocks are generated, rendered, and shown on a play-out clock
whose offset a trial conversation of 20 seconds sets. Fifty or more events give the reaction latency: in each a user
smiles from one frame to the next in a twin of the conversation. `--baseline`, a run of the `infp` preset, goes through
the same, with files of its own in baseline/; the ratio is that of the p50s. These commands write summary.json,
times.jsonl (every arrival and delivery), latency.md, waterfall.png, and model.json, a model's part of the summary as
soon as it is there. The model without `--workdir` is the one that ships, with conversations that are simulated into
`--out`/data. A bundle must be of two sessions.

The fourth times the step alone, for a model of any codec (`experiments.live.step_time`). The fifth times the released
network with synthetic weights from the user's pictures to the avatar's (`experiments.live.released_pipeline`), the
sixth its stages at the authors' shapes (`experiments.live.released_stages`). The seventh computes nothing: it counts
what that network's programs ask of a GPU, and writes lower.json (`experiments.live.released_counts`); `--precision` may
be given several times. The last is the whole report of a GPU in eight minutes, gpu.json and gpu.md
(`experiments.live.gpu_report`); on a CPU it takes `--small`.
"""

from absl import flags

from afjax import files
from afjax.config import ComputeConfig
from afjax.config.compute import PRECISIONS
from afjax.errors import InputError
from experiments import cli
from experiments.live import gpu_report, released_counts, released_pipeline, released_stages, step_time, systems
from experiments.live.comparison import compare, table

_WORKDIR = flags.DEFINE_string("workdir", "", "Run folder of a trained model; without it the one that ships.")
_BUNDLE = flags.DEFINE_string("bundle", "", "In place of --workdir: a bundle of experiments.export_stream.")
_BASELINE = flags.DEFINE_string("baseline", "", "Run folder of the infp preset, for the ratio.")
_DATA = flags.DEFINE_string("data", "", "Folder of conversations; the run's own without it.")
_SECONDS = flags.DEFINE_float("seconds", 60.0, "Length of the conversation, at least what the events need.")
_EVENTS = flags.DEFINE_integer("events", 50, "Events for the reaction latency.", lower_bound=1)
_SIZE = flags.DEFINE_integer("size", 256, "Pixels a side of both faces.")
_PRESET = flags.DEFINE_enum("preset", None, ["released"], "Measures that network with synthetic weights.")
_BLOCK = flags.DEFINE_integer("block", 10, "Frames of a block of --preset.", lower_bound=3, upper_bound=25)
_BLOCKS = flags.DEFINE_integer("blocks", 200, "Blocks of --preset or --step that are timed.", lower_bound=5)
_SESSIONS = flags.DEFINE_integer("sessions", 64, "Most sessions of --preset that are tried.", lower_bound=1)
_SMALL = flags.DEFINE_bool("small", False, "--preset at a size that only shows that it runs.")
_PRECISION = flags.DEFINE_multi_enum(
    "precision", [], PRECISIONS, "How exactly networks compute; as trained without it."
)
_PROFILE = flags.DEFINE_bool("profile", False, "Write a profiler's trace of some blocks of --preset.")
_STAGES = flags.DEFINE_bool("stages", False, "Measure each stage of --preset alone, at the authors' shapes.")
_REPEATS = flags.DEFINE_integer("repeats", 7, "Calls of each stage after the first.", lower_bound=5)
_STEP = flags.DEFINE_bool("step", False, "Time the step of --workdir alone: for a model of any codec.")
_LOWER = flags.DEFINE_enum("lower", None, ["cuda", "rocm"], "Count what the programs of --preset ask of such a device.")
_GPU_REPORT = flags.DEFINE_bool("gpu_report", False, "Measure all of --preset on this GPU, in eight minutes.")
_OUT = flags.DEFINE_string("out", "out/benchmark", "Folder of the results.")


def main():
    out = files.writable(_OUT.value, folder=True)
    sizes = released_pipeline.SMALL if _SMALL.value else released_pipeline.Sizes()
    if (_LOWER.value or _GPU_REPORT.value) and not _PRESET.value:
        raise InputError("--lower and --gpu_report are of a preset", do="add --preset released")
    if _LOWER.value:
        asked = _PRECISION.value or [ComputeConfig().precision]
        summary = released_counts.measure(
            sizes, _BLOCK.value, asked, _LOWER.value, lambda found: files.write_json(out / "lower.json", found)
        )
        released_counts.report(summary)
        print(f"written: {out / 'lower.json'}")
        return
    if _GPU_REPORT.value:
        summary = gpu_report.run(out, _SMALL.value)
        print(f"on {summary['device']}; written: {out / 'gpu.json'}, {out / 'gpu.md'}")
        return
    precision = _precision()
    if _STAGES.value:
        summary = released_stages.benchmark(released_stages.STAGES, _REPEATS.value)
        released_stages.report(summary)
    elif _PRESET.value:
        profile = out / "profile" if _PROFILE.value else None
        summary = released_pipeline.measure(
            sizes, _BLOCK.value, _BLOCKS.value, _SESSIONS.value, profile, precision or "tf32"
        )
        released_pipeline.report(summary)
    elif _STEP.value:
        if _BUNDLE.value:
            raise InputError("--step times a run", do="give --workdir DIR")
        summary = step_time.measure(cli.load_avatar(_WORKDIR.value, precision), _BLOCKS.value)
        cli.print_table([(f"step, {name} ms", value) for name, value in summary["step_ms"].items()])
    elif _WORKDIR.value and _BUNDLE.value:
        raise InputError("one thing is measured", do="give --workdir DIR or --bundle DIR")
    else:
        if _BUNDLE.value and precision:
            raise InputError("a bundle has its precision", do="leave --precision out, or export another")
        if _BUNDLE.value:
            found = [systems.from_bundle(_BUNDLE.value)]
        else:
            found = [systems.from_run(_WORKDIR.value, _DATA.value, out, precision)]
        if _BASELINE.value:  # a bad folder is found before anything is measured
            found.append(systems.from_run(_BASELINE.value, _DATA.value, out / "baseline", precision))
        summary = compare(found, out, _DATA.value, _SECONDS.value, _EVENTS.value, _SIZE.value)
        with files.aside(out / "latency.md") as path:
            path.write_text(table(summary))
        print(table(summary))
    files.write_json(out / "summary.json", summary)
    print(f"on {summary['device']}; written: {out / 'summary.json'}")


def _precision() -> str | None:
    if len(_PRECISION.value) > 1:
        raise InputError("one precision is measured", do="give --precision once, or --lower")
    return next(iter(_PRECISION.value), None)


if __name__ == "__main__":
    cli.run(main)
