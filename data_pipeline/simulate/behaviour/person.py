"""A simulated person: temperament, liveliness, and how strongly each channel moves."""

from dataclasses import dataclass

import numpy as np

from afjax.codec.face.channels import CHANNELS, POSE

MOUTH = ("jaw_open", "mouth_width", "upper_lip")
BROWS = ("brow_raise", "brow_furrow")
_GROUPS = (POSE, MOUTH, ("smile",), BROWS, ("blink", "gaze_x", "gaze_y"))
_COMMON, _GROUP, _CHANNEL = 0.4, 0.5, 0.45  # deviations of the logarithm of a person's spread
_MOST = 2.0


@dataclass(frozen=True)
class Person:
    """Traits of one person in one conversation.

    Attributes:
      lips: gains `[3]` of jaw, width and upper lip in speech; head, smile, react: gains.
      nod: amplitude in degrees; lag: delay of an answered smile in frames; blink_seconds: between two blinks.
      spread: size of each channel's motion `[d]` relative to people in general (`restless`), 1 = equal.
    """

    lips: np.ndarray
    head: float
    smile: float
    nod: float
    react: float
    lag: float
    blink_seconds: float
    spread: np.ndarray


def sample_person(rng: np.random.Generator) -> Person:
    """A random person, from hardly moving to exaggerating."""
    return Person(
        lips=1.8 * np.exp(0.25 * _normal(rng)) * rng.uniform(0.85, 1.2, 3),
        head=1.25 * np.exp(0.3 * _normal(rng)),
        smile=rng.uniform(0.8, 1.1),
        nod=rng.uniform(4.5, 6.5),
        react=rng.uniform(0.9, 1.15),
        lag=float(np.clip(rng.normal(10.0, 1.2), 6.0, 14.0)),
        blink_seconds=rng.uniform(2.5, 5.0),
        spread=_spread(rng),
    )


def _spread(rng: np.random.Generator) -> np.ndarray:
    """Log-normal gains: one factor per person, one per group of channels, one per channel."""
    log = np.full(len(CHANNELS), _COMMON * _normal(rng))
    for group in _GROUPS:
        log[np.isin(CHANNELS, group)] += _GROUP * _normal(rng)
    return np.exp(log + _CHANNEL * _normal(rng, len(CHANNELS)))


def _normal(rng: np.random.Generator, size: int | None = None):
    return np.clip(rng.standard_normal(size), -_MOST, _MOST)
