"""Lips from phonemes: 15 mouth shapes, smeared into each other as speech does.

    target(t) = shape of the phoneme at t                          100 per second
    mouth     = gain * G(45 ms) * target, weighed by loudness      G(s): Gaussian of standard deviation s
    jaw      *= 1 - closed,   closed = min(1, 1.5 G(20 ms) * [t in p b m])

The last line closes the lips on p, b and m, however short and whatever their neighbours.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from afjax.audio.framing import FPS, RATE
from data_pipeline.simulate.speech.synthesis import Utterance

_STEPS = 100

# class: jaw_open, mouth_width, upper_lip
SHAPES = {
    "sil": (0.0, 0.0, 0.0),
    "PP": (0.0, -0.01, -0.006),
    "FF": (0.015, 0.012, 0.02),
    "TH": (0.035, 0.01, 0.005),
    "DD": (0.035, 0.01, 0.002),
    "kk": (0.05, 0.005, 0.002),
    "CH": (0.04, -0.045, 0.02),
    "SS": (0.02, 0.03, 0.006),
    "nn": (0.035, 0.01, 0.002),
    "RR": (0.04, -0.03, 0.006),
    "aa": (0.135, 0.01, 0.01),
    "E": (0.09, 0.04, 0.009),
    "ih": (0.055, 0.055, 0.006),
    "oh": (0.1, -0.045, 0.006),
    "ou": (0.045, -0.075, 0.0),
}

_CONSONANTS = {
    "PP": "p b m",
    "FF": "f v",
    "TH": "T D",
    "DD": "t d t# t[",
    "kk": "k g N h x ; ?",
    "CH": "tS dZ S Z j",
    "SS": "s z",
    "nn": "n l @L n- l-",
    "RR": "r r- w",
}
_VOWELS = {
    "aa": ("aa",),
    "a": ("aa",),
    "a#": ("aa",),
    "A": ("aa",),
    "V": ("aa",),
    "0": ("oh",),
    "O": ("oh",),
    "o": ("oh", "ou"),
    "E": ("E",),
    "e": ("E", "ih"),
    "3": ("E",),
    "@": ("E", "ih"),
    "I": ("ih",),
    "i": ("ih",),
    "u": ("ou",),
    "U": ("ou",),
    "aI": ("aa", "ih"),
    "aU": ("aa", "ou"),
    "eI": ("E", "ih"),
    "oU": ("oh", "ou"),
    "OI": ("oh", "ih"),
}
_CLASS = {name: (kind,) for kind, names in _CONSONANTS.items() for name in names.split()}


def classes(phoneme: str) -> tuple[str, ...]:
    """Mouth shapes of an espeak-ng phoneme, two for a glide: "aI" -> ("aa", "ih"). Unknown ones are weak vowels."""
    if phoneme in _CLASS:
        return _CLASS[phoneme]
    for length in (2, 1):
        if phoneme[:length] in _VOWELS:
            return _VOWELS[phoneme[:length]]
    return ("ih",)


def track(items: list[tuple[float, Utterance]], frames: int, gains: np.ndarray) -> np.ndarray:
    """jaw_open, mouth_width, upper_lip `[frames, 3]` of (start in seconds, utterance); `gains` `[3]` of the person.

    Frame n is taken at its middle, (n + 1/2) / 25 s.
    """
    count = frames * _STEPS // FPS
    target = np.zeros((count, 3))
    closed = np.zeros(count)
    for start, utterance in items:
        loud = _loudness(utterance)
        for name, low, high in zip(utterance.names, utterance.starts, utterance.ends, strict=True):
            kinds = classes(name)
            edges = np.linspace(start + low, start + high, len(kinds) + 1)
            for kind, left, right in zip(kinds, edges[:-1], edges[1:], strict=True):
                first, last = (int(round(edge * _STEPS)) for edge in (left, right))
                inside = np.arange(max(first, 0), min(max(last, first + 1), count))
                at = np.clip(inside - int(round(start * _STEPS)), 0, len(loud) - 1)
                target[inside] = np.array(SHAPES[kind]) * loud[at, None]
                closed[inside] = float(kind == "PP")
    mouth = gaussian_filter1d(target, 0.045 * _STEPS, axis=0, mode="constant")
    shut = np.minimum(1.0, 1.5 * gaussian_filter1d(closed, 0.02 * _STEPS, mode="constant"))
    mouth[:, 0] *= 1.0 - shut
    middle = ((np.arange(frames) + 0.5) * _STEPS / FPS).astype(int)
    return mouth[middle] * gains


def _loudness(utterance: Utterance) -> np.ndarray:
    """Weight 0.15 .. 1.15 per hundredth of a second: louder syllables open wider, as in real speech."""
    hop = RATE // _STEPS
    count = -(-len(utterance.wave) // hop)
    power = np.square(np.pad(utterance.wave, (0, count * hop - len(utterance.wave)))).reshape(count, hop).mean(axis=1)
    level = np.sqrt(gaussian_filter1d(power, 5.0, mode="constant"))
    return 0.15 + np.clip(level / (np.percentile(level, 90) + 1e-6), 0.0, 1.0)
