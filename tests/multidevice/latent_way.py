"""What each process of `test_latent_processes` does: `python -m tests.multidevice.latent_way FOLDER [WHERE]`.

FOLDER holds `config.json`; results are written to a folder in it that is named after the number of processes.
"""

import dataclasses
import json
import sys
from pathlib import Path

import jax

from afjax import files
from afjax.avatar.runs import load_run
from afjax.config import from_dict
from afjax.training import sharding
from experiments.evaluation import tables
from experiments.preferences.losing_samples import make_preferences
from experiments.runs.train import train_run


def main(folder: Path, where: str = ""):
    """Trains, tunes and measures; losing samples are those that a single process made."""
    if where:
        sharding.join(where)
    config, out = from_dict(json.loads((folder / "config.json").read_text())), folder / str(jax.process_count())
    train_run(config, out / "run", samples=False)
    if not where:
        make_preferences(load_run(out / "run"), config.data.path, folder / "losing", per_clip=1)
    preference = dataclasses.replace(
        config.preference, path=str(folder / "losing"), model=str(out / "run"), validation_clips=2, max_fd_growth=100.0
    )
    train_run(dataclasses.replace(config, preference=preference), out / "tuned", samples=False)
    _, table, _ = tables.of_model(str(out / "tuned"))
    if table:
        files.write_json(out / "table.json", table)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
