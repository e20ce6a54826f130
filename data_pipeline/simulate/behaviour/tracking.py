"""Errors of a face tracker: noise, channels that leak into others, a rest that it has yet to learn, lost faces.

    read = (I + E) motion + rest_error exp(-t / tau) + noise

E holds the leaks of this camera and this face, for pairs of channels that trackers confuse: a stretched mouth reads as
a smile, a lowered head as lowered lids. A live tracker takes the first faces that it sees for the resting one, and errs
by as much as they were not at rest. Now and then the face is lost, and filled in as `FaceCodec` does; or it jumps for a
frame or two.
"""

import numpy as np

from afjax.audio.framing import FPS
from afjax.codec.face.channels import CHANNELS, channel, clamp
from afjax.codec.face.track.smoothing import BRIDGE, FADE, fill_gaps

# standard deviation of a tracker's noise on a still face, measured on webcam footage
_NOISE = dict(
    yaw=0.14, pitch=0.15, roll=0.09, tx=0.0004, ty=0.0004, scale=0.0008, jaw_open=0.0015, mouth_width=0.002,
    smile=0.0018, upper_lip=0.0009, brow_raise=0.0017, brow_furrow=0.001, blink=0.01, gaze_x=0.006, gaze_y=0.008,
)  # fmt: skip
# (into, from): mean and deviation over people
_LEAKS = {
    ("smile", "mouth_width"): (0.25, 0.2),
    ("smile", "jaw_open"): (0.0, 0.06),
    ("smile", "pitch"): (0.0, 0.001),
    ("mouth_width", "smile"): (0.0, 0.15),
    ("upper_lip", "smile"): (0.1, 0.1),
    ("upper_lip", "jaw_open"): (0.0, 0.06),
    ("jaw_open", "smile"): (0.0, 0.4),
    ("jaw_open", "pitch"): (0.0, 0.001),
    ("brow_raise", "pitch"): (0.0, 0.0015),
    ("brow_furrow", "brow_raise"): (0.0, 0.08),
    ("blink", "pitch"): (0.008, 0.008),
    ("blink", "smile"): (0.7, 0.7),
    ("gaze_x", "yaw"): (0.0, 0.002),
    ("gaze_y", "pitch"): (0.0, 0.002),
    ("pitch", "jaw_open"): (0.0, 10.0),
    ("pitch", "yaw"): (0.0, 0.1),
    ("roll", "yaw"): (0.0, 0.08),
}
_LOST_SECONDS, _JUMP_SECONDS = 45.0, 40.0


def noisy(rng: np.random.Generator, motion: np.ndarray, level: float) -> np.ndarray:
    """Adds `level` times a tracker's noise to motion `[t, d]`."""
    return motion + level * np.array([_NOISE[name] for name in CHANNELS]) * rng.standard_normal(motion.shape)


def tracked(rng: np.random.Generator, motion: np.ndarray) -> np.ndarray:
    """Motion `[t, d]` as a live camera's tracker reads it, with another camera and face per call."""
    frames = len(motion)
    read = motion.copy()
    for (into, source), (mean, deviation) in _LEAKS.items():
        read[:, channel(into)] += rng.normal(mean, deviation) * motion[:, channel(source)]
    wrong = 0.5 * read.std(axis=0) * rng.standard_normal(len(CHANNELS))
    read += wrong * np.exp(-np.arange(frames) / (FPS * rng.uniform(2.0, 15.0)))[:, None]
    for at in _times(rng, frames, _JUMP_SECONDS):
        read[at : at + rng.integers(1, 3)] += 2.0 * read.std(axis=0) * rng.standard_normal(len(CHANNELS))
    read[:, channel("blink")] = read[:, channel("blink")].clip(0.0)
    read = noisy(rng, read, np.exp(0.4 * rng.standard_normal()))
    found = np.ones(frames, bool)
    for at in _times(rng, frames, _LOST_SECONDS):
        found[at : at + int(rng.choice((rng.uniform(2, 12), rng.uniform(13, 75))))] = False
    found[0] = True
    return clamp(fill_gaps(read, found, round(BRIDGE * FPS), round(FADE * FPS)))


def _times(rng: np.random.Generator, frames: int, seconds: float):
    at = FPS * rng.exponential(seconds)
    while at < frames - 1:
        yield int(at)
        at += FPS * rng.exponential(seconds)
