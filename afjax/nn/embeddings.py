"""Embedding of the noise level, one per token: the timestep embedding of diffusion transformers."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Float

from afjax.nn.linear import Linear
from afjax.types import HostOrDevice, typed

SCALE = 1000.0  # the released network reads 1000 * level


@typed
def sinusoid(value: Float[HostOrDevice, "*any"], dim: int, period: float = 1e4) -> Float[HostOrDevice, "*any c"]:
    """Cosines, then sines, of `value` `[...]` at dim / 2 frequencies -> `[..., dim]`; `dim` is even."""
    half = dim // 2
    frequency = period ** (-jnp.arange(half, dtype=value.dtype) / half)
    angle = value[..., None] * frequency
    return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)


class LevelEmbedding(nn.Module):
    """Level `[...]` in 0 to 1 -> `[..., width]`: sinusoid, Linear, SiLU, Linear."""

    width: int
    frequencies: int = 256

    @nn.compact
    @typed
    def __call__(self, noise_level: Float[HostOrDevice, "*any"]) -> Float[HostOrDevice, "*any c"]:
        hidden = nn.silu(Linear(self.width, name="hidden")(sinusoid(SCALE * noise_level, self.frequencies)))
        return Linear(self.width, name="out")(hidden)
