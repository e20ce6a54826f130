"""Restlessness of real faces, and motion that is as restless.

BANDS holds, per channel, the root mean square of its motion in four bands of frequency: the median over six clips of
people who talk or listen, tracked as a live camera is. `restless` draws motion with that spectrum: complex normal
coefficients whose deviation is flat within a band,

    x = irfft(z),    E|z[k]|^2 = T^2 / 4 * 2 (gain r_b)^2 / n_b,    n_b bins of the band that holds k

so that the expected mean square of a band is (gain r_b)^2. It lets the motion come and go over seconds, as people are
lively at times. Only these numbers are taken from footage; nothing of it is replayed.
"""

import numpy as np

from afjax.audio.framing import FPS
from afjax.codec.face.channels import CHANNELS
from data_pipeline.simulate.behaviour import idle_motion

EDGES = (0.5, 1.5, 4.0, 7.0)
"""Upper ends of the bands in Hz."""
BANDS = {
    "yaw": (3.5, 4.1, 1.7, 0.37),
    "pitch": (4.3, 1.9, 1.2, 0.34),
    "roll": (1.2, 1.4, 0.42, 0.088),
    "tx": (0.013, 0.015, 0.0047, 0.00069),
    "ty": (0.02, 0.0092, 0.004, 0.00075),
    "scale": (0.0088, 0.0065, 0.0049, 0.0015),
    "jaw_open": (0.045, 0.046, 0.045, 0.022),
    "mouth_width": (0.021, 0.016, 0.014, 0.006),
    "smile": (0.017, 0.018, 0.015, 0.008),
    "upper_lip": (0.0072, 0.0067, 0.0046, 0.0021),
    "brow_raise": (0.016, 0.014, 0.008, 0.0041),
    "brow_furrow": (0.0032, 0.0026, 0.0021, 0.0012),
    "blink": (0.058, 0.082, 0.1, 0.048),
    "gaze_x": (0.022, 0.025, 0.011, 0.0077),
    "gaze_y": (0.0084, 0.011, 0.012, 0.006),
}
"""Root mean square in each band, in units of the channel."""
_LIVELY = 0.45


def band_deviations(motion: np.ndarray) -> np.ndarray:
    """Root mean square `[4, d]` of motion `[t, d]` in each band, through a Hann window."""
    centred = motion - motion.mean(axis=0)
    weight = np.hanning(len(motion))[:, None] * np.sqrt(8.0 / 3.0)
    power = 2.0 * np.abs(np.fft.rfft(centred * weight, axis=0)) ** 2 / len(motion) ** 2
    return np.sqrt(np.stack([power[inside].sum(axis=0) for inside in _inside(len(motion))]))


def restless(rng: np.random.Generator, frames: int, gains: np.ndarray) -> np.ndarray:
    """Motion `[t, d]` without visible cause, with `gains` `[d]` times the deviations of real faces."""
    # a piece of a longer, periodic track, so that the end has nothing to do with the beginning
    length = 2 * frames
    shape = np.zeros((length // 2 + 1, len(CHANNELS)))
    for band, inside in enumerate(_inside(length)):
        rms = np.array([BANDS[name][band] for name in CHANNELS])
        shape[inside] = length / 2.0 * rms * np.sqrt(2.0 / max(inside.sum(), 1))
    parts = rng.standard_normal((2, *shape.shape)) * np.sqrt(0.5)
    track = np.fft.irfft((parts[0] + 1j * parts[1]) * shape, length, axis=0)[:frames]
    lively = np.exp(_LIVELY * idle_motion.smooth_noise(rng, frames, 30.0) - _LIVELY**2)
    return gains * lively[:, None] * track


def _inside(length: int) -> list[np.ndarray]:
    hz = np.fft.rfftfreq(length, 1.0 / FPS)
    lower = (0.0, *EDGES[:-1])
    return [(hz > 0) & (hz >= low) & (hz < high) for low, high in zip(lower, EDGES, strict=True)]
