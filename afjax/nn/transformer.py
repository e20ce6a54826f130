"""The forcing transformer: velocity of every motion token, each at its own noise level.

Five methods over one parameter tree, because they run at different rates in a stream: `listen` once a frame, `encode`,
`project` and `tell` once a block, `__call__` once a solver step.
"""

from functools import wraps
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from afjax.config import ModelConfig
from afjax.config.model import CAUSE_AGES
from afjax.nn.blocks import Block, Modulation, modulate
from afjax.nn.condition_encoder import ConditionEncoder, Conditions
from afjax.nn.embeddings import LevelEmbedding
from afjax.nn.linear import Linear, zeros
from afjax.nn.precision import activations, products


class Answer(NamedTuple):
    """What the condition alone tells, by entry; each is None without its head.

    Motion [b, m, d], and logits [b, m, kinds * spans] of how long ago the user gave which cause
    (`afjax.losses.causes`).
    """

    motion: jax.Array | None
    causes: jax.Array | None


class Told(NamedTuple):
    """What blocks (six arrays) and head (two) are told of levels [...], each [..., width] (`afjax.nn.blocks`)."""

    blocks: tuple[jax.Array, ...]
    head: tuple[jax.Array, ...]


def narrowed(params, precision: str):
    """Parameters as the network of a precision casts them at each use, cast once; those that it keeps wide stay."""
    if precision != "bfloat16":
        return params
    wide = ("embed_level", "norm")

    def one(path, leaf):
        names = [step.key for step in path if isinstance(step, jax.tree_util.DictKey)]
        kept = any(part in name for name in names for part in wide)
        return leaf if kept else jnp.asarray(leaf, jnp.bfloat16)

    return jax.tree_util.tree_map_with_path(one, params)


def _precise(method):
    """A method whose products have the module's precision."""

    @wraps(method)
    def inside(self, *arguments, **more):
        with products(self.precision):
            return method(self, *arguments, **more)

    return inside


class ForcingTransformer(nn.Module):
    """Denoises motion tokens [b, n, d] under a mask, given conditions (Avatar Forcing section 4.1).

    It computes in the dtype of its input or, by `precision` (`afjax.nn.precision`), in bfloat16; norms, softmax,
    rotations and the level's embedding at least in float32, and the velocity has the motion's dtype. `remat`: in
    training blocks keep nothing for the backward pass. Neither changes the parameters.
    """

    config: ModelConfig
    precision: str = "tf32"
    remat: bool = False

    def setup(self):
        c = self.config
        rotary = c.condition_encoder != "released"
        self.condition_encoder = ConditionEncoder(
            c.condition_width, c.width, c.condition_heads, rotary, c.audio_dim > 0, c.memory_size,
            c.condition_convolutions,
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
        return jax.tree.map(lambda x: x.astype(activations(self.precision, x.dtype)), tree)

    @_precise
    def listen(self, conditions: Conditions) -> Conditions:
        """Conditions with both voices projected, as `encode` takes them."""
        voices = self.condition_encoder.project(self._narrow(conditions))
        return voices._replace(user_motion=conditions.user_motion)

    @_precise
    def encode(self, conditions: Conditions, keep, mask, positions):
        """Projected conditions -> [b, n, width]; `keep` [b, 3], `mask` [n, n] or [b, n, n], `positions` [n]."""
        voices = self._narrow(conditions)._replace(user_motion=conditions.user_motion)
        return self.condition_encoder(voices, self._narrow(keep), mask, positions)

    @_precise
    def project(self, condition, positions):
        """Encoded condition [b, k, width] at positions [k] -> cross-attention keys and values of every block."""
        condition = self._narrow(condition)
        return [block.project(condition, positions) for block in self.blocks]

    @_precise
    def tell(self, level) -> Told:
        """Modulations of levels [...] in [0, 1]: a stream has few of them, and many tokens at each."""
        embedding = self.embed_level(level).astype(activations(self.precision, level.dtype))
        return Told(tuple(self.modulation(embedding)), tuple(self.head_modulation(embedding)))

    @_precise
    def __call__(self, motion, level, reference, cross, masks, positions, past=None):
        """Velocity (noise - motion) of each token, and each block's keys and values for the cache.

        Args:
          motion: [b, n, d] noisy tokens; reference: [b, d].
          level: [b, n] in [0, 1], 1 = noise, or what `tell` returned for them, [b, n, width] or [1, n, width] each.
          cross: what `project` returned; masks: (attention [n, m + n], alignment [n, k]), or with a batch axis.
          positions: [n]; past: per block (keys [b, m, h, e] already rotated, values), or None.
        """
        reference = jnp.broadcast_to(reference[:, None], motion.shape)
        x = self.embed_motion(self._narrow(jnp.concatenate([motion, reference], axis=-1)))
        told, own = level if isinstance(level, Told) else self.tell(level.astype(motion.dtype)), []
        for i, block in enumerate(self.blocks):
            x, keys_values = block(x, told.blocks, cross[i], masks, positions, None if past is None else past[i])
            own.append(keys_values)
        return self.head(modulate(x, *told.head)).astype(motion.dtype), own

    def forward(self, motion, level, reference, conditions: Conditions, keep, layout):
        """One forward over a whole token layout (`afjax.nn.token_layout.TokenLayout`); velocity [b, n, d].

        `motion` and `level` are given token by token, conditions frame by frame [b, t, ...].
        """
        return self.forward_and_answer(motion, level, reference, conditions, keep, layout)[0]

    def answer(self, conditions: Conditions, keep, layout) -> Answer:
        """What the condition alone tells, as `forward_and_answer` gives it."""
        return self._answer(self._condition(conditions, keep, layout))

    @_precise
    def _answer(self, condition) -> Answer:
        c = self.config
        motion = self.answer_head(condition) if c.answer_head else None
        return Answer(motion, self.cause_head(condition) if c.cause_kinds else None)

    def prepare(self, conditions: Conditions, keep, layout):
        """Cross-attention keys and values of the conditions on a layout, as `__call__` takes them with any noise."""
        return self.project(self._condition(conditions, keep, layout), layout.entry)

    def _condition(self, conditions: Conditions, keep, layout):
        heard = jax.tree.map(lambda x: x[:, layout.entry], self.listen(conditions))
        return self.encode(heard, keep, layout.encoder, layout.entry)

    def forward_and_answer(self, motion, level, reference, conditions: Conditions, keep, layout):
        """`forward`, and what the condition alone tells, an Answer."""
        given = (reference, conditions, keep)
        reference, conditions, keep = jax.tree.map(lambda x: x.astype(motion.dtype), given)
        condition = self._condition(conditions, keep, layout)
        masks = (layout.attention, layout.alignment)
        velocity = self(motion, level, reference, self.project(condition, layout.entry), masks, layout.frame)[0]
        return velocity, self._answer(condition)
