"""Multi-head attention with an explicit mask and explicit past keys and values."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Float, Num

from afjax.nn.linear import Linear
from afjax.nn.rope import rotate
from afjax.types import Heads, HostOrDevice, Mask, Positions, typed

KeysValues = tuple[Heads, Heads]
"""Keys and values `[b, m, h, e]`."""
Past = tuple[Float[HostOrDevice, "b past h e"], Float[HostOrDevice, "b past h e"]]
"""KV cache: keys, already rotated, and values of finished tokens, which are some of the m that are attended to."""
Hidden = Float[HostOrDevice, "b n c"]
"""Tokens inside a network."""
Queries = Float[HostOrDevice, "b n h e"]

MASKED_SCORE = -1e9  # finite, so that a row without any key (a token that is not there yet) stays finite


@typed
def attend(query: Queries, key: Heads, value: Heads, mask: Mask) -> Hidden:
    """Softmax attention; its scores are at least float32.

    Args:
      query: `[b, n, h, e]`; key, value: `[b, m, h, e]`.
      mask: `[n, m]` or `[b, n, m]`, True where a query may attend. A query that may attend to nothing gets the mean
        of all values.

    Returns `[b, n, h * e]`.
    """
    wide = jnp.promote_types(query.dtype, jnp.float32)
    scores = jnp.einsum("bqhe,bkhe->bhqk", query, key, preferred_element_type=wide) * query.shape[-1] ** -0.5
    mask = mask[:, None] if mask.ndim == 3 else mask
    weights = jax.nn.softmax(jnp.where(mask, scores, MASKED_SCORE), axis=-1)
    mixed = jnp.einsum("bhqk,bkhe->bqhe", weights.astype(value.dtype), value)
    return mixed.reshape(*mixed.shape[:2], -1)


@typed
def split_heads(x: Float[HostOrDevice, "*any c"], heads: int) -> Float[HostOrDevice, "*any h e"]:
    """Channels `[..., c]` split into heads, `[..., h, e]`; `heads` divides c."""
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads)


class SelfAttention(nn.Module):
    """Rotary self-attention over past and present tokens.

    `past` holds keys and values `[b, m, h, e]` of earlier tokens, keys already rotated. Returns `[b, n, c]` and the
    present tokens' own keys and values. These keys are not rotated, so that a cache may renumber their positions.
    """

    heads: int

    @nn.compact
    @typed
    def __call__(
        self, x: Hidden, mask: Mask, positions: Positions, past: Past | None = None
    ) -> tuple[Hidden, tuple[Queries, Queries]]:
        query, key, value = (
            split_heads(y, self.heads) for y in jnp.split(Linear(3 * x.shape[-1], name="qkv")(x), 3, axis=-1)
        )
        keys, values = rotate(key, positions), value
        if past is not None:
            keys, values = jnp.concatenate([past[0], keys], 1), jnp.concatenate([past[1], values], 1)
        mixed = attend(rotate(query, positions), keys, values, mask)
        return Linear(x.shape[-1], name="out")(mixed), (key, value)


class CrossAttention(nn.Module):
    """Cross-attention to the condition, optionally with rotary positions.

    Keys and values come from `project`, once for all solver steps of a block. A token without positions can't tell
    which frame of its alignment window is its own, unless the condition says so.
    """

    width: int
    heads: int
    rotary: bool

    def setup(self):
        self.q = Linear(self.width)
        self.kv = Linear(2 * self.width)
        self.out = Linear(self.width)

    @typed
    def project(self, condition: Float[HostOrDevice, "b m c"], positions: Num[HostOrDevice, " m"]) -> KeysValues:
        """Condition `[b, m, c]` at positions `[m]` -> keys and values, each `[b, m, h, e]`."""
        key, value = (split_heads(y, self.heads) for y in jnp.split(self.kv(condition), 2, axis=-1))
        return (rotate(key, positions) if self.rotary else key), value

    @typed
    def __call__(self, x: Hidden, keys_values: KeysValues, mask: Mask, positions: Positions) -> Hidden:
        query = split_heads(self.q(x), self.heads)
        return self.out(attend(rotate(query, positions) if self.rotary else query, *keys_values, mask))


class ConditionAttention(nn.Module):
    """Attention of one condition track to another of equal width, optionally with rotary positions."""

    heads: int
    rotary: bool

    @nn.compact
    @typed
    def __call__(
        self, queries: Hidden, keys: Float[HostOrDevice, "b m c"], mask: Mask, positions: Positions | None
    ) -> Hidden:
        width = queries.shape[-1]
        query = split_heads(Linear(width, name="q")(queries), self.heads)
        key = split_heads(Linear(width, name="k")(keys), self.heads)
        value = split_heads(Linear(width, name="v")(keys), self.heads)
        if self.rotary:
            query, key = rotate(query, positions), rotate(key, positions)
        return Linear(width, name="out")(attend(query, key, value, mask))
