"""Smoke: everything once, at the smallest size; for tests, not for results.

python -m experiments.train --config experiments/configs/smoke.py --workdir out/smoke
"""

from ml_collections import ConfigDict

from experiments.configs import quickstart


def get_config(variant: str = "") -> ConfigDict:
    del variant
    config = quickstart.get_config()
    config.name = "smoke"
    config.model.width = 32
    config.model.depth = 1
    config.model.condition_width = 32
    config.model.relative_frames = 25
    config.sampler.nfe = 2
    config.data.train_clips = 4
    config.data.eval_clips = 4
    config.data.seconds = 8.0
    config.data.batch = 4
    config.training.num_steps = 40
    config.training.log_every = 10
    config.training.save_every = 20
    config.training.sample_every = 20
    config.training.sample_seconds = 0.4
    config.training.probe_every = 20
    return config
