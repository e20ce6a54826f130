"""The exported step of a run or a bundle in other runtimes."""

from pathlib import Path

from afjax import files
from afjax.errors import InputError
from afjax.export import runtimes
from experiments import cli


def onnx(workdir: str, folder: Path) -> dict:
    run = cli.load_avatar(workdir, "float32")
    return runtimes.to_onnx(run.config, run.live_params[0], folder / "step.onnx")


def iree(bundle: str, folder: Path) -> dict:
    try:
        return runtimes.to_iree(files.absolute(bundle), folder / "step.vmfb")
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"no whole bundle ({error})", bundle, "python -m experiments.export_stream") from None
