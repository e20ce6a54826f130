"""A slow mode of the pose: the way somebody sits shifts over half a minute, without a visible or audible cause.

Each channel follows a mean-reverting walk (Ornstein and Uhlenbeck) with the time constant tau, in frames, and mean 0,
low-passed with the time constant s = SETTLE so that the head glides into its posture. This is an autoregression with
the poles a = exp(-1 / tau) and b = exp(-1 / s):

    x[n] = (a + b) x[n-1] - a b x[n-2] + e[n]

    variance              var(e) (1 + a b) / ((1 - a b) (1 - a^2) (1 - b^2))
    autocorrelation [k]   (a^(k+1) (1 - b^2) - b^(k+1) (1 - a^2)) / ((a - b) (1 + a b))
"""

import numpy as np
from scipy.signal import lfilter

from afjax.codec.face.channels import channel
from data_pipeline.simulate.behaviour import idle_motion
from data_pipeline.simulate.behaviour.idle_motion import FPS

SETTLE = 12.0
DEVIATION = dict(yaw=3.5, roll=2.5, tx=0.012, ty=0.009, scale=0.012)
"""Standard deviation of the slow part of each channel, about that of its other motion."""
_WARM = 8.0


def walk(rng: np.random.Generator, frames: int, seconds: float) -> np.ndarray:
    """The walk `[t]` of the module's docstring, stationary with unit variance; `seconds`: its time constant."""
    a, b = np.exp(-1.0 / (FPS * seconds)), np.exp(-1.0 / SETTLE)
    warm = int(_WARM * FPS * seconds)
    power = (1.0 + a * b) / ((1.0 - a * b) * (1.0 - a**2) * (1.0 - b**2))
    raw = lfilter([1.0], [1.0, -(a + b), a * b], rng.standard_normal(frames + warm))
    return raw[warm:] / np.sqrt(power)


def posture(rng: np.random.Generator, frames: int, seconds: float) -> np.ndarray:
    """Motion `[t, d]` of a posture; `seconds`: its time constant, 0 = the head stays where it is."""
    motion = idle_motion.zeros(frames)
    if seconds:
        for name, deviation in DEVIATION.items():
            motion[:, channel(name)] = deviation * walk(rng, frames, seconds)
    return motion
