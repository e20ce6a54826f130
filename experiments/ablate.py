"""Runs a suite of ablations and writes its table.

    python -m experiments.ablate --suite paper --seeds 5 --budget 40m --out out/paper
    python -m experiments.ablate --suite guidance --seeds 5 --out out/paper            # shares cells and data

`--budget` sets the training steps of the cells so that the suite ends in time on this machine: it times a few steps
first, lowers the seeds where a cell would fall under 600 steps, and marks cells under that `smoke only`. Without it the
configurations say how long they train. The program writes `SUITE.json`, `SUITE.md`, `SUITE.tex` and pictures to
`--out`; `cells/` holds every model. Started again it goes on. The table names cells that failed; the next start tries
them again.
"""

from pathlib import Path

from absl import flags

from afjax import files
from experiments import cli
from experiments.ablation.plan import seconds_of
from experiments.ablation.suite import SUITES, ablate

_SUITE = flags.DEFINE_enum("suite", "paper", SUITES, "Which ablations.")
_OUT = flags.DEFINE_string("out", "", "Folder of the results; out/SUITE without it.")
_SEEDS = flags.DEFINE_integer("seeds", 5, "Training seeds a cell.", lower_bound=1, upper_bound=20)
_BUDGET = flags.DEFINE_string("budget", "", "Time for the whole suite, as 40m or 2h; sets the training steps.")
_DATA = flags.DEFINE_string("data", "", "Folder of conversations; simulated into --out without it.")


def main():
    out = files.writable(_OUT.value or f"out/{_SUITE.value}", folder=True)
    summary = ablate(_SUITE.value, out, _SEEDS.value, seconds_of(_BUDGET.value), _DATA.value)
    print(Path(summary["markdown"]).read_text())
    cli.print_table(
        [(name, value) for name, value in summary.items() if name in ("steps", "seeds", "seconds", "failed")]
    )
    print(f"written: {summary['markdown']}")


if __name__ == "__main__":
    cli.run(main)
