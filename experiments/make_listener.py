"""Makes, from scratch, the model that ships: simulates conversations, trains on them, tunes by preferences, saves.

    python -m experiments.make_listener --out out/listener

`--out` receives `run/` and `tuned/`, run folders as `experiments.train` writes them, the losing samples between them,
`losing/`, and the folders `base/`, trained, and `model/`, tuned, which `afjax.load` takes. Stopped and started again it
goes on, to the same bits. `--ship` instead replaces `listener_base` and `listener` of this copy of afjax, and keeps
their cards. The settings are experiments/configs/listener.py and, of the tuning, experiments/configs/dpo.py:listener;
all of them are flags.
"""

from pathlib import Path

from absl import flags

from afjax import files
from afjax.config import from_dict
from experiments import cli
from experiments.preferences.listener_release import make

_OUT = flags.DEFINE_string("out", "out/listener", "Folder for the run and the model.")
_SHIP = flags.DEFINE_bool("ship", False, "Save as the models that come with this copy of afjax.")
_CONFIG = cli.define_config("config", Path(__file__).parent / "configs" / "listener.py")
_TUNING = cli.define_config("tuning", f"{Path(__file__).parent / 'configs' / 'dpo.py'}:listener")


def main():
    out = files.writable(_OUT.value, folder=True)
    config, tuning = (from_dict(flag.value.to_dict()) for flag in (_CONFIG, _TUNING))
    cli.print_table([*make(config, tuning, out, _SHIP.value).items()])


if __name__ == "__main__":
    cli.run(main)
