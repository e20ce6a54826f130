"""Builds a data set: simulated conversations, or recorded ones.

    python -m data_pipeline.build --out DIR --train 384 --eval 64 --seconds 20 --seed 0
    python -m data_pipeline.build --pairs pairs.csv --out DIR --seconds 20

The default build simulates, which takes about a minute on two cores and 140 MB of disk. Conversation i of a split has
the seed `seed * 1,000,000 + i`; the splits have voices, words and random streams of their own. Evaluation records hold
the sound and the oracle's motion as well. `--slow_posture 20` also lets both heads wander, with a time constant of 20 s
and independent of all else: a model can drift in it over minutes (docs/evaluation.md). `--sound` keeps the sound of the
training conversations too (630 MB), so that `experiments.make_features` can make other features of it. `--listening .1`
makes training data in which the avatar listens for a tenth of the time, as in recordings of talkers, and held-out data
in which it only listens.

`--pairs` takes the records from videos of two people (docs/data.md). Faces are tracked at about 40 frames per second
and process. A build that was stopped or killed goes on. Unusable clips are set aside, with the reason in
`DIR/clips.csv` and `DIR/report.html`. `--separate`, `--speech` and `--identity` use programs and networks of others;
`--executor ray` gives the work to a cluster (docs/data.md).
"""

from absl import flags

from afjax.errors import InputError
from data_pipeline import command
from data_pipeline.executors import EXECUTORS
from data_pipeline.recorded.options import SPEECH, Options
from data_pipeline.recorded.separation import separator
from data_pipeline.simulate import build as simulated

_OUT = flags.DEFINE_string("out", None, "Folder to make.")
_PAIRS = flags.DEFINE_string("pairs", "", "Table of recorded conversations, CSV (docs/data.md).")
_LATENT = flags.DEFINE_string("latent", "", "With --pairs: latent codec, a folder of train_autoencoder or convert.")
_TRAIN = flags.DEFINE_integer("train", 384, "Conversations to train on.", lower_bound=1)
_EVAL = flags.DEFINE_integer("eval", 64, "Conversations to evaluate on.", lower_bound=0)
_SECONDS = flags.DEFINE_float("seconds", 20.0, "Length of a conversation or clip.", lower_bound=4.0, upper_bound=120.0)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the whole set.", lower_bound=0)
_SLOW = flags.DEFINE_float(
    "slow_posture", 0.0, "Time constant in seconds of a slow walk of both heads; 0: none.", 0.0, 60.0
)
_SOUND = flags.DEFINE_bool("sound", False, "Keep the sound of training conversations.")
_LISTENING = flags.DEFINE_float(
    "listening", 0.0, "Share of the time that the avatar listens in training; in held-out ones it only does. 0: a mix.",
    0.0, 0.9,
)  # fmt: skip
_WORKERS = flags.DEFINE_integer("workers", 2, "Processes.", lower_bound=1)
_EXECUTOR = flags.DEFINE_enum(
    "executor", "local", EXECUTORS, "With --pairs: processes of this machine, or of a cluster."
)
_RAY_ADDRESS = flags.DEFINE_string("ray_address", "local", "Of a running cluster; local: one that ends with the build.")
_RAY_GPUS = flags.DEFINE_float("ray_gpus", 0.0, "Share of a GPU that a conversation takes on a cluster.", 0.0, 1.0)
_SEPARATE = flags.DEFINE_string(
    "separate",
    "",
    "With --pairs: program that separates mixed voices, with places {video} {boxes} {out} (docs/data.md).",
)
_SPEECH = flags.DEFINE_enum(
    "speech", "loudness", SPEECH, "With --pairs: how to tell who speaks where no labels say; silero: by its network."
)
_IDENTITY = flags.DEFINE_bool("identity", False, "With --pairs: compare faces with the person's other clips (dlib).")

SIMULATED = ("train", "eval", "seed", "slow_posture", "sound", "listening")
"""Flags that recorded conversations do not use."""
RECORDED = ("latent", "executor", "ray_address", "ray_gpus", "separate", "speech", "identity")
"""Flags that simulated conversations do not use."""


def simulated_table(summary: dict) -> str:
    lines = [f"{'split':8}{'clips':>7}{'listening':>11}   events a clip"]
    for split, row in summary["splits"].items():
        events = ", ".join(f"{kind} {count}" for kind, count in row["events_per_clip"].items())
        lines.append(f"{split:8}{row['conversations']:>7}{row['listening'] or 0.0:>11.2f}   {events}")
    return "\n".join([*lines, f"{summary['bytes'] / 1e6:.0f} MB in {summary['seconds']} s: {summary['out']}"])


def recorded_table(summary: dict) -> str:
    lines = [f"{'split':8}{'clips':>7}{'minutes':>9}{'people':>8}{'conversations':>15}"]
    for split, row in summary["splits"].items():
        lines.append(f"{split:8}{row['clips']:>7}{row['minutes']:>9.1f}{row['people']:>8}{row['conversations']:>15}")
    aside = f"{summary['set_aside']} lines set aside, {summary['out']}/report.html says why"
    return "\n".join([*lines, aside, f"{summary['seconds']} s: {summary['out']}"])


def main() -> None:
    if not _OUT.value:
        raise InputError("--out is missing", do="name the folder to make: --out DIR")
    if _PAIRS.value:
        odd = next((name for name in SIMULATED if flags.FLAGS[name].present), None)
        if odd:
            raise InputError(f"--{odd} belongs to simulated conversations", do="leave it out with --pairs")
        from data_pipeline.recorded import build as recorded

        of_voices = separator(_SEPARATE.value) if _SEPARATE.present else None
        options = Options(of_voices, _SPEECH.value, _IDENTITY.value)
        settings = (_SECONDS.value, _WORKERS.value, _LATENT.value, _EXECUTOR.value, _RAY_ADDRESS.value, _RAY_GPUS.value)
        print(recorded_table(recorded.build(_PAIRS.value, _OUT.value, *settings, options)))
        return
    odd = next((name for name in RECORDED if flags.FLAGS[name].present), None)
    if odd:
        raise InputError(f"--{odd} needs --pairs", do="it belongs to recorded conversations")
    counts = {"train": _TRAIN.value, "eval": _EVAL.value}
    summary = simulated.build(
        _OUT.value, counts, _SECONDS.value, _SEED.value, _WORKERS.value, _SLOW.value, _SOUND.value, _LISTENING.value
    )
    print(simulated_table(summary))


if __name__ == "__main__":
    command.run(main)
