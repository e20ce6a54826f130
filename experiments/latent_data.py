"""Simulated conversations as motion of the latent codec: drawn people act them out, the codec reads their pictures.

    python -m data_pipeline.build --out out/data --train 16 --eval 4 --seconds 8
    python -m experiments.latent_data --data out/data --codec out/ae --out out/latent_data
    python -m experiments.train --config experiments/configs/quickstart.py --workdir out/latent \\
        --config.model.motion_dim=128 --config.data.path=out/latent_data --config.data.codec=out/ae
    python -m experiments.stream --workdir out/latent --portrait face.png --avatar_audio voice.wav --out talk.mp4

`--codec` is a run folder of `experiments.train_autoencoder`, `motion_dim` its `codec.dim`. Every conversation has an
avatar and a user of its own; the codec was trained on neither. Motion is absolute; `avatar_reference` is the avatar's
portrait. Sound, features and events are taken over, the oracle is not.
"""

from absl import flags

from afjax import files
from afjax.avatar.codecs import load_autoencoder
from afjax.errors import InputError
from experiments import cli
from experiments.data.latent_data import latent_data

_DATA = flags.DEFINE_string("data", "", "Folder of simulated conversations.")
_CODEC = flags.DEFINE_string("codec", "", "Run folder of a trained latent codec.")
_OUT = flags.DEFINE_string("out", "", "Folder to make.")


def main():
    if not (_DATA.value and _CODEC.value and _OUT.value):
        raise InputError("--data, --codec and --out are all needed", do="--help says what they are")
    summary = latent_data(files.absolute(_DATA.value), load_autoencoder(_CODEC.value), _OUT.value)
    cli.print_table(list(summary.items()))


if __name__ == "__main__":
    cli.run(main)
