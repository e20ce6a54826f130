"""Reactions of a model to real people. Clips show the user, tracked as a webcam is and heard; the avatar is silent.

    python -m experiments.reaction --user_video user.mp4 --user_video other.mp4 --workdir out/demo/run --out out/r.json

`afjax.metrics.real_response` explains the figures. Each stands beside a bar that a person would pass and the dummies of
its test fail. Bars inform: the exit code is always 0. Smiles count in clips that are labelled by eye,
`experiments/evaluation/episodes.json`, by the names of folder and file. A picture of the same name lies beside the JSON
file: user over avatar, one frame per 0.4 s, of the first seed.

`experiments.reaction_lag` measures how soon a model answers a simulated smile.
"""

from absl import flags

from afjax import files
from afjax.errors import InputError
from experiments import cli
from experiments.evaluation import reaction

_USER_VIDEO = flags.DEFINE_multi_string("user_video", [], "Video of a user with its sound; once for each of several.")
_WORKDIR = flags.DEFINE_string("workdir", "", "Run folder of a trained model; the model that ships without it.")
_SEEDS = flags.DEFINE_integer("seeds", 16, "Answers to each clip; the bars are meant for 16.", lower_bound=2)
_OUT = flags.DEFINE_string("out", "out/reaction.json", "File to write; the picture lies beside it.")


def main():
    out = files.writable(_OUT.value)
    if out.suffix != ".json":
        raise InputError("figures are written as JSON", out, "choose a name that ends in .json")
    picture = files.writable(out.with_suffix(".png"))
    summary = reaction.of_videos(_WORKDIR.value, _USER_VIDEO.value, _SEEDS.value, picture)
    files.write_json(out, summary)
    for clip, lines in summary["said"].items():
        for line in lines:
            print(f"note: {clip}: {line}")
    cli.print_table(reaction.rows(summary), ("", "figure", "95 % over clips", "bar", ""))
    print(f"written: {out}, {picture}")


if __name__ == "__main__":
    cli.run(main)
