"""The user's motion relative to what this user usually does. Ours, not the paper's.

People differ in how much they move: simulated ones by a factor of nine between the 5th and the 95th of a hundred. A nod
of a calm person is as large as the fidgeting of a lively one. Convolutions that read a second or so can't tell them
apart, so the condition encoder is also told, per channel,

    c[t] = min(|m[t] - m[t - MOVES]|, LARGEST)              change; 0 in a conversation's first MOVES frames
    a[t] = a[t - 1] + r (m[t] - a[t - 1])                   its running mean, a[-1] = 0, the training split's mean
    u[t] = u[t - 1] + r (c[t] - u[t - 1])                   its usual change, u[-1] = USUAL

    relative = [(m - a) / 2 s, c / s, log s]                s = u + STILL, r = 1 - exp(-1 / frames)

where quotients are bounded by BOUND. A bounded change, not squared, lets a tracker's jump of two frames pass without
much effect on the seconds after it. A stream keeps a and u. A training window gets them from the frames before it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from afjax.config.model import MOVES
from afjax.nn.condition_encoder import motion_speed
from afjax.types import HostOrDevice, Motion, typed

USUAL = 0.7
"""Usual change of people in general, in deviations of the avatar's motion; simulated users have .25 to 2.3."""
STILL = 0.1
"""Added to the usual change, so that a face that never moves is told in small numbers too."""
LARGEST = 10.0
"""Largest change that counts, in the same units; a tracker's jump is larger."""
BOUND = 8.0
"""Largest quotient; of simulated users 99.9 % lie below 7.2."""


class UserStatistics(NamedTuple):
    """Running statistics of b users' standardised motion: its `mean` a, and its usual `change` u."""

    mean: Float[HostOrDevice, "b d"]
    change: Float[HostOrDevice, "b d"]


@typed
def unknown(motion: Float[HostOrDevice, "b d"]) -> UserStatistics:
    """Statistics of users of whom no frame was seen; `motion` gives sizes and dtype alone."""
    return UserStatistics(jnp.zeros_like(motion), jnp.full_like(motion, USUAL))


@typed
def go_on(
    known: UserStatistics,
    before: Float[HostOrDevice, "b _ d"],
    there: Bool[HostOrDevice, "b _"],
    motion: Motion,
    frames: int,
) -> tuple[UserStatistics, Float[Array, "b t _"]]:
    """The statistics after `motion` `[b, t, d]`, and its relative motion `[b, t, 3 d]`.

    Args:
      known: the statistics before it.
      before: the MOVES frames before it `[b, MOVES, d]`; there: `[b, MOVES]`, which of them there are.
      frames: time constant.
    """
    there = jnp.concatenate([there, jnp.ones(motion.shape[:2], bool)], axis=1)
    change = _change(jnp.concatenate([before, motion], axis=1), there)[:, MOVES:]
    mean, usual = (_running(start, x, frames) for start, x in zip(known, (motion, change), strict=True))
    size = usual + STILL
    place = jnp.clip((motion - mean) / (2 * size), -BOUND, BOUND)
    relative = jnp.concatenate([place, jnp.minimum(change / size, BOUND), jnp.log(size)], axis=-1)
    return UserStatistics(mean[:, -1], usual[:, -1]), relative


@typed
def of_windows(earlier: Float[HostOrDevice, "b _ d"], motion: Motion, frames: int) -> Float[Array, "b t _"]:
    """Relative motion `[b, t, 3 d]` of windows `[b, t, d]`, after the MOVES frames or more `earlier` `[b, n, d]`.

    Frames of `earlier` that a conversation does not have are nan.
    """
    there = jnp.isfinite(earlier[..., 0])
    start = unknown(motion[:, 0])
    # a frame that isn't there leaves the statistics as they are before a conversation
    seen = jnp.where(there[..., None], earlier, start.mean[:, None])
    change = jnp.where(there[..., None], _change(seen, there), start.change[:, None])
    decay = np.exp(-1.0 / frames) ** np.arange(earlier.shape[1], -1, -1).astype(earlier.dtype)
    weights = (decay[1:] - decay[:-1])[:, None]
    known = (decay[0] * first + (weights * x).sum(1) for first, x in zip(start, (seen, change), strict=True))
    return go_on(UserStatistics(*known), seen[:, -MOVES:], there[:, -MOVES:], motion, frames)[1]


def _change(motion, there):
    return jnp.minimum(motion_speed(motion, there), LARGEST)


def _running(start, x, frames: int):
    """Running means `[b, t, d]` of x `[b, t, d]` after `start` `[b, d]`."""
    decay, t = np.exp(-1.0 / frames), x.shape[1]
    age = np.arange(t)[:, None] - np.arange(t)
    weights = np.where(age >= 0, (1.0 - decay) * decay ** np.maximum(age, 0), 0.0).astype(x.dtype)
    held = (decay ** np.arange(1, t + 1)).astype(x.dtype)
    summed = jnp.einsum("ts,bsd->btd", weights, x, precision=jax.lax.Precision.HIGHEST)
    return held[:, None] * start[:, None] + summed
