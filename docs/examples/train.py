"""Simulates a few conversations and trains a small model on them for 20 steps: half a minute on two cores.

    python -m docs.examples.train out/example

The folder can be loaded afterwards (`docs/examples/stream.py`, `live.py`). A real run is the same call with the
settings of a file in experiments/configs, and minutes or days of time: `python -m experiments.train --help`.
"""

import sys

from afjax.audio import mel
from afjax.config import Config, DataConfig, LayoutConfig, ModelConfig, TrainingConfig
from experiments.runs.train import train_run

CONFIG = Config(
    name="example",
    model=ModelConfig(audio_dim=mel.DIM, width=32, depth=1, condition_width=32),
    layout=LayoutConfig(block=10, look_ahead=0, cache=38),
    data=DataConfig(train_clips=4, eval_clips=2, seconds=8.0, window=50, batch=4),
    training=TrainingConfig(num_steps=20, log_every=5, save_every=20),
)


def main(workdir: str):
    summary = train_run(CONFIG, workdir, samples=False)  # called again it continues, or ends at once
    print(f"{summary['parameters']} parameters, {summary['steps']} steps, loss {summary['loss']:.3f}: {workdir}")


if __name__ == "__main__":
    main(*sys.argv[1:2] or ["out/example"])
