"""Trains the latent codec, or continues a run that was stopped, and measures it on people that it has not seen.

    python -m experiments.train_autoencoder --config experiments/configs/autoencoder.py:small --workdir out/ae

People are drawn unless `--config.pictures.videos` is given. The run folder holds `config.json`, `data/` (the pictures),
`metrics.jsonl`, `checkpoints/`, `samples/` (one person moved like another, and reconstructions) and `summary.json`
(`experiments/runs/measure_latent_codec.py` explains its figures). `experiments.latent_data` makes motion with the
codec. Many devices divide the batch, `--config.compute.data=0`, and several processes join by `--distributed` as in
`experiments.train`; `--config.compute.precision=bfloat16` computes the maps in bfloat16.
"""

from pathlib import Path

from absl import flags

from afjax.config import from_dict
from afjax.training.latent_codec.config import LatentTrainingConfig
from experiments import cli
from experiments.runs.train_latent_codec import train_run

_CONFIG = cli.define_config("config", Path(__file__).parent / "configs" / "autoencoder.py:small")
_WORKDIR = flags.DEFINE_string("workdir", "out/autoencoder", "Run folder.")
_TENSORBOARD = flags.DEFINE_bool("tensorboard", False, "Also write TensorBoard events (needs tensorboardX).")
_WANDB = flags.DEFINE_string("wandb", "", "Also log to this project of Weights & Biases (needs wandb).")
_DISTRIBUTED = cli.define_distributed()


def main():
    cli.join(_DISTRIBUTED.value)
    config = from_dict(_CONFIG.value.to_dict(), LatentTrainingConfig)
    summary = train_run(config, _WORKDIR.value, _TENSORBOARD.value, _WANDB.value)
    if not summary:
        return
    rows = [(name, value) for name, value in summary.items() if not isinstance(value, dict)]
    for kind, what in (("r2", "R²"), ("r2_absolute", "R², absolute")):
        rows += [(f"{what}, {name}", value) for name, value in summary.get(kind, {}).items()]
    cli.print_table(rows + [(f"{stage}, s", round(seconds, 1)) for stage, seconds in summary["seconds"].items()])


if __name__ == "__main__":
    cli.run(main)
