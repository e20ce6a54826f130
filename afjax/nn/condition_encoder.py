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
    """Conditions [b, n, ...] -> [b, n, out_width]; `projects`: audio features are projected here."""

    width: int
    out_width: int
    heads: int
    rotary: bool
    projects: bool = True

    def setup(self):
        self.audio_projection = AudioProjection(self.width)
        self.motion = [Linear(self.width) for _ in range(2)]
        self.motion_norm = [nn.LayerNorm(epsilon=1e-5) for _ in range(2)]
        self.user = ConditionAttention(self.heads, self.rotary)
        self.user_norm = nn.LayerNorm(epsilon=1e-5)
        self.avatar = ConditionAttention(self.heads, self.rotary)
        self.avatar_norm = nn.LayerNorm(epsilon=1e-5)
        self.out = Linear(self.out_width)

    def project(self, conditions: Conditions) -> Conditions:
        """Both voices projected [b, n, width]: once a frame, however often the encoder reads it again."""
        if not self.projects:
            return conditions
        avatar, user = self.audio_projection(conditions.avatar_audio), self.audio_projection(conditions.user_audio)
        return conditions._replace(avatar_audio=avatar, user_audio=user)

    def embed_motion(self, motion):
        """User motion [b, n, d] -> [b, n, width]."""
        for linear, norm in zip(self.motion, self.motion_norm, strict=True):
            motion = nn.silu(norm(linear(motion)))
        return motion

    def hear(self, user, user_audio, mask, positions):
        """The user's embedded motion with what the user's voice adds."""
        return nn.silu(self.user_norm(user + self.user(user, user_audio, mask, positions)))

    def __call__(self, conditions: Conditions, keep, mask, positions):
        """`conditions` projected; `keep` [b, 3] in {0, 1}: avatar audio, user audio, user motion.

        `mask` [n, n] or [b, n, n].
        """
        avatar_audio = conditions.avatar_audio * keep[:, 0, None, None]
        user_audio = conditions.user_audio * keep[:, 1, None, None]
        user = self.embed_motion(conditions.user_motion * keep[:, 2, None, None])
        user = self.hear(user, user_audio, mask, positions)
        both = avatar_audio + self.avatar(avatar_audio, user, mask, positions)
        return self.out(nn.silu(self.avatar_norm(both)))
