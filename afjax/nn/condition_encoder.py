"""Dual motion encoder: what the avatar says and what its user says and does, as one condition per frame.

    user motion  m ── Linear-LN-SiLU x 2 ─► q ┐
    user audio  a_u ── project ────► k, v ────┴─► + LN SiLU = u ──► k, v ┐
    avatar audio a ── project ──────────────────────────────────► q ─────┴─► + LN SiLU ─► Linear = c

(Avatar Forcing section 4.1 and appendix B.2.) Two forms differ only in what a query sees:

  released   no positions, every token of its pass (the whole training window), as in the released network
  windowed   rotary positions, the present frame and `window - 1` before it; causal by construction

A third form has no second attention. Each person queries a motion memory bank of K learned vectors instead:

  memory     c = Linear SiLU LN (a + verbal(a) + u + non_verbal(u)), rotary positions inside u

It is our reading of INFP (arXiv 2412.04037) as the paper's baseline uses it: the avatar's voice recalls verbal motion,
the user non-verbal motion. INFP's user has a voice only. Here u is the same as above, so that the forms differ in one
thing. A query sees the whole pass of the user, or a window as in `windowed`.

The causal forms have a second path where `convolutions` is n > 0. It carries cues that last a few frames, and answers
that run by themselves. It goes round the attention, whose query, the avatar's voice, says little while it listens:

    h_0 = Linear [a, a_u, u_m, m, |m[t] - m[t - 3]|, r]           u_m: user motion as embedded above, m: as it comes
    h_i[t] = h_{i-1}[t] + SiLU LN Linear [h_{i-1}[t - 2 d], h_{i-1}[t - d], h_{i-1}[t]]        d = 2^(i-1)
    c = Linear SiLU LN (... + h_n)

This path reads 2 (2^n - 1) + 3 frames of past; frames before a stream's first are zero. A nod or a shaken head has no
mean, so that nothing linear tells it from rest. A network that must find a square first hardly begins to learn it from
rare answers. How much a channel moves says it at once: three frames are half a period at 4 Hz and near enough to half
of one at 2 Hz. r, if the encoder is told it, is m relative to what this user usually does
(`afjax.nn.relative_motion`).

A dropped condition is zero after its projection (audio) or before it (motion).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Bool, Float, Shaped

from afjax.config.model import MOVES
from afjax.nn.attention import ConditionAttention
from afjax.nn.layer_norm import LayerNorm
from afjax.nn.linear import Linear
from afjax.types import Audio, ConditionMask, Embedding, HostOrDevice, Motion, typed

FramePresent = Bool[HostOrDevice, " t"] | Bool[HostOrDevice, "b t"]
"""True for the frames that there are."""
FrameMask = Bool[HostOrDevice, "... t t"]
FramePositions = Shaped[HostOrDevice, " t"]
Relative = Float[HostOrDevice, "b t _"]
"""The user's motion relative to what this user usually does, `[b, t, 3 d]` (`afjax.nn.relative_motion`)."""


class RawConditions(NamedTuple):
    """What the generator is told, as measured, per frame: features as extracted, motion in the codec's units.

    `afjax.streaming.generator.standardised` makes Conditions of it.
    """

    avatar_features: Audio
    user_features: Audio
    user_motion: Motion


class Conditions(NamedTuple):
    """Standardised conditions: mean 0 and deviation 1 over the training split. `project` projects their voices.

    A network whose config has `relative_frames` is given `relative` as well; a stream's step makes it.
    """

    avatar_features: Audio
    user_features: Audio
    user_motion: Motion
    relative: Relative | None = None


class ProjectedConditions(NamedTuple):
    """Conditions with both voices projected to the encoder's width c, as `encode` takes them; all else is as it was.

    A network without a projection of its own (`audio_dim` 0) takes voices that already have this width.
    """

    avatar_embedding: Embedding
    user_embedding: Embedding
    user_motion: Motion
    relative: Relative | None = None


class AudioProjection(nn.Module):
    """Audio features `[..., t, f]` -> `[..., t, width]`, the same weights for both speakers."""

    width: int

    @nn.compact
    @typed
    def __call__(self, features: Float[HostOrDevice, "*b t f"]) -> Float[HostOrDevice, "*b t _"]:
        return nn.silu(LayerNorm(name="norm")(Linear(self.width, name="linear")(features)))


class MemoryBank(nn.Module):
    """A bank of `size` learned vectors; the result `[b, t, c]` is what a track `[b, t, c]` recalls from it."""

    size: int
    heads: int

    @nn.compact
    @typed
    def __call__(self, queries: Embedding) -> Embedding:
        count, frames, width = queries.shape
        bank = self.param("bank", nn.initializers.normal(1.0), (self.size, width), jnp.float32)
        bank = jnp.broadcast_to(bank.astype(queries.dtype), (count, self.size, width))
        every = jnp.ones((frames, self.size), bool)
        return ConditionAttention(self.heads, rotary=False, name="attention")(queries, bank, every, positions=None)


@typed
def shift_frames(x: Shaped[HostOrDevice, "b t c"], frames: int) -> Shaped[HostOrDevice, "b t c"]:
    """`x` `[b, t, c]` delayed by `frames` frames, zeros at first."""
    return jnp.pad(x, ((0, 0), (frames, 0), (0, 0)))[:, : x.shape[1]]


