"""Quickstart: face coefficients, mel features, minutes on a laptop.

    python -m experiments.train --config experiments/configs/quickstart.py --workdir out/quickstart

Variants, `--config experiments/configs/quickstart.py:VARIANT`: `frames` trains on the paper's masks, `passes` (default)
on the stream's own pass layout. Every field is a flag: `--config.train.steps=2000`.
"""

from ml_collections import ConfigDict

from afjax.audio import mel
from afjax.codec.face.channels import CHANNELS
from afjax.config import Config, to_dict


def get_config(variant: str = "passes") -> ConfigDict:
    config = ConfigDict(to_dict(Config()))
    config.name = "quickstart"
    config.model.motion_dim = len(CHANNELS)
    config.model.audio_dim = mel.DIM
    config.layout.tokens = variant or "passes"
    config.layout.look_ahead = 0
    config.sampler.nfe = 5
    config.train.steps = 1200
    config.train.sample_every = 600
    config.train.sample_seconds = 2.0
    return config
