"""Released weights into one checked folder, and back.

    python -m experiments.convert --flow F --autoencoder A --wav2vec2 DIR --out weights/
    python -m experiments.convert --weights weights/ --out released/

F and A are the released .pth files (PyTorch needed) or .safetensors files of the same names, DIR is the Hugging Face
folder of facebook/wav2vec2-base-960h. Every tensor is checked; nothing is written unless all are there and right.
The second form gives the files back under their released names, bit for bit. See docs/weights.md.
"""

import time
from pathlib import Path

from absl import flags

from afjax.errors import InputError
from afjax.weights import convert
from data_pipeline.records import folder_aside
from experiments import cli


def to_folder(flow: str, autoencoder: str, wav2vec2: str, out: str, heads: int) -> dict:
    """Converts; -> the summary that is written beside the weights."""
    started = time.monotonic()
    with folder_aside(cli.writable(out, folder=True)) as folder:
        paths = [Path(path).expanduser().absolute() for path in (flow, autoencoder, wav2vec2)]
        unused = convert.convert(*paths, folder, heads)
        files = {name: (folder / name).stat().st_size for name in convert.FILES}
        return _summary(folder, out, started, files, unused)


def back(weights: str, out: str) -> dict:
    """Restores the released files; -> the summary that is written beside them."""
    started = time.monotonic()
    with folder_aside(cli.writable(out, folder=True)) as folder:
        convert.restore(Path(weights), folder)
        files = {str(f.relative_to(folder)): f.stat().st_size for f in sorted(folder.rglob("*")) if f.is_file()}
        return _summary(folder, out, started, files, {})


def _summary(folder: Path, out: str, started: float, files: dict[str, int], unused: dict[str, list[str]]) -> dict:
    seconds = round(time.monotonic() - started, 1)
    summary = {"out": str(cli.absolute(out)), "seconds": seconds, "bytes": files, "unused": unused}
    cli.write_json(folder / "summary.json", summary)
    return summary


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
    _FLOW = flags.DEFINE_string("flow", None, "Released flow transformer.")
    _AUTOENCODER = flags.DEFINE_string("autoencoder", None, "Released motion autoencoder.")
    _WAV2VEC2 = flags.DEFINE_string("wav2vec2", None, "Hugging Face folder of wav2vec2-base-960h.")
    _WEIGHTS = flags.DEFINE_string("weights", None, "Converted folder, to give the released files back.")
    _OUT = flags.DEFINE_string("out", None, "Folder to make.")
    _HEADS = flags.DEFINE_integer("heads", 8, "Attention heads of the flow transformer.", lower_bound=1)
    cli.run(main)
