"""Event response: how much more often the avatar reacts when the user gives it a reason to.

    response = P(reaction within 1 s | event) - P(reaction within 1 s | no event of this kind within 1 s)

A reaction is read from the avatar's motion alone, by one detector per kind of event (EVENTS). `strength` says for every
frame t how strong the reaction in the second after t is. It counts as one above the detector's threshold:

    rise   max s[t+1 .. t+25] - s[t],                               s = mean of 5 frames of the channel
    fall   the same for -s
    nod    max a[t+8 .. t+25],                                      a[t] = 2 |sum_k w[k] p[t+k] exp(-2 pi i k / 11)|

p is the pitch and w a Hann window of 22 frames that sums to 1: a is the amplitude of an oscillation of 11 frames
around t, and blind to a constant. Thresholds are in raw channel units, at about half of a usual reaction.

The second term uses every admissible frame of the clip, the limit of drawing more and more random times, so that
the metric needs no random numbers. Events too near the clip's end to leave a second are not counted. A face that
always reacts scores 1, a still face 0, one that reacts at random times about 0; a face that is busier without
events than after them scores below 0.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from afjax.codec.face.channels import CHANNELS, channel

WITHIN = 25
"""Frames in which a reaction has to come."""

_SMOOTH = 5
_NOD_PERIOD = 11
_NOD_WINDOW = 22
_NOD_FIRST = 8


@dataclass(frozen=True)
class Detector:
    """The channel a reaction is read from, its shape (rise, fall or nod) and the strength above which it is one."""

    channel: str
    shape: str
    threshold: float


EVENTS = {
    "smile": Detector("smile", "rise", 0.025),
    "nod": Detector("pitch", "nod", 1.6),
    "hum": Detector("roll", "rise", 2.5),
    "rising_tone": Detector("brow_raise", "rise", 0.022),
    "hidden_laugh": Detector("smile", "rise", 0.03),
    "surprise": Detector("brow_raise", "rise", 0.025),
    "interruption": Detector("scale", "fall", 0.018),
    "laugh": Detector("smile", "rise", 0.03),
    "user_nod": Detector("pitch", "nod", 1.6),
    "head_shake": Detector("brow_furrow", "rise", 0.016),
    "lean": Detector("scale", "rise", 0.02),
    "broad_laugh": Detector("smile", "rise", 0.03),
    "raised_brows": Detector("brow_raise", "rise", 0.025),
    "knit_brows": Detector("brow_furrow", "rise", 0.016),
    "look_back": Detector("brow_raise", "rise", 0.022),
}
"""Kinds of events on the user's side, and the detector of the avatar's reaction to each."""

VOICE_ONLY = ("hum", "rising_tone", "hidden_laugh")
"""Kinds that the user's face does not show."""


class Counts(NamedTuple):
    """Counts of one kind in one clip.

    Attributes:
      hits: events with a reaction.
      events: events.
      idle_hits: frames far from events that a reaction follows.
      idle_frames: frames far from events.
    """

    hits: float
    events: float
    idle_hits: float
    idle_frames: float


def strength(motion, kind: str) -> np.ndarray:
    """Motion `[t, d]` in raw units -> `[max(t - 25, 0)]`: how strong a reaction of this kind follows frame t."""
    detector = EVENTS[kind]
    track = np.asarray(motion, np.float64)
    if track.ndim != 2 or track.shape[1] != len(CHANNELS):
        raise ValueError(f"motion must be [T, {len(CHANNELS)}], got {track.shape}")
    track = track[:, channel(detector.channel)]
    if len(track) <= WITHIN:
        return np.zeros(0)
    if detector.shape == "nod":
        return _ahead(_oscillation(track), _NOD_FIRST).max(axis=1)
    padded = np.pad(track, (_SMOOTH // 2, _SMOOTH // 2), mode="edge")
    smooth = np.convolve(padded, np.full(_SMOOTH, 1.0 / _SMOOTH), mode="valid")
    if detector.shape == "fall":
        smooth = -smooth
    return _ahead(smooth, 1).max(axis=1) - smooth[:-WITHIN]


def reacts(motion, kind: str) -> np.ndarray:
    """Motion `[t, d]` in raw units -> bool `[max(t - 25, 0)]`: does a reaction of this kind follow frame t?"""
    return strength(motion, kind) > EVENTS[kind].threshold


def causes(frames: int, event_frames) -> tuple[np.ndarray, np.ndarray]:
    """Event frames `[e]` of a clip with a second after them, and a mask `[frames]` of frames far from all events.

    `frames`: t - 25, the frames of the clip with a second after them. Far means that no event lies within a second.
    """
    event_frames = np.asarray(event_frames, int)
    near = np.zeros(frames, bool)
    for frame in event_frames:
        near[max(frame - WITHIN, 0) : frame + WITHIN + 1] = True
    return event_frames[(event_frames >= 0) & (event_frames < frames)], ~near


def _ahead(track: np.ndarray, first: int) -> np.ndarray:
    """Row t holds `track[t + first .. t + WITHIN]`."""
    return np.lib.stride_tricks.sliding_window_view(track[first:], WITHIN + 1 - first)[: len(track) - WITHIN]


def _oscillation(track: np.ndarray) -> np.ndarray:
    """Amplitude `[t]` of the oscillation with the nod's period around each frame."""
    k = np.arange(_NOD_WINDOW) - _NOD_WINDOW // 2
    window = (0.5 + 0.5 * np.cos(2.0 * np.pi * k / _NOD_WINDOW)) / (_NOD_WINDOW / 2)
    kernel = 2.0 * window * np.exp(-2j * np.pi * k / _NOD_PERIOD)
    padded = np.pad(track, (_NOD_WINDOW // 2, _NOD_WINDOW // 2 - 1), mode="edge")
    return np.abs(np.lib.stride_tricks.sliding_window_view(padded, _NOD_WINDOW) @ kernel)


def event_counts(motion, event_frames, kind: str) -> Counts:
    """Counts of one clip: motion `[t, d]`, frames of the user's events of this kind `[e]`."""
    hit = reacts(motion, kind)
    seen, idle = causes(len(hit), event_frames)
    return Counts(float(hit[seen].sum()), float(len(seen)), float((hit & idle).sum()), float(idle.sum()))


def event_response(counts: dict[str, np.ndarray]) -> np.ndarray:
    """{kind: Counts as an array `[..., n, 4]` over n clips} -> response `[...]`, pooled over clips and kinds.

    Each kind has its own rate without events; kinds are weighed by their numbers of events. Leading axes let a
    bootstrap over clips pass all of its draws at once. No events at all give nan.
    """
    hits = chance = events = 0.0
    for table in counts.values():
        total = np.asarray(table, np.float64).sum(axis=-2)
        idle = total[..., 2] / np.where(total[..., 3] > 0, total[..., 3], 1.0)
        hits, events = hits + total[..., 0], events + total[..., 1]
        chance = chance + total[..., 1] * idle
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(events > 0, (hits - chance) / events, np.nan)
