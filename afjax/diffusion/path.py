"""The straight path between motion and noise, with one level a token.

    x = (1 - level) * motion + level * noise          level in [0, 1], 1 = noise
    velocity = dx / dlevel = noise - motion           so motion = x - level * velocity

`level` broadcasts to the motion: pass [b, n, 1] for one level a token.
"""


def interpolate(motion, noise, level):
    """Point of the path at `level`."""
    return (1 - level) * motion + level * noise


def velocity(motion, noise):
    """Target of the network."""
    return noise - motion
