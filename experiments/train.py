"""Trains a model, or continues a run that was stopped.

    python -m experiments.train --config experiments/configs/quickstart.py --workdir out/quickstart
    python -m experiments.train --config experiments/configs/quickstart.py --workdir out/wide --config.model.width=128

Conversations are simulated into `workdir/data` first, unless `--config.data.path` is given. The run folder holds
`config.json`, `metrics.jsonl`, `checkpoints/`, `samples/` (motion of held-out conversations as it goes, and a video)
and `summary.json`. A folder with a checkpoint of another config or of other data is refused. Ctrl-C and SIGTERM save
first. `--tensorboard` writes curves and samples to `workdir/tensorboard` as well, `--wandb PROJECT` sends curves to
Weights & Biases, `--profile 20:25` writes a profiler's trace of the steps 20 to 24 to `workdir/profile`.

Several processes train one model with `--distributed`, the same command in each; docs/training.md has the commands.
"""

from pathlib import Path

from absl import flags

from afjax.config import from_dict
from afjax.errors import InputError
from experiments import cli
from experiments.runs.train import train_run

_CONFIG = cli.define_config("config", Path(__file__).parent / "configs" / "quickstart.py")
_WORKDIR = flags.DEFINE_string("workdir", "out/quickstart", "Run folder.")
_TENSORBOARD = flags.DEFINE_bool("tensorboard", False, "Also write TensorBoard events (needs tensorboardX).")
_WANDB = flags.DEFINE_string("wandb", "", "Also log to this project of Weights & Biases (needs wandb).")
_DISTRIBUTED = cli.define_distributed()
_PROFILE = flags.DEFINE_string("profile", "", "Steps to trace with the profiler, FIRST:END.")


def steps(text: str) -> tuple[int, int] | None:
    """`FIRST:END` as two numbers, None if empty. Raises InputError for anything else."""
    if not text:
        return None
    first, _, end = text.partition(":")
    if not (first.isdecimal() and end.isdecimal() and int(first) < int(end)):
        raise InputError(f"{text!r} is no range of steps", "--profile", "20:25 traces the steps 20 to 24")
    return int(first), int(end)


def main():
    cli.join(_DISTRIBUTED.value)
    config = from_dict(_CONFIG.value.to_dict())
    summary = train_run(config, _WORKDIR.value, _TENSORBOARD.value, _WANDB.value, profile=steps(_PROFILE.value))
    rows = [(name, value) for name, value in summary.items() if not isinstance(value, dict)]
    cli.print_table(rows + [(f"{stage}, s", round(seconds, 1)) for stage, seconds in summary["seconds"].items()])


if __name__ == "__main__":
    cli.run(main)
