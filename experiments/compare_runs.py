"""Compares run folders on one page: figures, differences of their configurations, and every curve.

    python -m experiments.compare_runs --runs out/a --runs out/b --out out/runs.html
    python -m experiments.compare_runs --runs 'out/paper/cells/*/run' --out out/runs.html

Patterns are allowed. The page needs nothing beside it and fetches nothing. Its figures are also in `runs.json`. Runs
may still be going: the page shows what their `metrics.jsonl` holds.
"""

from absl import flags

from afjax import files
from afjax.errors import InputError
from experiments import cli
from experiments.report.compare_runs import compare, find

_RUNS = flags.DEFINE_multi_string("runs", None, "Run folder or pattern; may be repeated.")
_OUT = flags.DEFINE_string("out", "out/runs.html", "Page to write.")


def main():
    if not _RUNS.value:
        raise InputError("--runs is missing", do="name run folders: --runs out/a --runs out/b")
    out = files.writable(_OUT.value)
    summary = compare(find(_RUNS.value), out)
    files.write_json(out.with_suffix(".json"), summary)
    shown = ("steps", "loss, end", "frames/s", "input wait")
    rows = [[name, *(figure(row[figure]) for figure in shown)] for name, row in summary["runs"].items()]
    cli.print_table(rows, ["run", *shown])
    print(f"{len(summary['differ'])} settings differ; written: {out}")


if __name__ == "__main__":
    cli.run(main)
