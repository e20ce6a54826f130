"""Sync check: whether a voice belongs to a face, and how far the two are apart.

The mouth's speed m[t] (mean of |d/dt| of `jaw_open`, `mouth_width` and `upper_lip`, each over its deviation) is
correlated with the voice's loudness e[t] at every circular shift of all clips of a conversation, one behind the other:

  r[k] = corr(m[t + k], e[t]),    lag = argmax r[k] over |k| <= REACH,    z = (r[lag] - mean r) / sd r,

with mean and sd over |k| > 2 REACH, where sound and picture have nothing to do with each other. A positive lag is a
late mouth; lips move 0 to 7 frames before they are heard. The check is silent below CLEAR deviations, or LEAST frames.
docs/data.md tells what it finds and what it can't.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from afjax.audio.framing import FPS
from afjax.codec.face.channels import channel

REACH = 25
CLEAR = 5.0
LEAST = 175
EARLY, LATE = -10, 6
"""Most frames by which a mouth may be early or late."""
_MOUTH = [channel(name) for name in ("jaw_open", "mouth_width", "upper_lip")]


@dataclass(frozen=True)
class Sync:
    """Peak correlation `r`, its `lag` in frames, and by how many deviations it stands out."""

    r: float
    lag: int
    z: float

    @property
    def clear(self) -> bool:
        return self.z >= CLEAR

    @property
    def together(self) -> bool:
        return self.clear and EARLY <= self.lag <= LATE

    def __str__(self) -> str:
        return f"{1000 * self.lag // FPS:+d} ms" if self.clear else "can't tell"


def mouth_speed(motion: np.ndarray) -> np.ndarray:
    """The mouth's speed m `[t]` of `face` motion `[t, 15]`."""
    speed = np.abs(np.gradient(motion[:, _MOUTH].astype(np.float64), axis=0))
    return gaussian_filter1d((speed / (motion[:, _MOUTH].std(axis=0) + 1e-6)).mean(axis=1), 1.0)


def measure(mouth: np.ndarray, voice: np.ndarray) -> Sync:
    """Sync of a mouth's speed and a voice's loudness, both `[t]`."""
    if len(mouth) < LEAST or not np.ptp(mouth) or not np.ptp(voice):
        return Sync(0.0, 0, 0.0)
    tracks = (mouth, gaussian_filter1d(voice.astype(np.float64), 1.0))
    moving, heard = (np.fft.rfft((track - track.mean()) / track.std()) for track in tracks)
    curve = np.fft.irfft(moving * heard.conj(), len(mouth)) / len(mouth)
    near = np.r_[-REACH : REACH + 1]
    elsewhere = np.delete(curve, np.r_[-2 * REACH : 2 * REACH + 1])
    best = int(near[curve[near].argmax()])
    return Sync(float(curve[best]), best, float((curve[best] - elsewhere.mean()) / elsewhere.std()))


def fault(own: Mapping[str, Sync], other: Iterable[Sync]) -> str:
    """What is wrong with a conversation, or "".

    Args:
      own: sync of each role's face and voice; other: of one person's face and the other's voice.
    """
    for role, found in own.items():
        if found.clear and not found.together:
            return f"sound and picture of the {role} are {abs(found.lag) / FPS:.2f} s apart"
    if all(sync.together for sync in other) and not any(sync.clear for sync in own.values()):
        return "each voice moves the other one's mouth: are they swapped?"
    return ""
