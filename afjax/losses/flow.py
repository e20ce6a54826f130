"""Flow matching with a level per token (Avatar Forcing eq. 6).

    loss[b, n] = || v(x, level) - (noise - motion) ||     x = (1 - level) motion + level noise

averaged over channels, the norm absolute or squared; tokens at level 0 carry no loss (their noise can't be known).
"""

import jax.numpy as jnp

from afjax.types import Level, Motion, Scalar, WholeLevel, typed


@typed
def per_token(error: Motion, norm: str) -> Level:
    """Size of the velocity's error at every token [b, n]: mean over channels, absolute (`l1`) or squared (`l2`)."""
    return jnp.abs(error).mean(-1) if norm == "l1" else jnp.square(error).mean(-1)


@typed
def mean(losses: Level, level: Level, whole: WholeLevel | None = None) -> Scalar:
    """Mean over tokens above level 0; a batch without any gives 0.

    `whole`: levels of the whole batch, of which this is a part: the part's share of that batch's mean.
    """
    weight = (level > 0).astype(losses.dtype)
    count = weight.sum() if whole is None else (whole > 0).sum()
    return (losses * weight).sum() / jnp.maximum(count, 1)
