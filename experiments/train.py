"""Trains a model, or continues a run that was stopped.

    python -m experiments.train --config experiments/configs/quickstart.py --workdir out/quickstart
    python -m experiments.train --config experiments/configs/quickstart.py --workdir out/wide --config.model.width=128

Without `--config.data.path` conversations are simulated into `workdir/data` first. The run folder holds `config.json`,
`metrics.jsonl`, `checkpoints/`, `samples/` (motion of held-out conversations as it goes, and a video) and
`summary.json`. A folder with a checkpoint of another config or of other data is refused; Ctrl-C and SIGTERM save first.

Several processes train one model with `--distributed`, the same command in each; docs/training.md has the commands.
"""

import os
import sys
from pathlib import Path

import jax
from absl import flags

from afjax.config import from_dict
from afjax.training import sharding
from experiments import cli
from experiments.training import train_run


def main():
    if _DISTRIBUTED.value:
        sharding.join(_DISTRIBUTED.value)
        if jax.process_index() > 0:
            sys.stdout = open(os.devnull, "w")
    summary = train_run(from_dict(_CONFIG.value.to_dict()), _WORKDIR.value, _TENSORBOARD.value)
    rows = [(name, value) for name, value in summary.items() if not isinstance(value, dict)]
    cli.print_table(rows + [(f"{stage}, s", round(seconds, 1)) for stage, seconds in summary["seconds"].items()])


if __name__ == "__main__":
    _CONFIG = cli.define_config("config", Path(__file__).parent / "configs" / "quickstart.py")
    _WORKDIR = flags.DEFINE_string("workdir", "out/quickstart", "Run folder.")
    _TENSORBOARD = flags.DEFINE_bool("tensorboard", False, "Also write TensorBoard events (needs tensorboardX).")
    _DISTRIBUTED = flags.DEFINE_string("distributed", "", "Several processes: auto, or ADDRESS:PORT,INDEX/COUNT.")
    cli.run(main)
