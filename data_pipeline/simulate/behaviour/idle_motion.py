"""Motion of a face by itself: wander of the pose, the beat of speech, gaze, blinks, smiles.

Every function returns motion `[t, d]` in the channels of `afjax.codec.face.channels`, to be added up. Curves are
smooth at 25 fps: noise goes through a second-order low-pass, gestures are raised cosines.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from afjax.codec.face.channels import CHANNELS, channel
from data_pipeline.simulate.behaviour.person import Person
from data_pipeline.simulate.speech import visemes
from data_pipeline.simulate.speech.dialogue import Placed

FPS = 25
NOD_PERIOD = 11
_BLINK = np.array([0.25, 0.8, 1.0, 0.85, 0.5, 0.2])


def zeros(frames: int) -> np.ndarray:
    """Motion `[t, d]` of a face at rest."""
    return np.zeros((frames, len(CHANNELS)))


def smooth_noise(rng: np.random.Generator, frames: int, frames_per_radian: float) -> np.ndarray:
    """Unit-variance noise `[t]` through two equal poles of time constant `frames_per_radian`; stationary."""
    pole = np.exp(-1.0 / frames_per_radian)
    warm = int(8 * frames_per_radian) + 1
    raw = lfilter([1.0], [1.0, -2.0 * pole, pole * pole], rng.standard_normal(frames + warm))
    power = (1.0 + pole**2) / (1.0 - pole**2) ** 3
    return raw[warm:] / np.sqrt(power)


def bump(frames: int, onset: float, rise: float, hold: float, fall: float) -> np.ndarray:
    """A curve 0 .. 1 .. 0 with raised-cosine flanks; times in frames."""
    t = np.arange(frames) - onset
    up = np.clip(t / rise, 0.0, 1.0)
    down = np.clip((t - rise - hold) / fall, 0.0, 1.0)
    return (0.5 - 0.5 * np.cos(np.pi * up)) * (0.5 + 0.5 * np.cos(np.pi * down))


def nod(frames: int, onset: float, periods: float) -> np.ndarray:
    """Pitch of one nod, first down: sin of period NOD_PERIOD, fixed phase at the onset, faded over the last period."""
    t = np.arange(frames) - onset
    length = periods * NOD_PERIOD
    inside = (t >= 0) & (t <= length)
    fade = np.clip((length - t) / NOD_PERIOD, 0.0, 1.0) ** 0.5
    return np.where(inside, fade * np.sin(2.0 * np.pi * t / NOD_PERIOD), 0.0)


def wander(rng: np.random.Generator, frames: int, person: Person) -> np.ndarray:
    """Slow drift of pose and mood around rest, which is zero."""
    motion = zeros(frames)
    scales = dict(yaw=2.6, pitch=1.3, roll=1.1, tx=0.005, ty=0.004, scale=0.006, mouth_width=0.006, brow_raise=0.004)
    for name, sd in scales.items():
        motion[:, channel(name)] += person.head * sd * smooth_noise(rng, frames, 14.0)
    motion[:, channel("brow_furrow")] += 0.006 * smooth_noise(rng, frames, 12.0)
    # turning the head moves its centre too
    motion[:, channel("tx")] += 0.0012 * motion[:, channel("yaw")]
    motion[:, channel("ty")] += 0.0012 * motion[:, channel("pitch")]
    return motion


def speech(rng: np.random.Generator, items: list[Placed], frames: int, person: Person) -> np.ndarray:
    """Motion of speech: lips, and the head and brows that beat with stressed syllables."""
    motion = zeros(frames)
    lips = visemes.track([(item.start, item.utterance) for item in items], frames, person.lips)
    for column, name in enumerate(("jaw_open", "mouth_width", "upper_lip")):
        motion[:, channel(name)] = lips[:, column]
    active = np.zeros(frames)
    for item in items:
        if item.role in ("hum", "laugh", "away_laugh"):
            continue
        active[int(item.start * FPS) : int(item.end * FPS)] = 1.0
        for at in item.utterance.starts[item.utterance.stressed]:
            if rng.random() < 0.5:
                beat = bump(frames, (item.start + at) * FPS - 3.0, 4.0, 0.0, 7.0) * rng.uniform(0.3, 1.0)
                motion[:, channel("pitch")] += 1.6 * person.head * beat
                motion[:, channel("brow_raise")] += 0.009 * beat
    active = gaussian_filter1d(active, 4.0)
    for name, sd, speed in (("yaw", 1.5, 5.0), ("pitch", 0.6, 5.0), ("roll", 0.8, 5.0), ("ty", 0.002, 5.0)):
        motion[:, channel(name)] += person.head * sd * active * smooth_noise(rng, frames, speed)
    return motion


def emphasis(items: list[Placed], frames: int) -> np.ndarray:
    """The speaker's own beat on an emphasised word."""
    motion = zeros(frames)
    for item in items:
        if item.utterance.emphasis_end > 0:
            beat = bump(frames, (item.start + item.utterance.emphasis_end) * FPS - 9.0, 4.0, 1.0, 6.0)
            motion[:, channel("pitch")] += 3.0 * beat
            motion[:, channel("brow_raise")] += 0.02 * beat
    return motion


