"""Makes, from scratch, the model that ships: simulates conversations, trains on them, tunes by preferences, centres.

    python -m experiments.make_listener --out out/listener

`--out` receives `run/` and `tuned/`, run folders as `experiments.train` writes them, the losing samples between them,
`losing/`, the conversations by which the tuned model is centred, `listening/`, and the folders `base/`, trained, and
`model/`, tuned and centred, which `afjax.load` takes. Stopped and started again it goes on, to the same bits. `--ship`
also replaces `listener_base` and `listener` of this copy of afjax at the end, and keeps their cards. The settings are
experiments/configs/listener.py and, of the tuning, `dpo.py:listener` beside it; all of them are flags.
"""

from pathlib import Path

from absl import flags

from afjax import files
from afjax.config import from_dict
from experiments import cli
from experiments.preferences.listener_release import make

_OUT = flags.DEFINE_string("out", "out/listener", "Folder for the run and the model.")
_SHIP = flags.DEFINE_bool("ship", False, "Replace the models that come with this copy of afjax, too.")
_CONFIG = cli.define_config("config", Path(__file__).parent / "configs" / "listener.py")
_TUNING = cli.define_config("tuning", f"{Path(__file__).parent / 'configs' / 'dpo.py'}:listener")


def main():
    out = files.writable(_OUT.value, folder=True)
    tuning = _TUNING.value.to_dict()
    tuning["preference"] |= {"model": "", "path": ""}  # both are made on the way
    cli.print_table([*make(from_dict(_CONFIG.value.to_dict()), from_dict(tuning), out, _SHIP.value).items()])


if __name__ == "__main__":
    cli.run(main)
