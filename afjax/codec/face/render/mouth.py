"""The painted inside of a mouth.

The lips have parted where neither the upper nor the lower layer of the face covers a pixel. The pixel's coordinates are
its distance under the upper lip's edge (`drop`) and above the lower lip's (`rise`), and `u` along the mouth, all in
half widths of the mouth. From front to back there are

  upper teeth    hang from the skull: a lip that rises shows more of them
  lower teeth    ride on the jaw; seen where the mouth is wide open
  tongue         rides on the jaw, behind the lower teeth
  flesh, throat  darker with the distance from the lips

all in the portrait's own light and colours (`Palette`).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

__all__ = ["Palette", "make_palette", "paint_mouth"]

THROAT = np.array([22.0, 8.0, 9.0])
FLESH = np.array([118.0, 48.0, 50.0])
TONGUE = np.array([182.0, 88.0, 90.0])
ENAMEL = np.array([232.0, 224.0, 211.0])
EVEN_SKIN = np.array([215.0, 175.0, 150.0])  # in plain light
UPPER_TEETH = np.array([0.0, 0.27, 0.46, 0.63, 0.77, 0.88, 0.97])  # their borders in u, from the middle outwards
LOWER_TEETH = np.array([0.0, 0.17, 0.35, 0.53, 0.68, 0.81, 0.92])
UPPER_LENGTH = np.array([1.0, 0.90, 0.95, 0.80, 0.68, 0.55])


class Palette(NamedTuple):
    """Colours `[3]` in 0..255 of a mouth's inside, and its teeth: 0 where the portrait shows its own, else 1."""

    throat: np.ndarray
    flesh: np.ndarray
    tongue: np.ndarray
    enamel: np.ndarray
    teeth: np.ndarray


def make_palette(skin: np.ndarray, lips: np.ndarray, between: np.ndarray, gap: float) -> Palette:
    """The palette for a portrait.

    Args:
      skin, lips, between: median colours `[3]` in 0..255 of skin, of lips, and between the lips.
      gap: distance between the lips, in half widths of the mouth. What is bright in it are the portrait's own teeth.
    """
    light = 0.5 * np.clip(skin / EVEN_SKIN, 0.35, 1.15) + 0.5 * np.clip(skin.max() / EVEN_SKIN.max(), 0.35, 1.1)
    # A grey or toned picture stays so: its light has one colour and so has all it falls on.
    colourful = np.clip((np.ptp(skin) / max(skin.max(), 1.0) - 0.03) / 0.12, 0, 1)
    grey = skin / max(skin.mean(), 1.0)

    def lit(colour):
        return light * colour * colourful + (light.mean() * colour.mean() * grey) * (1 - colourful)

    seen = np.clip((between.min() / max(skin.min(), 1.0) - 0.6) / 0.2, 0, 1) * np.clip((gap - 0.10) / 0.04, 0, 1)
    tongue = 0.65 * lit(TONGUE) + 0.35 * lips
    return Palette(
        *(np.clip(part, 0, 255) for part in (lit(THROAT), lit(FLESH), tongue, lit(ENAMEL))),
        1 - seen,
    )


def _ramp(x, low, high):
    t = jnp.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _tooth(x, borders):
    """For places x >= 0 along a row: which tooth, where in it (-1..1), and the distance to its nearer border."""
    which = jnp.clip((x[..., None] > borders[1:-1]).sum(-1), 0, len(borders) - 2)
    left, right = jnp.asarray(borders)[which], jnp.asarray(borders)[which + 1]
    within = jnp.clip((2 * x - left - right) / (right - left), -1.5, 1.5)
    return which, within, jnp.minimum(x - left, right - x)


def _over(colour, paint, share):
    return colour + share[..., None] * (paint - colour)


def paint_mouth(u, drop, rise, palette: Palette, lift):
    """Colours `[..., 3]` of the mouth's inside.

    Args:
      u, drop, rise: `[...]` as in the module's docstring.
      lift: how far the upper lip is raised, in half widths of the mouth.
    """
    gap = drop + rise
    x = jnp.abs(jnp.clip(u, -1, 1))
    depth = jnp.minimum(drop, rise)
    lit = 0.35 + 0.65 * _ramp(gap, 0.1, 0.9)
    flesh = 0.8 * jnp.exp(-depth / 0.16) * lit
    colour = jnp.asarray(palette.throat) + flesh[..., None] * (palette.flesh - palette.throat)

    top = 0.46 * (1 - (x / 0.80) ** 2) * _ramp(gap, 0.15, 0.7)
    dome = _ramp(top - rise, -0.04, 0.10)
    groove = 1 - 0.14 * jnp.exp(-((x / 0.06) ** 2)) * _ramp(rise, 0.0, 0.15)
    shade = groove * (0.55 + 0.45 * lit) * (1 - 0.55 * _ramp(rise / jnp.maximum(top, 0.05), 0.3, 1.0)) * (1 - 0.35 * x)
    colour = _over(colour, shade[..., None] * palette.tongue, dome)

    colour = _row(colour, x, rise, _ramp(gap, 0.35, 0.8) * 0.11, LOWER_TEETH, None, 0.70, palette, 0.72)
    length = jnp.clip(0.17 + lift, 0.08, 0.40)
    tall = 0.35 + 0.65 * _ramp(gap, 0.04, 0.30)
    colour = _row(colour, x, drop, length * tall, UPPER_TEETH, UPPER_LENGTH, 0.90, palette, 1.0)
    # The upper lip shades what is just behind it.
    return colour * (0.55 + 0.45 * _ramp(drop, 0.0, 0.09))[..., None]


def _row(colour, x, away, length, borders, lengths, end, palette: Palette, bright):
    """A row of teeth over `colour`: `away` from the lip they stand behind, `length` of the middle one."""
    which, within, border = _tooth(x, borders)
    tall = length * (1.0 if lengths is None else jnp.asarray(lengths)[which])
    # Rounded corners: the edge draws back near a tooth's borders.
    edge = tall * (1 - 0.16 * within**4)
    soft = 0.025
    cover = _ramp(edge - away, -soft, soft) * (1 - _ramp(x, end - 0.2, end)) * palette.teeth
    between = 1 - 0.20 * jnp.exp(-((border / 0.016) ** 2)) * (
        0.35 + 0.65 * _ramp(away / jnp.maximum(tall, 1e-3), 0.2, 1)
    )
    round_ = (1 - 0.06 * within**2) * (1 - 0.5 * x**2)
    tip = 0.90 + 0.10 * _ramp(away / jnp.maximum(tall, 1e-3), 0.0, 0.6)
    return _over(
        colour, (bright * between * round_ * tip)[..., None] * palette.enamel, cover * _ramp(length, 0.0, 0.05)
    )
