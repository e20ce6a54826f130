"""Losing samples for preference tuning: what a model makes of the training conversations without their users.

    python -m experiments.make_preferences --workdir out/talker --data out/demo/run/data --out out/losing
    python -m experiments.make_preferences --workdir out/demo/run --user partner --out out/losing
    python -m experiments.make_preferences --workdir out/demo/run --user dropped --user unseen --out out/losing

`--workdir` is the paper's separately trained talking-only model, or the model to be tuned itself. `--user dropped`
takes the user away, `--user unseen` the user's face alone: the voice is heard. `--user partner` replaces the user by
that of other people's conversation. `--user kept` keeps the user, a control: its samples lack only what any sample
lacks. Started again it goes on where it ended. `provenance.json` says what made the samples; `experiments.train
--config experiments/configs/dpo.py` reads them. 384 conversations of 20 s take about two minutes per sample on two
cores.
"""

from pathlib import Path

from absl import flags

from afjax import files
from afjax.errors import InputError
from experiments import cli
from experiments.preferences.losing_samples import CONDITION_SET, make_preferences

_WORKDIR = flags.DEFINE_string("workdir", "out/demo/run", "Run or model folder, or name of a model that ships.")
_DATA = flags.DEFINE_string("data", "", "Folder of the training conversations; without it those in --workdir.")
_OUT = flags.DEFINE_string("out", "", "Folder to make.")
_USER = flags.DEFINE_multi_enum("user", ["dropped"], list(CONDITION_SET), "What is done to the user; may be repeated.")
_PER_CLIP = flags.DEFINE_integer(
    "per_clip", 2, "Samples a conversation, of each --user.", lower_bound=1, upper_bound=16
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the samples' noise.", lower_bound=0)


def main():
    if not _OUT.value:
        raise InputError("--out is missing", do="name the folder to make: --out DIR")
    model, out = cli.load_avatar(_WORKDIR.value), files.writable(_OUT.value, folder=True)
    data = files.absolute(_DATA.value or Path(_WORKDIR.value, "data"))
    if not data.is_dir():
        raise InputError("no such folder of training conversations", data, "name one: --data DIR")
    summary = make_preferences(model, data, out, _USER.value, _PER_CLIP.value, _SEED.value)
    cli.print_table([*summary.items()])


if __name__ == "__main__":
    cli.run(main)
