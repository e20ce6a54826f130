"""Listener: the model that ships with afjax, face coefficients and mel features, hours on two cores.

    python -m experiments.make_listener --out out/listener

simulates, trains by this file and writes the model folder `out/listener/model`; stopped, it goes on. `--workdir` of the
programs names another model, `afjax.load("listener")` loads this one. afjax/models/listener/README.md is its card.

Somewhat larger than the quickstart, whose objective it has. Blocks of five frames that see their user five frames late,
so that a block is made when it starts.
"""

from ml_collections import ConfigDict

from afjax.codec.face.channels import CHANNELS
from data_pipeline.schema import EVENT_KINDS
from experiments.configs import quickstart

LIPS = ("jaw_open", "mouth_width", "upper_lip")
"""What follows the avatar's own voice in every frame: told first, since no other part needs the ear as much."""


def get_config(variant: str = "") -> ConfigDict:
    del variant
    config = quickstart.get_config()
    config.name = "listener"
    config.model.width = 128
    config.model.condition_width = 96
    config.model.cause_kinds = len(EVENT_KINDS)
    config.layout.block = 5
    config.layout.cache = 40
    config.layout.user_delay = 5
    # guidance on the user, chosen on conversations set aside: with 1 answers are too small, with 1.6 some are too large
    config.sampler.avatar, config.sampler.joint = -0.5, 1.5
    config.objective.answer_weights = tuple(5.0 if name in LIPS else 1.0 for name in CHANNELS)
    config.optimizer.ema = 0.999
    config.data.train_clips = 1500
    config.data.batch = 8
    config.optimizer.muon_learning_rate = 0.015
    config.training.num_steps = 60000
    config.training.listening_steps = 36000
    config.training.log_every = 100
    config.training.save_every = 1000
    config.training.sample_every = 100000
    config.training.probe_every = 2000
    return config
