"""A trained model as a folder to give away: weights, settings and a model card, nothing of the run.

    python -m experiments.save_model --workdir out/demo/run --out out/model
    python -m experiments.save_model --workdir out/tuned --share 0.35 --centre out/listening --out afjax/models/listener

`afjax.load` and `--workdir` of all programs take the folder. An earlier model folder there is replaced; its card,
README.md, stays unless `--card` gives another. Weights are the averaged ones, float32. Models of the latent codec or of
wav2vec2 features need weights beside their own and are refused. The second command makes a tuned run the model that
ships (docs/results.md, "How it was tuned", has those before it): with `--share 0.35`, weights as far of the way from
the model that was tuned by preferences to the run that it became; with `--centre DIR`, the bias of its head is set so
that its streams of DIR's training conversations have the recorded mean (minutes).
"""

from absl import flags

from afjax.errors import InputError
from experiments import cli
from experiments.runs.release import save

_WORKDIR = flags.DEFINE_string("workdir", "", "Run or model folder, a checkpoint, or name of a model that ships.")
_OUT = flags.DEFINE_string("out", "", "Folder to write, or a model folder to replace.")
_CARD = flags.DEFINE_string("card", "", "Markdown file of the model card; without it the one that is there stays.")
_SHARE = flags.DEFINE_float(
    "share", 1.0, "How far to go from the model that was tuned to the run.", lower_bound=0.0, upper_bound=1.0
)
_CENTRE = flags.DEFINE_string("centre", "", "Folder of conversations whose mean the model's streams shall have.")


def main():
    if not (_WORKDIR.value and _OUT.value):
        raise InputError("--workdir and --out are both needed", do="--help says what they are")
    cli.print_table([*save(_WORKDIR.value, _OUT.value, _CARD.value, _SHARE.value, _CENTRE.value).items()])


if __name__ == "__main__":
    cli.run(main)
