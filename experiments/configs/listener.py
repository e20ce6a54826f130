"""Listener: the model that ships with afjax, face coefficients and mel features, hours on two cores.

    python -m experiments.make_listener --out out/listener

simulates, trains by this file and writes the model folder `out/listener/model`; stopped, it goes on. `--workdir` of the
programs names another model, `afjax.load("listener")` loads this one. afjax/models/listener/README.md is its card.

Variants are those of quickstart. A block is half the quickstart's and sees its user a block late, so that it is
computed while the one before is shown.
"""

from ml_collections import ConfigDict

from experiments.configs import quickstart


def get_config(variant: str = "") -> ConfigDict:
    config = quickstart.get_config(variant)
    config.name = "listener"
    config.layout.block = 5
    config.layout.user_delay = 5
    return config
