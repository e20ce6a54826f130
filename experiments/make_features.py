"""Rewrites a data set with other audio features, computed once from the sound in its records.

    python -m data_pipeline.build --out out/sound --sound
    python -m experiments.make_features --data out/sound --weights weights/ --out out/wav2vec2
    python -m experiments.make_features --data out/pairs --out out/mel

Features are the hidden layers of wav2vec2 with `--weights`, a folder of experiments.convert, and mel without. They are
those that a stream computes in blocks of `--block` frames, the model's `layout.block`, from 2 s of sound that end with
the block. `--block=0` makes those of whole clips, as the released network hears them, later sound included:
`data.whole_clips` trains on them. Motion, events and sound stay as they are; the features' statistics are computed
anew. Nine thousand numbers per frame need 18 KB: an hour of two voices is 3.3 GB. docs/training.md says what is faster.
"""

from absl import flags

from afjax import files
from afjax.avatar.features import load_features
from afjax.errors import InputError
from experiments import cli
from experiments.data.features import make_features

_DATA = flags.DEFINE_string("data", "", "Data set whose records hold sound.")
_OUT = flags.DEFINE_string("out", "", "Folder to make.")
_BLOCK = flags.DEFINE_integer("block", 10, "Frames of a stream's block; 0: whole clips. Of wav2vec2.", lower_bound=0)
_WEIGHTS = flags.DEFINE_string("weights", "", "Converted folder, for wav2vec2.")


def main():
    if not _DATA.value or not _OUT.value:
        raise InputError("--data and --out are needed", do="--help lists the flags")
    extractor = load_features(_WEIGHTS.value, _BLOCK.value)
    summary = make_features(files.absolute(_DATA.value), files.writable(_OUT.value, folder=True), extractor)
    cli.print_table(list(summary.items()))


if __name__ == "__main__":
    cli.run(main)
