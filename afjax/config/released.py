"""The released network: its sizes, how it goes through time, and the settings of its sampler.

The first 50 frames are made at once; every later pass holds two finished frames and ten of noise.
"""

from dataclasses import replace

from afjax.config.config import Config
from afjax.config.model import LayoutConfig, ModelConfig, SamplerConfig

__all__ = ["LAYOUT", "MODEL", "SAMPLER", "config"]

MODEL = ModelConfig(
    motion_dim=512, audio_dim=12 * 768, width=1024, depth=8, heads=8, condition_encoder="released", condition_width=512
)
LAYOUT = LayoutConfig(
    block=10, look_ahead=2, mask="framewise_lookahead", cache=38, alignment=2, condition_window=0, tokens="frames"
)
SAMPLER = SamplerConfig(
    nfe=10, grid="released", start_frames=50, guidance_avatar=2.0, guidance_user=1.0, guidance_joint=0.0
)


def config(start: int = SAMPLER.start_frames) -> Config:
    """The released network's config. A stream with `start` 0 begins with an empty cache, block by block."""
    return Config(name="released", model=MODEL, layout=LAYOUT, sampler=replace(SAMPLER, start_frames=start))
