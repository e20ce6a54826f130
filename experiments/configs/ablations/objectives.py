"""Five ways to draw noise levels in training, over any config.

    python -m experiments.train --config experiments/configs/ablations/objectives.py:teacher_forcing --workdir out/tf

A variant is the quickstart with an entry of `OBJECTIVES`; the default, `forcing_clean_prefix`, is its own
with `passes`.
"""

from ml_collections import ConfigDict

from experiments.configs import choose, quickstart

OBJECTIVES = {
    # diffusion forcing: one level per block (the paper's text), or per frame (its equation 6)
    "forcing_block": {"objective.noise_level_per": "block", "objective.clean_prefix": 0.0},
    "forcing_token": {"objective.noise_level_per": "token", "objective.clean_prefix": 0.0},
    # the blocks before a random one are clean in half of the clips, as a stream sees them
    "forcing_clean_prefix": {"objective.noise_level_per": "block", "objective.clean_prefix": 0.5},
    # ordinary flow matching
    "shared_level": {"objective.noise_level_per": "clip", "objective.clean_prefix": 0.0},
    # a clean history in every clip (perhaps of no block), one level for all blocks after it
    "teacher_forcing": {"objective.noise_level_per": "clip", "objective.clean_prefix": 1.0},
}


def get_config(variant: str = "forcing_clean_prefix") -> ConfigDict:
    variant = choose(variant, "forcing_clean_prefix", *(name for name in OBJECTIVES if name != "forcing_clean_prefix"))
    config = quickstart.get_config("passes")
    config.name = variant
    config.update_from_flattened_dict(OBJECTIVES[variant])
    return config
