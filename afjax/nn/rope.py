"""Rotary position embedding (RoPE) on adjacent channel pairs (2i, 2i + 1): angle = position * theta^(-2i / head_dim).

Scores depend on differences of positions only, so that a stream may always number the slots of its cache from zero.
"""

import jax.numpy as jnp
from jaxtyping import Float, Num

from afjax.types import HostOrDevice, typed


@typed
def rotate(
    x: Float[HostOrDevice, "*any n h e"], positions: Num[HostOrDevice, "... n"], theta: float = 1e4
) -> Float[HostOrDevice, "*any n h e"]:
    """Rotates `x` `[..., n, h, e]` by `positions` `[n]` or `[..., n]` in frames, at least in float32; e is even."""
    half, wide = x.shape[-1] // 2, jnp.promote_types(x.dtype, jnp.float32)
    frequency = theta ** (-jnp.arange(half, dtype=wide) / half)
    angle = jnp.asarray(positions, wide)[..., None, None] * frequency  # [..., n, 1, e / 2]
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    pairs = x.reshape(*x.shape[:-1], half, 2)
    even, odd = pairs[..., 0], pairs[..., 1]
    turned = jnp.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1)
    return turned.reshape(x.shape).astype(x.dtype)