def laughing(frames: int, onset: float, length: float, period: float = 5.0) -> np.ndarray:
    """A laughing face of unit gain: broad smile, open mouth, narrowed eyes, the head bobs."""
    motion = zeros(frames)
    shape = bump(frames, onset, 5.0, length, 14.0)
    bobs = shape * np.sin(2.0 * np.pi * (np.arange(frames) - onset) / period)
    motion[:, channel("smile")] = 0.14 * shape
    motion[:, channel("mouth_width")] = 0.04 * shape
    motion[:, channel("blink")] = 0.3 * shape
    motion[:, channel("jaw_open")] = 0.11 * shape + 0.015 * bobs
    motion[:, channel("upper_lip")] = 0.015 * shape
    motion[:, channel("pitch")] = -1.5 * shape + bobs
    return motion


def smiling(envelope: np.ndarray) -> np.ndarray:
    """Motion of a smile whose strength over time is `envelope` `[t]`, in units of the smile channel."""
    motion = zeros(len(envelope))
    motion[:, channel("smile")] = envelope
    motion[:, channel("mouth_width")] = 0.25 * envelope
    motion[:, channel("upper_lip")] = 0.1 * envelope
    motion[:, channel("blink")] = np.minimum(0.8 * envelope, 0.2)
    return motion


def stretched(motion: np.ndarray, free: float = 0.16, rest: float = 0.1) -> np.ndarray:
    """Motion with limited smiles: they stretch the lips less and less beyond `free`, to `free + rest` at most."""
    smile = motion[:, channel("smile")]
    motion[:, channel("smile")] = np.where(smile > free, free + rest * np.tanh((smile - free) / rest), smile)
    return motion


def gaze(rng: np.random.Generator, frames: int, averted: np.ndarray) -> np.ndarray:
    """Gaze with fixations of 0.6 .. 2.4 s; `averted` `[t]` is the chance that one is not on the partner."""
    motion = zeros(frames)
    target = np.zeros((frames, 2))
    start = 0
    while start < frames:
        stop = start + int(FPS * rng.uniform(0.6, 2.4))
        away = rng.random() < averted[start]
        spread = np.array([0.06, 0.03]) if away else np.array([0.008, 0.006])
        target[start:stop] = spread * rng.standard_normal(2)
        start = stop
    eyes = gaussian_filter1d(target, 0.8, axis=0)
    motion[:, channel("gaze_x")], motion[:, channel("gaze_y")] = eyes.T
    # the head follows the eyes, later and less
    motion[:, channel("yaw")] = 22.0 * gaussian_filter1d(np.roll(target[:, 0], 3), 5.0)
    return motion


def blinks(rng: np.random.Generator, frames: int, seconds: float) -> np.ndarray:
    """Blinks about every `seconds`, six frames each."""
    motion = zeros(frames)
    at = FPS * rng.exponential(seconds)
    while at < frames - len(_BLINK):
        motion[int(at) : int(at) + len(_BLINK), channel("blink")] += _BLINK
        at += len(_BLINK) + FPS * (0.4 + rng.exponential(seconds))
    return motion
