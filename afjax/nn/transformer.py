"""The forcing transformer: velocity of every motion token, each at its own noise level.

It has five methods over one parameter tree, because they run at different rates in a stream: `embed_audio` once per
frame, `encode`, `project` and `modulations` once per block, `__call__` once per solver step.
"""

from collections.abc import Sequence
from functools import wraps
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Float, Num

from afjax.config import ModelConfig
from afjax.config.model import CAUSE_AGES
from afjax.nn.attention import KeysValues, Past
from afjax.nn.blocks import Block, Modulation, modulate
from afjax.nn.condition_encoder import (
    ConditionEncoder,
    Conditions,
    FrameMask,
    FramePositions,
    ProjectedConditions,
)
from afjax.nn.embeddings import LevelEmbedding
from afjax.nn.linear import Linear, zeros
from afjax.nn.precision import activation_dtype, matmul_precision
from afjax.nn.token_layout import TokenLayout
from afjax.types import ConditionMask, HostOrDevice, NoiseLevel, Params, Positions, ReferenceMotion, Tokens, typed

EncodedCondition = Float[HostOrDevice, "b m c"]


class Answer(NamedTuple):
    """Predictions from the condition alone, per entry; each is None without its head.

    They are the motion `[b, m, d]`, and logits `[b, m, kinds * spans]` of how long ago the user gave which cause
    (`afjax.losses.causes`).
    """

    motion: Float[HostOrDevice, "b m d"] | None
    causes: Float[HostOrDevice, "b m _"] | None


class Modulations(NamedTuple):
    """Modulations of the blocks (six arrays) and the head (two) for levels `[...]`, each `[..., c]`."""

    blocks: tuple[Float[HostOrDevice, "... c"], ...]
    head: tuple[Float[HostOrDevice, "... c"], ...]


def cast_params(params: Params, precision: str) -> Params:
    """Parameters cast once as the network of a precision casts them at each use; those that it keeps wide stay."""
    if precision != "bfloat16":
        return params
    wide = ("embed_level", "norm")

    def one(path, leaf):
        names = [step.key for step in path if isinstance(step, jax.tree_util.DictKey)]
        kept = any(part in name for name in names for part in wide)
        return leaf if kept else jnp.asarray(leaf, jnp.bfloat16)

    return jax.tree_util.tree_map_with_path(one, params)


def _precise(method):
    """Decorator of a method: its products have the module's precision."""

    @wraps(method)
    def inside(self, *arguments, **more):
        with matmul_precision(self.precision):
            return method(self, *arguments, **more)

    return inside


