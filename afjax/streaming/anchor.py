"""Holds the slow part of a stream's motion near the reference, and leaves all else alone.

A model that reads two seconds of its own motion can drift in whatever changes more slowly than that. The anchor adds
the pull x' to the model's motion, with x the motion's level from the reference, m its running mean and w =
`anchor_band`, all in standard deviations of the data:

    m' = (x - m) / tau_m          x' = -e / tau          e = m - clip(m, -w, w)

Inside the band e = 0: the motion is not touched, to the bit. Outside, with tau = `anchor_seconds` and tau_m = tau / 4,
both meet the band's edge without overshooting (s^2 + s / tau_m + 1 / (tau tau_m) has a double root). The pull grows
over the frames of a block and is kept: the pulled motion goes into the stream's memory. The model goes on from there,
so that blocks meet as they would without a pull.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from afjax.audio.framing import FPS
from afjax.config import SamplerConfig
from afjax.types import HostOrDevice, Motion, ReferenceMotion, typed

RunningMean = Float[HostOrDevice, "b _"]
"""`[b, d]`, or `[b, 0]` without an anchor."""


@typed
def init_running_mean(reference_motion: ReferenceMotion, sampler: SamplerConfig) -> RunningMean:
    """Running mean of an empty stream: zeros `[b, d]`, or `[b, 0]` without an anchor."""
    return jnp.zeros_like(reference_motion[:, : reference_motion.shape[1] if sampler.anchor_seconds else 0])


@typed
def anchored(
    running_mean: RunningMean, motion: Motion, reference_motion: ReferenceMotion, sampler: SamplerConfig
) -> tuple[RunningMean, Motion]:
    """The running mean `[b, d]` after a block, and the block's motion, pulled where the mean left the band.

    Args:
      running_mean: mean of the motion less the reference so far, `[b, d]`.
      motion: the block's `[b, t, d]`; reference_motion: `[b, d]`; all standardised.

    Without an anchor both are returned as they are.
    """
    if not sampler.anchor_seconds:
        return running_mean, motion
    frames, tau = motion.shape[1], FPS * sampler.anchor_seconds
    running_mean = running_mean + (1.0 - np.exp(-4.0 * frames / tau)) * (
        motion.mean(axis=1) - reference_motion - running_mean
    )
    excess = running_mean - jnp.clip(running_mean, -sampler.anchor_band, sampler.anchor_band)
    grown = np.arange(1, frames + 1) / tau
    return running_mean, motion - excess[:, None] * grown[:, None].astype(motion.dtype)
