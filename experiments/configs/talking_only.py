"""Talking only: an avatar that never saw or heard a user, which is FLOAT's role in the paper and makes its DPO losers.

    python -m experiments.train --config experiments/configs/talking_only.py --workdir out/talking_only

Windows have 50 frames, 10 frames before them, and one noise level. The user is dropped in all training clips and hence
always at inference too. All else is the quickstart's, with as many frames per step.

Variant `paper`: at the paper's sizes, with its loss and optimizer, and guidance on the avatar's voice.
`--config.data.path` must be given there, as for the config `paper`.
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
