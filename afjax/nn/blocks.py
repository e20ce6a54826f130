"""Transformer block and output head, both modulated per token by the noise level.

One modulation (shift, scale, gate for self-attention and for the MLP) is shared by all blocks; cross-attention
has neither modulation nor gate (Avatar Forcing appendix B, PixArt's adaLN-single without offsets). Zero-initialised
gates and head make the network the zero function before training.
"""

import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from afjax.nn.attention import CrossAttention, SelfAttention
from afjax.nn.linear import Linear, zeros


def normalise(x):
    """LayerNorm without parameters, as modulated layers use it; at least in float32."""
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    centred = wide - wide.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    return (centred * lax.rsqrt(variance + 1e-6)).astype(x.dtype)  # a tenth of a training step less than a division


def modulate(x, shift, scale):
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

    def project(self, condition, positions):
        """Keys and values of the condition for this block's cross-attention."""
        return self.cross_attention.project(condition, positions)

    def __call__(self, x, modulation, cross, masks, positions, past=None):
        """`modulation`: six arrays [b, n, width]; `masks`: attention and alignment; returns x and keys, values."""
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = modulation
        mixed, own = self.attention(modulate(x, shift, scale), masks[0], positions, past)
        x = x + gate * mixed
        x = x + self.cross_attention(normalise(x), cross, masks[1], positions)
        hidden = nn.gelu(self.mlp_in(modulate(x, mlp_shift, mlp_scale)), approximate=True)
        return x + mlp_gate * self.mlp_out(hidden), own


class Modulation(nn.Module):
    """Level embedding [b, n, width] -> `parts` arrays [b, n, width], zero at first."""

    parts: int

    @nn.compact
    def __call__(self, embedding):
        out = Linear(self.parts * embedding.shape[-1], zeros, name="linear")(nn.silu(embedding))
        return jnp.split(out, self.parts, axis=-1)
