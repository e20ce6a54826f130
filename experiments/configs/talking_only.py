"""Talking only: an avatar that never saw or heard a user. The role of FLOAT in the paper, and its source of DPO losers.

    python -m experiments.train --config experiments/configs/talking_only.py --workdir out/talking_only

Windows of 50 frames with 10 frames before them, under one noise level. The user is dropped in all training clips and
hence at inference too, whatever a session offers. All else is the quickstart's, with as many frames a step.

Variant `paper`: at the paper's sizes, with its loss and optimizer, and guidance on the avatar's voice; as for the
config `paper`, `--config.data.path` must be given.
"""

from ml_collections import ConfigDict

from experiments.configs import choose, in_windows, paper, quickstart


def get_config(variant: str = "quickstart") -> ConfigDict:
    variant = choose(variant, "quickstart", "paper")
    config = quickstart.get_config() if variant == "quickstart" else paper.get_config()
    config.name = "talking_only"
    in_windows(config, 50, 10)
    config.objective.kept_conditions = {"avatar": 0.9, "none": 0.1}
    config.sampler.guidance_user = 0.0
    if variant == "quickstart":
        config.data.batch = 8
    return config
