"""Measures a trained model, or finished videos of any system.

    python -m experiments.evaluate --out out/evaluation
    python -m experiments.evaluate --workdir out/demo/run --talking_only out/talking_only --out out/evaluation
    python -m experiments.evaluate --user_video user.mp4 --generated_video generated.mp4 --out out/evaluation
    python -m experiments.evaluate --user_video users/ --recorded_video recorded/ --generated_video generated/ --out ...

A model, by default the one that ships, is measured on the held-out conversations of `--data`, by default those that it
came with, R-DGG included (a minute or two). One that came with none is measured on `--clips` that are simulated into
`--out`/data first, those that its training set aside. Videos are files, or folders of files that have the same name;
faces are tracked, and clips are cut into pieces of `--piece` seconds. Pieces of one video are one group, so intervals
and shuffled users need two videos or more, of different people. Lips are measured on the sound of the recorded videos,
or else of the generated ones: it should hold the avatar's voice alone (`experiments.stream --sound avatar`). Without
recorded videos there is nothing to compare with: the table then holds what can be said of the generated motion alone.
Writes `eval.npz`, `summary.json` and `table.txt`.
"""

from absl import flags

from afjax import files
from afjax.errors import InputError
from afjax.metrics.table import report
from experiments import cli
from experiments.evaluation.tables import of_model, of_videos, write

_WORKDIR = flags.DEFINE_string("workdir", "", "Run folder of a trained model; without it the one that ships.")
_DATA = flags.DEFINE_string("data", "", "Folder of conversations; without it the model's own.")
_CLIPS = flags.DEFINE_integer(
    "clips", 0, "Conversations to simulate for a model without any; 0: as many as in training.", lower_bound=0
)
_TALKING_ONLY = flags.DEFINE_string("talking_only", "", "Run folder of a talking-only model, a row of the table.")
_USER = flags.DEFINE_string("user_video", "", "Video of the user, or a folder of them.")
_GENERATED = flags.DEFINE_string("generated_video", "", "Generated video of the avatar, or a folder of them.")
_RECORDED = flags.DEFINE_string("recorded_video", "", "Video of what a real listener did, or a folder of them.")
_PIECE = flags.DEFINE_float("piece", 5.0, "Seconds of the pieces that videos are cut into.", lower_bound=2.0)
_BLOCK = flags.DEFINE_integer("block", 10, "Frames of the generator's blocks.", lower_bound=2)
_OUT = flags.DEFINE_string("out", "", "Folder of the results; out/evaluation without it.")


def main():
    out = files.writable(_OUT.value or "out/evaluation", folder=True)
    if _GENERATED.value:
        if not _USER.value:
            raise InputError("--user_video is missing", do="name the videos that the avatar listened to")
        arrays, table, notes = of_videos(_USER.value, _GENERATED.value, _RECORDED.value, _PIECE.value, _BLOCK.value)
    elif _USER.value or _RECORDED.value:
        raise InputError("--generated_video is missing", do="name the videos that are to be measured")
    else:
        arrays, table, notes = of_model(_WORKDIR.value, _DATA.value, _TALKING_ONLY.value, out, _CLIPS.value)
    write(out, arrays, table, notes)
    print(report.text(table))
    for note in notes:
        print(f"note: {note}")
    print(f"written: {out}")


if __name__ == "__main__":
    cli.run(main)
