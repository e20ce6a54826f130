"""The released network and its sampler, number for number (docs/weights.md).

    python -m experiments.stream --preset released --weights weights/ --portrait face.jpg --user_video user.mp4 \\
        --avatar_audio avatar.wav --out talk.mp4

Variants: `start` (default) makes the first 50 frames at once, as the released sampler does; `empty` starts from an
empty cache, block by block, so that a stream has its first frames after 0.4 s.
"""

from ml_collections import ConfigDict

from afjax.config import Config, ModelConfig, to_dict
from afjax.weights.released import LAYOUT, SAMPLER
from experiments.configs import choose


def get_config(variant: str = "start") -> ConfigDict:
    model = ModelConfig(
        motion_dim=512, audio_dim=12 * 768, width=1024, depth=8, heads=8,
        condition_encoder="released", condition_width=512,
    )  # fmt: skip
    config = ConfigDict(to_dict(Config(name="released", model=model, layout=LAYOUT, sampler=SAMPLER)))
    if choose(variant, "start", "empty") == "empty":
        config.sampler.start = 0
    return config
