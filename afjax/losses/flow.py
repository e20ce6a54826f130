"""Flow matching (rectified flow) with a level per token (Avatar Forcing eq. 6).

    loss[b, n] = || v(x, level) - (noise - motion) ||     x = (1 - level) motion + level noise

The norm is absolute or squared, averaged over channels. Tokens at level 0 carry no loss: their noise can't be known.
"""

import jax.numpy as jnp

from afjax.types import BatchNoiseLevel, NoiseLevel, Scalar, Tokens, typed


@typed
def per_token(error: Tokens, norm: str) -> NoiseLevel:
    """Size `[b, n]` of the velocity's error `[b, n, d]`: mean absolute (`l1`) or squared (`l2`) over channels."""
    return jnp.abs(error).mean(-1) if norm == "l1" else jnp.square(error).mean(-1)


@typed
def masked_mean(
    losses: NoiseLevel, noise_level: NoiseLevel, batch_noise_level: BatchNoiseLevel | None = None
) -> Scalar:
    """Mean of losses `[b, n]` over tokens whose level `[b, n]` is above 0; a batch without any gives 0.

    `batch_noise_level`: levels `[w, n]` of the whole batch where this is a part of it; the result is then the part's
    share of the batch's mean.
    """
    weight = (noise_level > 0).astype(losses.dtype)
    count = weight.sum() if batch_noise_level is None else (batch_noise_level > 0).sum()
    return (losses * weight).sum() / jnp.maximum(count, 1)
