"""The exported step for other runtimes, compared with JAX.

    python -m experiments.export_recipes --recipe onnx --workdir out/demo/run --out out/onnx
    python -m experiments.export_recipes --recipe iree --bundle bundle/ --out out/iree

writes step.onnx or step.vmfb, and summary.json with the largest difference and the seconds of a block
(`docs/export.md`).
"""

from pathlib import Path

from absl import flags

from afjax.errors import InputError
from afjax.streaming import recipes
from data_pipeline.records import folder_aside
from experiments import cli
from experiments.runs import load_run


def onnx(workdir: str, folder: Path) -> dict:
    run = load_run(workdir)
    return recipes.to_onnx(run.config, run.live[0], folder / "step.onnx")


def iree(bundle: str, folder: Path) -> dict:
    try:
        return recipes.to_iree(cli.absolute(bundle), folder / "step.vmfb")
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"no whole bundle ({error})", bundle, "python -m experiments.export_stream") from None


def main():
    make, given, name = (onnx, _WORKDIR, "workdir") if _RECIPE.value == "onnx" else (iree, _BUNDLE, "bundle")
    if not given.value or not _OUT.value:
        raise InputError(f"--{name} and --out are needed", do="python -m experiments.export_recipes --help")
    with folder_aside(cli.writable(_OUT.value, folder=True)) as folder:
        summary = {"recipe": _RECIPE.value, **make(given.value, folder)}
        cli.write_json(folder / "summary.json", summary)
    cli.print_table([[key, str(value)] for key, value in summary.items()])


if __name__ == "__main__":
    _RECIPE = flags.DEFINE_enum("recipe", "onnx", ["onnx", "iree"], "What to make.")
    _WORKDIR = flags.DEFINE_string("workdir", None, "Run folder of a trained model (onnx).")
    _BUNDLE = flags.DEFINE_string("bundle", None, "Folder that experiments.export_stream wrote (iree).")
    _OUT = flags.DEFINE_string("out", None, "Folder to write.")
    cli.run(main)
