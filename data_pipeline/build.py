"""Builds the simulated data set.

    python -m data_pipeline.build --out DIR --train 384 --eval 64 --seconds 20 --seed 0

The default build takes about a minute on two cores and 140 MB of disk. Conversation i of a split has the seed
`seed * 1,000,000 + i`; the splits have voices, words and random streams of their own. Evaluation records hold the
sound and the oracle's motion as well. `--slow_posture 20` lets both heads wander besides, with a time constant of 20 s
and independent of all else: something that a model can drift in over minutes (docs/evaluation.md).
`--sound` keeps the sound of the training conversations too (630 MB), so that `experiments.make_features` can make other
features of them.
"""

from absl import flags

from afjax.errors import InputError
from data_pipeline import command
from data_pipeline.simulate.build import build


def _table(summary: dict) -> str:
    lines = [f"{'split':8}{'clips':>7}{'listening':>11}   events a clip"]
    for split, row in summary["splits"].items():
        events = ", ".join(f"{kind} {count}" for kind, count in row["events_per_clip"].items())
        lines.append(f"{split:8}{row['conversations']:>7}{row['listening'] or 0.0:>11.2f}   {events}")
    return "\n".join([*lines, f"{summary['bytes'] / 1e6:.0f} MB in {summary['seconds']} s: {summary['out']}"])


def main() -> None:
    if not _OUT.value:
        raise InputError("--out is missing", do="name the folder to make: --out DIR")
    counts = {"train": _TRAIN.value, "eval": _EVAL.value}
    print(_table(build(_OUT.value, counts, _SECONDS.value, _SEED.value, _WORKERS.value, _SLOW.value, _SOUND.value)))


if __name__ == "__main__":
    _OUT = flags.DEFINE_string("out", None, "Folder to make.")
    _TRAIN = flags.DEFINE_integer("train", 384, "Conversations to train on.", lower_bound=1)
    _EVAL = flags.DEFINE_integer("eval", 64, "Conversations to evaluate on.", lower_bound=0)
    _SECONDS = flags.DEFINE_float("seconds", 20.0, "Length of a conversation.", lower_bound=4.0, upper_bound=120.0)
    _SEED = flags.DEFINE_integer("seed", 0, "Seed of the whole set.", lower_bound=0)
    _SLOW = flags.DEFINE_float(
        "slow_posture", 0.0, "Time constant in seconds of a slow walk of both heads; 0: none.", 0.0, 60.0
    )
    _SOUND = flags.DEFINE_bool("sound", False, "Keep the sound of training conversations.")
    _WORKERS = flags.DEFINE_integer("workers", 2, "Processes.", lower_bound=1)
    command.run(main)
