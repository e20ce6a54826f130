"""Released weights into one checked folder, and back.

    python -m experiments.convert --flow F --autoencoder A --wav2vec2 DIR --out weights/
    python -m experiments.convert --weights weights/ --out released/

F and A are the released .pth files (PyTorch needed) or .safetensors files of the same names; DIR is the Hugging Face
folder of facebook/wav2vec2-base-960h. Every tensor is checked; nothing is written unless all are there and right.
The second form gives the files back under their released names, bit for bit. See docs/weights.md.
"""

from absl import flags

from afjax.errors import InputError
from afjax.weights.folder import back, to_folder
from experiments import cli

_FLOW = flags.DEFINE_string("flow", None, "Released flow transformer.")
_AUTOENCODER = flags.DEFINE_string("autoencoder", None, "Released motion autoencoder.")
_WAV2VEC2 = flags.DEFINE_string("wav2vec2", None, "Hugging Face folder of wav2vec2-base-960h.")
_WEIGHTS = flags.DEFINE_string("weights", None, "Converted folder, to give the released files back.")
_OUT = flags.DEFINE_string("out", None, "Folder to make.")
_HEADS = flags.DEFINE_integer("heads", 8, "Attention heads of the flow transformer.", lower_bound=1)


def main():
    given = {name: flag for name, flag in (("flow", _FLOW), ("autoencoder", _AUTOENCODER), ("wav2vec2", _WAV2VEC2))}
    named = [name for name, flag in given.items() if flag.value]
    if not _OUT.value:
        raise InputError("--out is missing", do="name the folder to make: --out weights")
    if _WEIGHTS.value:
        if named:
            raise InputError(f"--weights and --{named[0]} exclude each other", do="--weights converts back")
        summary = back(_WEIGHTS.value, _OUT.value)
    else:
        for name in given:
            if name not in named:
                raise InputError(f"--{name} is missing", do="--flow, --autoencoder and --wav2vec2 are all needed")
        summary = to_folder(*(flag.value for flag in given.values()), _OUT.value, _HEADS.value)
    cli.print_table([[name, f"{size / 1e6:.1f} MB"] for name, size in summary["bytes"].items()])
    for part, found in summary["unused"].items():
        if found:
            print(f"{part}: {len(found)} tensors are kept but play no part: {', '.join(found)}")
    print(f"{summary['seconds']} s: {summary['out']}")


if __name__ == "__main__":
    cli.run(main)
