"""The painted inside of a mouth.

Where neither the upper nor the lower layer of the face covers a pixel, the lips have parted. Such a pixel is known by
how far it lies under the upper lip's edge (`drop`) and above the lower lip's (`rise`), and by `u` along the mouth, all
in half widths of the mouth. The upper teeth hang from the skull, the tongue rides on the jaw.
"""

import jax.numpy as jnp

__all__ = ["paint_mouth"]

THROAT = (26.0, 9.0, 10.0)
FLESH = (112.0, 44.0, 46.0)
TONGUE = (176.0, 86.0, 86.0)
ENAMEL = (226.0, 218.0, 206.0)


def _ramp(x, low, high):
    t = jnp.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def paint_mouth(u, drop, rise, light, teeth):
    """Colours `[..., 3]` of the mouth's inside.

    Args:
      u, drop, rise: `[...]` as in the module's docstring.
      light: `[3]` the portrait's skin brightness over that of an evenly lit one.
      teeth: scalar in [0, 1], 0 where the portrait shows teeth of its own.
    """
    gap = drop + rise
    x = jnp.clip(u, -1, 1)
    flesh = 0.55 * (1 - _ramp(rise, 0.0, 0.55))
    colour = jnp.array(THROAT) + flesh[..., None] * (jnp.array(FLESH) - jnp.array(THROAT))

    back = 0.34 * (1 - (x / 0.78) ** 2) * _ramp(gap, 0.12, 0.6)
    tongue = _ramp(back - rise, -0.05, 0.07)
    groove = 1 - 0.18 * jnp.exp(-((x / 0.07) ** 2))
    shade = (0.45 + 0.5 * _ramp(gap, 0.1, 0.9)) * groove * (1 - 0.35 * _ramp(rise, 0.1, 0.35))
    colour = colour + tongue[..., None] * (shade[..., None] * jnp.array(TONGUE) - colour)

    arch = 1 - 0.42 * x * x
    between = 1 - 0.10 * jnp.exp(-((((jnp.abs(x) * 5.2) % 1.0 - 0.5) / 0.07) ** 2))
    side = 1 - _ramp(jnp.abs(x), 0.45, 0.86)
    upper = _ramp(0.19 * arch - drop, -0.035, 0.035) * side * teeth * (0.25 + 0.75 * _ramp(gap, 0.05, 0.35))
    tone = between * (0.62 + 0.38 * _ramp(drop, 0.0, 0.10)) * (1 - 0.45 * jnp.abs(x) ** 1.5)
    colour = colour + (0.92 * upper)[..., None] * (tone[..., None] * jnp.array(ENAMEL) - colour)

    # The upper lip shades what is just behind it.
    shadow = 0.6 + 0.4 * _ramp(drop, 0.0, 0.08)
    return colour * shadow[..., None] * light
