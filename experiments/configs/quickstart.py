"""Quickstart: face coefficients, mel features, minutes on a laptop.

    python -m experiments.train --config experiments/configs/quickstart.py --workdir out/quickstart

Two cores: conversations 80 s, 1200 steps three minutes, 2 GB. `python -m experiments.demo` trains and measures it; to
expect with the default seed: lip_corr .77, peak response of the smile .60 at 400 ms (recorded .62 at 400 ms, shuffled
users .00, user dropped .03), variance .58 (recorded .78), Fréchet distance .9 (oracle .1); nods are not learned.
docs/results.md says why these settings.

Variants, `--config experiments/configs/quickstart.py:VARIANT`: `frames` trains on the paper's masks, `passes` (default)
on the stream's own pass layout. Every field is a flag: `--config.training.num_steps=2000`.
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
    config.training.num_steps = 1200
    config.training.sample_every = 600
    config.training.sample_seconds = 2.0
    config.training.probe_every = 300
    return config
