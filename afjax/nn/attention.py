"""Multi-head attention with an explicit mask and explicit past keys and values."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from afjax.nn.linear import Linear
from afjax.nn.rope import rotate

HIDDEN = -1e9  # finite, so that a row without any key (a token that is not there yet) stays finite


def attend(query, key, value, mask):
    """Softmax attention, scores at least float32. `query` [b, q, h, e], `key` and `value` [b, k, h, e], `mask` [q, k]
    or [b, q, k]."""
    wide = jnp.promote_types(query.dtype, jnp.float32)
    scores = jnp.einsum("bqhe,bkhe->bhqk", query, key, preferred_element_type=wide) * query.shape[-1] ** -0.5
    mask = mask[:, None] if mask.ndim == 3 else mask
    weights = jax.nn.softmax(jnp.where(mask, scores, HIDDEN), axis=-1)
    mixed = jnp.einsum("bhqk,bkhe->bqhe", weights.astype(value.dtype), value)
    return mixed.reshape(*mixed.shape[:2], -1)


def split_heads(x, heads: int):
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads)


class SelfAttention(nn.Module):
    """Rotary self-attention over past and present tokens.

    `past` holds keys and values [b, m, h, e] of earlier tokens, keys already rotated; the returned pair are the
    present tokens' own, keys not rotated, so that whoever caches them may renumber their positions.
    """

    heads: int

    @nn.compact
    def __call__(self, x, mask, positions, past=None):
        query, key, value = (
            split_heads(y, self.heads) for y in jnp.split(Linear(3 * x.shape[-1], name="qkv")(x), 3, axis=-1)
        )
        keys, values = rotate(key, positions), value
        if past is not None:
            keys, values = jnp.concatenate([past[0], keys], 1), jnp.concatenate([past[1], values], 1)
        mixed = attend(rotate(query, positions), keys, values, mask)
        return Linear(x.shape[-1], name="out")(mixed), (key, value)


class CrossAttention(nn.Module):
    """Attention to a condition, optionally with rotary positions.

    Keys and values come from `project`, once for all solver steps of a block. Without positions a token can't tell
    which of the frames in its alignment window is its own, unless the condition says so.
    """

    width: int
    heads: int
    rotary: bool

    def setup(self):
        self.q = Linear(self.width)
        self.kv = Linear(2 * self.width)
        self.out = Linear(self.width)

    def project(self, condition, positions):
        """Condition [b, k, c] at positions [k] -> keys and values, each [b, k, h, e]."""
        key, value = (split_heads(y, self.heads) for y in jnp.split(self.kv(condition), 2, axis=-1))
        return (rotate(key, positions) if self.rotary else key), value

    def __call__(self, x, keys_values, mask, positions):
        query = split_heads(self.q(x), self.heads)
        return self.out(attend(rotate(query, positions) if self.rotary else query, *keys_values, mask))


class ConditionAttention(nn.Module):
    """Attention of one condition track to another, optionally with rotary positions; all of one width."""

    heads: int
    rotary: bool

    @nn.compact
    def __call__(self, queries, keys, mask, positions):
        width = queries.shape[-1]
        query = split_heads(Linear(width, name="q")(queries), self.heads)
        key = split_heads(Linear(width, name="k")(keys), self.heads)
        value = split_heads(Linear(width, name="v")(keys), self.heads)
        if self.rotary:
            query, key = rotate(query, positions), rotate(key, positions)
        return Linear(width, name="out")(attend(query, key, value, mask))
