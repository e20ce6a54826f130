"""The listener that ships: the quickstart's network somewhat larger, trained for hours on what a stream sees.

    python -m experiments.make_listener --out out/listener

Blocks of five frames with a user delay of five, so that a block is made when it starts. Every noisy block is trained
with a finished past (`layout.tokens = stream`), as in the quickstart.
"""

from ml_collections import ConfigDict

from experiments.configs import quickstart


def get_config(variant: str = "") -> ConfigDict:
    del variant
    config = quickstart.get_config()
    config.name = "listener"
    config.model.width = 128
    config.model.condition_width = 96
    config.layout.block = 5
    config.layout.cache = 40
    config.layout.user_delay = 5
    config.optimizer.ema = 0.999
    config.data.train_clips = 1500
    config.data.batch = 8
    config.optimizer.muon_learning_rate = 0.015
    config.training.num_steps = 22000
    config.training.log_every = 100
    config.training.save_every = 1000
    config.training.sample_every = 100000
    return config
