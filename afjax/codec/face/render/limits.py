"""Limits within which the renderer follows each channel.

`lid_closure` bends the lids' closure b,

    b -> (1 + LIDS) b / (LIDS + b)

because painted lids that are half down are read as a quarter closed. Real lids that look half closed are read as nearly
half.

`shown` holds motion within limits: beyond them a warped portrait tears or looks like nobody. Motion is followed as it
is up to three quarters of a limit and then ever less, so that further motion is still seen,

    y = x                                   |x| <= k = 3/4 limit
    y = k + (limit - k) tanh((x - k) / (limit - k))      beyond, on either side of zero

Lids stop at closed. A mouth that the portrait shows open can close: its own gap comes on top of the jaw's limit. A
portrait's own smile is taken off the limit of the smile.
"""

import jax.numpy as jnp
import numpy as np

from afjax.codec.face.channels import CHANNELS, channel

__all__ = ["LIMITS", "lid_closure", "shown"]

LIMITS = {
    "yaw": (-32.0, 32.0),
    "pitch": (-22.0, 22.0),
    "roll": (-24.0, 24.0),
    "tx": (-0.10, 0.10),
    "ty": (-0.10, 0.10),
    "scale": (-0.12, 0.12),
    "jaw_open": (-0.05, 0.34),
    "mouth_width": (-0.16, 0.16),
    "smile": (-0.08, 0.18),
    "upper_lip": (-0.07, 0.08),
    "brow_raise": (-0.08, 0.14),
    "brow_furrow": (-0.06, 0.06),
    "blink": (0.0, 1.0),
    "gaze_x": (-0.20, 0.20),
    "gaze_y": (-0.13, 0.13),
}
_LOW, _HIGH = (np.array([LIMITS[name][side] for name in CHANNELS], np.float32) for side in (0, 1))
_KNEE = np.where(np.array(CHANNELS) == "blink", 1.0, 0.75).astype(np.float32)
_JAW, _SMILE = np.eye(len(CHANNELS), dtype=np.float32)[[channel("jaw_open"), channel("smile")]]
MOST_OF_A_SMILE = 0.12  # the most that is taken off: a portrait that laughs already still shows a third of a smile

LIDS = 1.5


def lid_closure(motion):
    """Motion `[..., d]` with the closure of the lids as it is drawn."""
    blink = jnp.clip(motion[..., channel("blink")], 0, 1)
    return motion.at[..., channel("blink")].set((1 + LIDS) * blink / (LIDS + blink))


def shown(motion, gap, smile):
    """Motion `[..., d]` as it is rendered of a portrait whose lips are `gap` apart and that smiles by `smile`.

    Both are in units of their channels.
    """
    high = _HIGH - _SMILE * jnp.minimum(smile, MOST_OF_A_SMILE)
    return jnp.where(motion > 0, _soft(motion, high), -_soft(-motion, _JAW * gap - _LOW))


def _soft(x, limit):
    knee = _KNEE * limit
    rest = jnp.maximum(limit - knee, 1e-6)
    return jnp.where(x > knee, knee + rest * jnp.tanh(jnp.maximum(x - knee, 0) / rest), x)
