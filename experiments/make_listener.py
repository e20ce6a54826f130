"""Makes, from scratch, the model that ships: simulates conversations, trains on them, saves the model folder.

    python -m experiments.make_listener --out out/listener

`--out` receives `run/`, a run folder as `experiments.train` writes them, and `model/`, which `afjax.load` takes.
Stopped and started again it goes on, to the same bits. `--ship` instead replaces the model that comes with this copy of
afjax, and keeps its card. experiments/configs/listener.py has the settings, all of them flags.
"""

from pathlib import Path

from absl import flags

from afjax import files
from afjax.config import from_dict
from experiments import cli
from experiments.runs.release import make

_OUT = flags.DEFINE_string("out", "out/listener", "Folder for the run and the model.")
_SHIP = flags.DEFINE_bool("ship", False, "Save as the model that comes with this copy of afjax.")
_CONFIG = cli.define_config("config", Path(__file__).parent / "configs" / "listener.py")


def main():
    out = files.writable(_OUT.value, folder=True)
    cli.print_table([*make(from_dict(_CONFIG.value.to_dict()), out, _SHIP.value).items()])


if __name__ == "__main__":
    cli.run(main)
