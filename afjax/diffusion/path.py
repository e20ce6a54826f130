"""The straight path between motion and noise (rectified flow), with one level per token.

    x = (1 - level) * motion + level * noise          level in [0, 1], 1 = noise
    velocity = dx / dlevel = noise - motion           so motion = x - level * velocity

The level is the sigma of others; the paper's timestep t is 1 - level. `noise_level` broadcasts to the motion: pass `[b,
n, 1]` for one level per token.
"""

from jaxtyping import Float

from afjax.types import HostOrDevice, typed

Points = Float[HostOrDevice, "*any"]


@typed
def interpolate(motion: Points, noise: Points, noise_level: Float[HostOrDevice, "..."] | float) -> Points:
    """Point `[..., d]` of the path at `noise_level`, between motion and noise `[..., d]`."""
    return (1 - noise_level) * motion + noise_level * noise


@typed
def velocity(motion: Points, noise: Points) -> Points:
    """Target of the network `[..., d]`, for motion and noise `[..., d]`."""
    return noise - motion
