"""The user's motion beside what this user usually does: people differ eightfold in how much they move.

A nod of a lively person is as large as the fidgeting of one that is livelier still. The condition encoder can't tell
them apart within the second that it reads, so running statistics of the user, per channel, come with each frame:

    change  c[t] = |m[t] - m[t - MOVES]|
    mean    a[t] = a[t - 1] + r (m[t] - a[t - 1])           a[-1] = 0, the training split's mean
    square  s[t] = s[t - 1] + r (c[t]^2 - s[t - 1])         s[-1] = USUAL, that of people in general

    told = [m, (m - a) / (3 sqrt(s)), c / (2 sqrt(s)), log sqrt(s)]          r = 1 - exp(-1 / frames)

sqrt(s) is at least STILL, and the quotients are bounded, so that a face that never moves is told in small numbers too.
A stream keeps a and s. A training window gets them from the frames before it (`earlier`), as far as the conversation
has such.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from afjax.config.model import MOVES
from afjax.nn.condition_encoder import motion_speed
from afjax.types import HostOrDevice, Motion, typed

USUAL = 0.2
"""Squared change of people in general, in units of the avatar's squared deviation; simulated users have .01 to 3."""
STILL = 0.02
BOUNDS = (8.0, 5.0)


class Pace(NamedTuple):
    """Running statistics of b users, standardised: `mean` of the motion and `square` of its change."""

    mean: Float[HostOrDevice, "b d"]
    square: Float[HostOrDevice, "b d"]


@typed
def unknown(motion: Float[HostOrDevice, "b d"]) -> Pace:
    """Statistics of users of whom no frame was seen; `motion` gives sizes and dtype alone."""
    return Pace(jnp.zeros_like(motion), jnp.full_like(motion, USUAL))


@typed
def told(
    pace: Pace, before: Float[HostOrDevice, "b _ d"], there: Bool[HostOrDevice, "b _"], motion: Motion, frames: int
) -> tuple[Pace, Float[Array, "b t _"]]:
    """The statistics after `motion` `[b, t, d]`, and that motion as the encoder is told it, `[b, t, 4 d]`.

    Args:
      pace: statistics up to `motion`.
      before: the MOVES frames before it; there: `[b, MOVES]`, which of them there are.
      frames: time constant.
    """
    seen = jnp.concatenate([before, motion], axis=1)
    change = motion_speed(seen, jnp.concatenate([there, jnp.ones(motion.shape[:2], bool)], axis=1))[:, MOVES:]
    mean, square = (_running(start, x, frames) for start, x in zip(pace, (motion, change**2), strict=True))
    size = jnp.sqrt(square + STILL**2)
    relative = jnp.clip((motion - mean) / (3 * size), -BOUNDS[0], BOUNDS[0])
    moved = jnp.clip(change / (2 * size), 0, BOUNDS[1])
    return Pace(mean[:, -1], square[:, -1]), jnp.concatenate([motion, relative, moved, jnp.log(size)], axis=-1)


@typed
def told_after(earlier: Float[HostOrDevice, "b _ d"], motion: Motion, frames: int) -> Float[Array, "b t _"]:
    """The motion `[b, t, d]` of windows, told after the frames before them, MOVES and more `[b, e, d]`.

    Frames of `earlier` that a conversation does not have are nan.
    """
    there = jnp.isfinite(earlier[..., 0])
    seen = jnp.where(there[..., None], earlier, 0)
    start = unknown(motion[:, 0])
    # a frame that isn't there leaves the statistics as they are before a conversation
    square = jnp.where(there[..., None], motion_speed(seen, there) ** 2, start.square[:, None])
    pace = Pace(*(_running(first, x, frames)[:, -1] for first, x in zip(start, (seen, square), strict=True)))
    return told(pace, seen[:, -MOVES:], there[:, -MOVES:], motion, frames)[1]


def _running(start, x, frames: int):
    """Running means `[b, t, d]` of x `[b, t, d]` after `start` `[b, d]`."""
    decay, t = np.exp(-1.0 / frames), x.shape[1]
    age = np.arange(t)[:, None] - np.arange(t)
    weights = np.where(age >= 0, (1.0 - decay) * decay ** np.maximum(age, 0), 0.0).astype(x.dtype)
    held = (decay ** np.arange(1, t + 1)).astype(x.dtype)
    summed = jnp.einsum("ts,bsd->btd", weights, x, precision=jax.lax.Precision.HIGHEST)
    return held[:, None] * start[:, None] + summed