@typed
def motion_speed(motion: Motion, there: FramePresent) -> Motion:
    """How much each channel `[b, t, d]` has moved in MOVES frames; zero where the earlier frame is not there.

    `there`: `[t]` or `[b, t]`.
    """
    there = jnp.broadcast_to(there, motion.shape[:2])[..., None]
    return jnp.where(there & shift_frames(there, MOVES), jnp.abs(motion - shift_frames(motion, MOVES)), 0)


class CausalConvolutions(nn.Module):
    """Dilated causal convolutions over tracks `[b, t, c]` of any widths -> `[b, t, c]` of the first track's width.

    `there`: `[t]` or `[b, t]`, which frames there are; the others are zero.
    """

    layers: int

    @nn.compact
    @typed
    def __call__(self, tracks: Sequence[Float[HostOrDevice, "b t _"]], there: FramePresent) -> Embedding:
        width, there = tracks[0].shape[-1], jnp.broadcast_to(there, tracks[0].shape[:2])[..., None]
        x = jnp.where(there, Linear(width, name="mix")(jnp.concatenate(tracks, axis=-1)), 0)
        for i in range(self.layers):
            past = [shift_frames(x, k * 2**i) for k in (2, 1)]
            hidden = Linear(width, name=f"conv_{i}")(jnp.concatenate([*past, x], axis=-1))
            x = jnp.where(there, x + nn.silu(LayerNorm(name=f"norm_{i}")(hidden)), 0)
        return x


class ConditionEncoder(nn.Module):
    """Conditions of t frames -> `[b, t, out_width]`.

    Attributes:
      projects: whether audio features are projected here.
      memory_size: vectors in each memory bank; 0: the avatar's voice attends to the user instead.
      convolutions: layers of the second path; 0: none.
      relative: whether the second path is told relative motion.
    """

    width: int
    out_width: int
    heads: int
    rotary: bool
    projects: bool = True
    memory_size: int = 0
    convolutions: int = 0
    relative: bool = False

    def setup(self):
        self.audio_projection = AudioProjection(self.width)
        self.motion = [Linear(self.width) for _ in range(2)]
        self.motion_norm = [LayerNorm() for _ in range(2)]
        self.user = ConditionAttention(self.heads, self.rotary)
        self.user_norm = LayerNorm()
        if self.memory_size:
            self.verbal = MemoryBank(self.memory_size, self.heads)
            self.non_verbal = MemoryBank(self.memory_size, self.heads)
        else:
            self.avatar = ConditionAttention(self.heads, self.rotary)
        if self.convolutions:
            self.fast = CausalConvolutions(self.convolutions)
        self.avatar_norm = LayerNorm()
        self.out = Linear(self.out_width)

    @typed
    def project(self, conditions: Conditions) -> ProjectedConditions:
        """Both voices projected, `[b, t, width]`: once per frame, however often the encoder reads it again."""
        if not self.projects:
            return ProjectedConditions(*conditions)
        avatar, user = (
            self.audio_projection(conditions.avatar_features),
            self.audio_projection(conditions.user_features),
        )
        return ProjectedConditions(avatar, user, conditions.user_motion, conditions.relative)

    @typed
    def embed_motion(self, motion: Motion) -> Embedding:
        """User motion `[b, t, d]` -> `[b, t, width]`."""
        for linear, norm in zip(self.motion, self.motion_norm, strict=True):
            motion = nn.silu(norm(linear(motion)))
        return motion

    @typed
    def fuse_user(
        self, user: Embedding, user_embedding: Embedding, mask: FrameMask, positions: FramePositions
    ) -> Embedding:
        """The user's embedded motion `[b, t, width]` plus what it attends to in the user's voice `[b, t, width]`."""
        return nn.silu(self.user_norm(user + self.user(user, user_embedding, mask, positions)))

    @typed
    def __call__(
        self, conditions: ProjectedConditions, condition_mask: ConditionMask, mask: FrameMask, positions: FramePositions
    ) -> Float[HostOrDevice, "b t _"]:
        """The condition `[b, t, out_width]`, computed in the dtype of the voices.

        Args:
          conditions: of t frames.
          condition_mask: `[b, 3]`, 1 or 0: avatar audio, user audio, user motion.
          mask: `[t, t]` or `[b, t, t]`, True where a frame may attend; positions: `[t]` in frames.
        """
        avatar_embedding = conditions.avatar_embedding * condition_mask[:, 0, None, None]
        user_embedding = conditions.user_embedding * condition_mask[:, 1, None, None]
        user_motion = conditions.user_motion * condition_mask[:, 2, None, None]
        narrow = user_motion.astype(avatar_embedding.dtype)
        moved = self.embed_motion(narrow)
        user = self.fuse_user(moved, user_embedding, mask, positions)
        if self.memory_size:
            both = avatar_embedding + self.verbal(avatar_embedding) + user + self.non_verbal(user)
        else:
            both = avatar_embedding + self.avatar(avatar_embedding, user, mask, positions)
        if self.convolutions:  # a frame that is there sees itself
            there = jnp.diagonal(jnp.asarray(mask), axis1=-2, axis2=-1)
            change = motion_speed(user_motion, there).astype(narrow.dtype)  # of wide motion: small nods are differences
            tracks = (avatar_embedding, user_embedding, moved, narrow, change)
            if self.relative:
                tracks += ((conditions.relative * condition_mask[:, 2, None, None]).astype(narrow.dtype),)
            both = both + self.fast(tracks, there)
        return self.out(nn.silu(self.avatar_norm(both)))