class ForcingTransformer(nn.Module):
    """Denoises motion tokens `[b, n, d]` under a mask, given conditions (Avatar Forcing section 4.1).

    It computes in the dtype of its input or, by `precision` (`afjax.nn.precision`), in bfloat16. Norms, softmax,
    rotations and the level's embedding are at least float32; the velocity has the motion's dtype. `remat`: blocks keep
    nothing for the backward pass of training. Neither setting changes the parameters.
    """

    config: ModelConfig
    precision: str = "tf32"
    remat: bool = False

    def setup(self):
        c = self.config
        rotary = c.condition_encoder != "released"
        self.condition_encoder = ConditionEncoder(
            c.condition_width, c.width, c.condition_heads, rotary, c.audio_dim > 0, c.memory_size,
            c.condition_convolutions, c.relative_frames > 0,
        )  # fmt: skip
        self.embed_motion = Linear(c.width)
        self.embed_level = LevelEmbedding(c.width)
        self.modulation = Modulation(6)
        block = nn.remat(Block, methods=["__call__"]) if self.remat else Block
        self.blocks = [block(c.width, c.heads, c.mlp_ratio, rotary_cross=rotary) for _ in range(c.depth)]
        self.head_modulation = Modulation(2)
        self.head = Linear(c.motion_dim, zeros)
        if c.answer_head:
            self.answer_head = Linear(c.motion_dim, zeros)
        if c.cause_kinds:
            self.cause_head = Linear(c.cause_kinds * (len(CAUSE_AGES) - 1), zeros)

    def _narrow(self, tree):
        """Arrays with the dtype of activations."""
        return jax.tree.map(lambda x: x.astype(activation_dtype(self.precision, x.dtype)), tree)

    @typed
    @_precise
    def embed_audio(self, conditions: Conditions) -> ProjectedConditions:
        """Conditions with both voices projected, as `encode` takes them."""
        voices = self.condition_encoder.project(self._narrow(conditions))
        return voices._replace(user_motion=conditions.user_motion, relative=conditions.relative)

    @typed
    @_precise
    def encode(
        self, conditions: ProjectedConditions, condition_mask: ConditionMask, mask: FrameMask, positions: FramePositions
    ) -> Float[HostOrDevice, "b t _"]:
        """The condition `[b, t, width]`.

        The arguments are those of `ConditionEncoder`: `condition_mask` `[b, 3]`, `mask` `[t, t]` or `[b, t, t]`,
        `positions` `[t]` in frames.
        """
        voices = self._narrow(conditions)._replace(user_motion=conditions.user_motion, relative=conditions.relative)
        return self.condition_encoder(voices, self._narrow(condition_mask), mask, positions)

    @typed
    @_precise
    def project(self, condition: EncodedCondition, positions: Num[HostOrDevice, " m"]) -> list[KeysValues]:
        """Encoded condition `[b, m, c]` at positions `[m]` -> cross-attention keys and values of every block."""
        condition = self._narrow(condition)
        return [block.project(condition, positions) for block in self.blocks]

    @typed
    @_precise
    def modulations(self, noise_level: Float[HostOrDevice, "..."]) -> Modulations:
        """Modulations of levels `[...]` in 0 to 1. A stream has few levels, and many tokens at each."""
        embedding = self.embed_level(noise_level).astype(activation_dtype(self.precision, noise_level.dtype))
        return Modulations(tuple(self.modulation(embedding)), tuple(self.head_modulation(embedding)))

    @typed
    @_precise
    def __call__(
        self,
        motion: Tokens,
        noise_level: NoiseLevel | Modulations,
        reference_motion: ReferenceMotion,
        cross: Sequence[tuple],
        masks: tuple,
        positions: Positions,
        past: Sequence[Past] | None = None,
    ) -> tuple[Tokens, list[tuple]]:
        """Velocity (noise - motion) of each token `[b, n, d]`, and each block's keys and values for the cache.

        Args:
          motion: `[b, n, d]` noisy tokens; reference_motion: `[b, d]`.
          noise_level: `[b, n]` in 0 to 1, 1 = noise; or their `modulations`, `[b, n, c]` or `[1, n, c]` each.
          cross: what `project` returned.
          masks: attention `[n, m + n]` with m cached tokens and alignment `[n, m]` with m conditions, or both with a
            batch axis.
          positions: `[n]` in frames; past: per block keys `[b, m, h, e]`, already rotated, and values; or None.
        """
        reference_motion = jnp.broadcast_to(reference_motion[:, None], motion.shape)
        x = self.embed_motion(self._narrow(jnp.concatenate([motion, reference_motion], axis=-1)))
        modulations, own = (
            noise_level if isinstance(noise_level, Modulations) else self.modulations(noise_level.astype(motion.dtype)),
            [],
        )
        for i, block in enumerate(self.blocks):
            x, keys_values = block(x, modulations.blocks, cross[i], masks, positions, None if past is None else past[i])
            own.append(keys_values)
        return self.head(modulate(x, *modulations.head)).astype(motion.dtype), own

    @typed
    def forward(
        self, motion: Tokens, noise_level: NoiseLevel, reference_motion: ReferenceMotion, conditions: Conditions,
        condition_mask: ConditionMask,
        layout: TokenLayout,
    ) -> Tokens:  # fmt: skip
        """One forward over a whole token layout; velocity `[b, n, d]`.

        `motion` `[b, n, d]` and `noise_level` `[b, n]` are given per token, conditions per frame.
        """
        return self.forward_and_answer(motion, noise_level, reference_motion, conditions, condition_mask, layout)[0]

    @typed
    def answer(self, conditions: Conditions, condition_mask: ConditionMask, layout: TokenLayout) -> Answer:
        """Predictions from the condition alone, as `forward_and_answer` gives them."""
        return self._answer(self._condition(conditions, condition_mask, layout))

    @_precise
    def _answer(self, condition) -> Answer:
        c = self.config
        motion = self.answer_head(condition) if c.answer_head else None
        return Answer(motion, self.cause_head(condition) if c.cause_kinds else None)

    @typed
    def prepare(self, conditions: Conditions, condition_mask: ConditionMask, layout: TokenLayout) -> list[KeysValues]:
        """Cross-attention keys and values of the conditions on a layout: `cross` of `__call__`, for any noise."""
        return self.project(self._condition(conditions, condition_mask, layout), layout.condition_frame)

    def _condition(self, conditions: Conditions, condition_mask, layout):
        projected = jax.tree.map(lambda x: x[:, layout.condition_frame], self.embed_audio(conditions))
        return self.encode(projected, condition_mask, layout.encoder_mask, layout.condition_frame)

    @typed
    def forward_and_answer(
        self, motion: Tokens, noise_level: NoiseLevel, reference_motion: ReferenceMotion, conditions: Conditions,
        condition_mask: ConditionMask,
        layout: TokenLayout,
    ) -> tuple[Tokens, Answer]:  # fmt: skip
        """The velocity of `forward`, and the predictions from the condition alone."""
        given = (reference_motion, conditions, condition_mask)
        reference_motion, conditions, condition_mask = jax.tree.map(lambda x: x.astype(motion.dtype), given)
        condition = self._condition(conditions, condition_mask, layout)
        masks = (layout.attention_mask, layout.cross_mask)
        velocity = self(
            motion, noise_level, reference_motion, self.project(condition, layout.condition_frame), masks, layout.frame
        )[0]
        return velocity, self._answer(condition)
