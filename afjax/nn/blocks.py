"""Transformer block and output head, both modulated per token by the noise level.

One modulation (shift, scale, gate for self-attention and for the MLP) is shared by all blocks; cross-attention
has neither modulation nor gate (Avatar Forcing appendix B, PixArt's adaLN-single without offsets). Zero-initialised
gates and head make the network the zero function before training.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Float, Num

from afjax.nn.attention import CrossAttention, Hidden, KeysValues, Past, Queries, SelfAttention
from afjax.nn.linear import Linear, zeros
from afjax.types import HostOrDevice, Positions, typed

Modulating = Float[HostOrDevice, "#b #n c"]
"""Shifts, scales or gates `[b, n, c]`; an axis of size 1 where they are the same for all."""


@typed
def normalise(x: Float[HostOrDevice, "*any c"]) -> Float[HostOrDevice, "*any c"]:
    """LayerNorm of `[..., c]` without parameters, for modulated layers; at least in float32, result in x's dtype."""
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    centred = wide - wide.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    return (centred * lax.rsqrt(variance + 1e-6)).astype(x.dtype)  # a tenth of a training step less than a division


@typed
def modulate(x: Hidden, shift: Modulating, scale: Modulating) -> Hidden:
    """Normalised `x` `[b, n, c]`, scaled by 1 + `scale` and shifted."""
    return normalise(x) * (1 + scale) + shift


class Block(nn.Module):
    """Self-attention, cross-attention to the condition, MLP."""

    width: int
    heads: int
    mlp_ratio: int
    rotary_cross: bool

    def setup(self):
        self.attention = SelfAttention(self.heads)
        self.cross_attention = CrossAttention(self.width, self.heads, self.rotary_cross)
        self.mlp_in = Linear(self.mlp_ratio * self.width)
        self.mlp_out = Linear(self.width)

    @typed
    def project(self, condition: Float[HostOrDevice, "b m c"], positions: Num[HostOrDevice, " m"]) -> KeysValues:
        """Keys and values `[b, m, h, e]` of the condition `[b, m, c]` for this block's cross-attention."""
        return self.cross_attention.project(condition, positions)

    @typed
    def __call__(
        self,
        x: Hidden,
        modulation: Sequence[Modulating],
        cross: tuple,
        masks: tuple,
        positions: Positions,
        past: Past | None = None,
    ) -> tuple[Hidden, tuple[Queries, Queries]]:
        """Tokens `[b, n, c]` after the block, and their own keys and values `[b, n, h, e]`, not rotated.

        Args:
          x: tokens `[b, n, c]`.
          modulation: six arrays `[b, n, c]`: shift, scale and gate of self-attention, then of the MLP.
          cross: what `project` returned.
          masks: self-attention `[n, m + n]` and alignment `[n, m]`, or both with a batch axis.
          positions: `[n]`; past: keys, already rotated, and values of cached tokens.
        """
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = modulation
        mixed, own = self.attention(modulate(x, shift, scale), masks[0], positions, past)
        x = x + gate * mixed
        x = x + self.cross_attention(normalise(x), cross, masks[1], positions)
        hidden = nn.gelu(self.mlp_in(modulate(x, mlp_shift, mlp_scale)), approximate=True)
        return x + mlp_gate * self.mlp_out(hidden), own


class Modulation(nn.Module):
    """Level embedding `[..., c]` -> `parts` arrays `[..., c]`, zero at first."""

    parts: int

    @nn.compact
    @typed
    def __call__(self, embedding: Float[HostOrDevice, "*any c"]) -> list[Float[HostOrDevice, "*any c"]]:
        out = Linear(self.parts * embedding.shape[-1], zeros, name="linear")(nn.silu(embedding))
        return jnp.split(out, self.parts, axis=-1)
