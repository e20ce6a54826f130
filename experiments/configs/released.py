"""The released network and its sampler, number for number (docs/weights.md).

    python -m experiments.stream --preset released --weights weights/ --portrait face.jpg --user_video user.mp4 \\
        --avatar_audio avatar.wav --out talk.mp4

Variants: `start` (default) makes the first 50 frames at once, as the released sampler does; `empty` starts from an
empty cache, block by block, so that a stream has its first frames after 0.4 s.
"""

from ml_collections import ConfigDict

from afjax.config import released, to_dict
from experiments.configs import choose


def get_config(variant: str = "start") -> ConfigDict:
    start = {"start": released.SAMPLER.start_frames, "empty": 0}[choose(variant, "start", "empty")]
    return ConfigDict(to_dict(released.config(start)))
