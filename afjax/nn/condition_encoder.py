"""Dual motion encoder: what the avatar says and what its user says and does, as one condition a frame.

    user motion  m ── Linear-LN-SiLU x 2 ─► q ┐
    user audio  a_u ── project ────► k, v ────┴─► + LN SiLU = u ──► k, v ┐
    avatar audio a ── project ──────────────────────────────────► q ─────┴─► + LN SiLU ─► Linear = c

(Avatar Forcing section 4.1 and appendix B.2.) Two forms differ only in what a query sees:

  released   no positions, every token of its pass (the whole training window), as in the released network
  windowed   rotary positions, the present frame and `window - 1` before it; causal by construction

A dropped condition is zero after its projection (audio) or before it (motion).
"""

from typing import NamedTuple

from flax import linen as nn

from afjax.nn.attention import ConditionAttention
from afjax.nn.linear import Linear
from afjax.types import Audio, Motion


class Conditions(NamedTuple):
    """What the generator is told, frame by frame, all standardised."""

    avatar_audio: Audio
    user_audio: Audio
    user_motion: Motion


class AudioProjection(nn.Module):
    """Audio features [b, n, f] -> [b, n, width], the same weights for both speakers."""

    width: int

    @nn.compact
    def __call__(self, features):
        return nn.silu(nn.LayerNorm(epsilon=1e-5, name="norm")(Linear(self.width, name="linear")(features)))


class ConditionEncoder(nn.Module):
    """Conditions [b, n, ...] -> [b, n, out_width]."""

    width: int
    out_width: int
    heads: int
    rotary: bool

    @nn.compact
    def __call__(self, conditions: Conditions, keep, mask, positions):
        """`keep` [b, 3] in {0, 1}: avatar audio, user audio, user motion; `mask` [n, n] or [b, n, n]."""
        project = AudioProjection(self.width, name="audio_projection")
        avatar_audio = project(conditions.avatar_audio) * keep[:, 0, None, None]
        user_audio = project(conditions.user_audio) * keep[:, 1, None, None]
        user = conditions.user_motion * keep[:, 2, None, None]
        for i in range(2):
            user = Linear(self.width, name=f"motion_{i}")(user)
            user = nn.silu(nn.LayerNorm(epsilon=1e-5, name=f"motion_norm_{i}")(user))
        user = user + ConditionAttention(self.heads, self.rotary, name="user")(user, user_audio, mask, positions)
        user = nn.silu(nn.LayerNorm(epsilon=1e-5, name="user_norm")(user))
        both = avatar_audio + ConditionAttention(self.heads, self.rotary, name="avatar")(
            avatar_audio, user, mask, positions
        )
        both = nn.silu(nn.LayerNorm(epsilon=1e-5, name="avatar_norm")(both))
        return Linear(self.out_width, name="out")(both)
