"""Training speed of the paper's networks on this machine: generator and latent codec, by batch and precision.

    python -m experiments.training_speed --out out/training_speed
    python -m experiments.training_speed --small --batches 2,4 --out out/training_speed

The generator has the paper's sizes (153.5 M parameters, windows of 50 frames), the codec 512 px with its discriminators
and a perceptual network of drawn weights; `--small` takes sizes that only show that it runs. The program writes
summary.json, one row per network, precision and batch: `step_ms`, `frames_per_second` (frames of motion, or pictures),
`mfu` (share of the device's bfloat16 peak, where that is known; the generator counts matrix products alone, the codec
what XLA counts), `device_gb` (where the device doesn't say, `process_gb`), `first_steps_seconds` (compiling). Rows are
written as they come.
"""

from pathlib import Path

from absl import flags

from afjax import files
from afjax.config import from_dict
from afjax.config.compute import PRECISIONS
from afjax.errors import InputError
from afjax.training.latent_codec.config import LatentTrainingConfig
from experiments import cli
from experiments.configs import autoencoder, paper
from experiments.live import training_speed

_OUT = flags.DEFINE_string("out", "out/training_speed", "Folder of the result.")
_BATCHES = flags.DEFINE_list("batches", ["8", "64", "256"], "Windows, or pairs of pictures, of a step.")
_PRECISIONS = flags.DEFINE_multi_enum("precision", ["tf32", "bfloat16"], PRECISIONS, "How exactly networks compute.")
_NETWORKS = flags.DEFINE_multi_enum("network", ["generator", "codec"], ["generator", "codec"], "Which.")
_STEPS = flags.DEFINE_integer("steps", 10, "Steps that are timed.", lower_bound=1)
_SMALL = flags.DEFINE_bool("small", False, "Sizes that only show that it runs.")


def main():
    out = files.writable(_OUT.value, folder=True)
    if not all(each.isdigit() and int(each) > 0 for each in _BATCHES.value):
        raise InputError("--batches is no list of positive whole numbers", do="--batches=8,64,256")
    batches, configs, rows = [int(each) for each in _BATCHES.value], _configs(_SMALL.value), []
    for network in dict.fromkeys(_NETWORKS.value):
        for precision in dict.fromkeys(_PRECISIONS.value):
            for batch in batches:
                call = getattr(training_speed, network)
                found = training_speed.measured(call, configs[network], batch, precision, _STEPS.value)
                rows.append({"network": network, "precision": precision, "batch": batch, **found})
                files.write_json(Path(out) / "summary.json", {"small": _SMALL.value, "rows": rows})
    _report(rows)
    print(f"on {max(row['device'] for row in rows)}; written: {Path(out) / 'summary.json'}")


def _configs(small: bool) -> dict:
    generator, codec = paper.get_config(), autoencoder.get_config()
    codec.loss.vgg = "drawn"
    if small:
        for name, value in {"motion_dim": 16, "audio_dim": 24, "width": 32, "depth": 1, "condition_width": 16}.items():
            generator.model[name] = value
        codec.codec.size, codec.codec.dim, codec.codec.directions = 64, 16, 4
        codec.codec.channels, codec.loss.part_size = (8, 8, 8, 4, 4), 16
    return {
        "generator": from_dict(generator.to_dict()),
        "codec": from_dict(codec.to_dict(), LatentTrainingConfig),
    }


def _report(rows: list[dict]):
    names = ("network", "precision", "batch", "step_ms", "frames_per_second", "mfu")
    table = []
    for row in rows:
        memory = next((f"{row[name]:.2f}" for name in ("device_gb", "process_gb") if name in row), "")
        cells = [row.get(name, "") for name in names]
        table.append([*(round(x, 3) if isinstance(x, float) else x for x in cells), memory, row.get("error", "")])
    cli.print_table(table, (*names, "GB", ""))


if __name__ == "__main__":
    cli.run(main)
