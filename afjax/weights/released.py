"""How the released network goes through time, and the settings of its sampler: the preset's and the parity report's.

The first 50 frames are made at once; every later pass holds two finished frames and ten of noise.
"""

from afjax.config import LayoutConfig, SamplerConfig

__all__ = ["LAYOUT", "SAMPLER"]

LAYOUT = LayoutConfig(
    block=10, look_ahead=2, mask="framewise_lookahead", cache=38, alignment=2, condition_window=0, tokens="frames"
)
SAMPLER = SamplerConfig(nfe=10, grid="released", start=50, avatar=2.0, user=1.0, joint=0.0)
