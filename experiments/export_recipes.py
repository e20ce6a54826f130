"""The exported step for other runtimes, compared with JAX.

    python -m experiments.export_recipes --recipe onnx --workdir out/demo/run --out out/onnx
    python -m experiments.export_recipes --recipe iree --bundle bundle/ --out out/iree

It writes step.onnx or step.vmfb, and summary.json with the largest difference and the seconds per block
(`docs/export.md`).
"""

from absl import flags

from afjax import files
from afjax.errors import InputError
from afjax.files import folder_aside
from experiments import cli
from experiments.export.recipes import iree, onnx

_RECIPE = flags.DEFINE_enum("recipe", "onnx", ["onnx", "iree"], "What to make.")
_WORKDIR = flags.DEFINE_string("workdir", "", "Run folder of a trained model (onnx); without it the one that ships.")
_BUNDLE = flags.DEFINE_string("bundle", None, "Folder that experiments.export_stream wrote (iree).")
_OUT = flags.DEFINE_string("out", None, "Folder to write.")


def main():
    make, given = (onnx, _WORKDIR) if _RECIPE.value == "onnx" else (iree, _BUNDLE)
    if not _OUT.value or (make is iree and not given.value):
        needed = "--out is needed" if make is onnx else "--bundle and --out are needed"
        raise InputError(needed, do="python -m experiments.export_recipes --help")
    with folder_aside(files.writable(_OUT.value, folder=True)) as folder:
        summary = {"recipe": _RECIPE.value, **make(given.value, folder)}
        files.write_json(folder / "summary.json", summary)
    cli.print_table([[key, str(value)] for key, value in summary.items()])


if __name__ == "__main__":
    cli.run(main)
