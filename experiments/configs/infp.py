"""INFP as the paper's baseline: windows of 75 frames with 10 before them, and two memory banks of 64 vectors.

    python -m experiments.train --config experiments/configs/infp.py --workdir out/infp

The avatar's voice queries a verbal bank, the user a non-verbal one (`afjax.nn.condition_encoder`), over the whole
window. A window has one noise level; the model waits 3 s for a window. The user is seen and heard as in our own model,
so that the two differ in the generator; INFP itself only hears. All else is the quickstart's, with half as many frames
per step again.

Variants: `voice`, the user is heard and not seen, as in INFP; `paper`, at the paper's sizes, with its loss, optimizer
and guidance. `--config.data.path` must be given there, as for the config `paper`.
"""

from ml_collections import ConfigDict

from experiments.configs import choose, in_windows, paper, quickstart


def get_config(variant: str = "quickstart") -> ConfigDict:
    variant = choose(variant, "quickstart", "voice", "paper")
    config = paper.get_config() if variant == "paper" else quickstart.get_config()
    config.name = "infp"
    config.model.condition_encoder = "memory"
    config.model.memory_size = 64
    config.model.condition_convolutions = 0
    config.layout.condition_window = 0
    in_windows(config, 75, 10)
    if variant == "voice":
        config.objective.kept_conditions = {"avatar_and_user_audio": 0.8, "avatar": 0.1, "none": 0.1}
    if variant != "paper":
        config.data.batch = 8
    return config
