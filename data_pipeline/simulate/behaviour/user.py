"""The user's face, and the events on it and in the voice that the avatar may react to.

Voice-only events leave no trace of their own on the face: a hum comes from closed lips in a face that goes on as it
was; a rising tone ends like any phrase; a hidden laugh falls into a turn of the head to the side, of which most hold
no laugh, and the smile in it is not seen.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from afjax.codec.face.channels import channel
from data_pipeline.simulate.behaviour import idle_motion
from data_pipeline.simulate.behaviour.idle_motion import FPS
from data_pipeline.simulate.speech.dialogue import Placed

_AWAY = 45


@dataclass(frozen=True)
class Smile:
    """A spontaneous smile of the user: onset frame and strength over time `[T]`."""

    onset: int
    envelope: np.ndarray


@dataclass(frozen=True)
class Event:
    """What the avatar may react to: kind, frame of the cause, length of the cause in frames."""

    kind: str
    frame: int
    length: float = 0.0


def spoken_events(items: list[Placed]) -> list[Event]:
    """Events of the words and sounds, in order of time."""
    events = []
    for item in items:
        start, end = int(round(item.start * FPS)), int(round(item.end * FPS))
        length = item.utterance.seconds * FPS
        if item.role in ("hum", "laugh", "surprise", "interruption"):
            events.append(Event(item.role, start, length))
        elif item.role == "away_laugh":
            events.append(Event("hidden_laugh", start, length))
        if item.utterance.tone == "rising":
            events.append(Event("rising_tone", end))
        elif item.role in ("phrase", "interruption"):
            events.append(Event("nod", end))
        if item.utterance.emphasis_end > 0:
            events.append(Event("nod", int(round((item.start + item.utterance.emphasis_end) * FPS))))
    return sorted(events, key=lambda event: event.frame)


def smiles(rng: np.random.Generator, shown: np.ndarray) -> list[Smile]:
    """Spontaneous smiles, one every two to four seconds, where the face is seen; `shown` `[T]` is how much it is."""
    frames = len(shown)
    drawn, at = [], rng.uniform(5.0, 60.0)
    while at < frames:
        rise, hold, fall = rng.uniform(6.0, 9.0), rng.uniform(6.0, 26.0), rng.uniform(9.0, 16.0)
        envelope = rng.uniform(0.05, 0.1) * idle_motion.bump(frames, round(at), rise, hold, fall)
        onset = int(round(at))
        if onset < frames and shown[onset : onset + 18].min() > 0.95:
            drawn.append(Smile(onset, envelope * shown))
        at += rise + hold + fall + rng.uniform(10.0, 42.0)
    return drawn


def _turned(rng, frames: int, items: list[Placed]) -> np.ndarray:
    """Turns of the head `[T]` in -1..1: around hidden laughs, and more often without a cause."""
    starts = [item.start * FPS - rng.uniform(6.0, 16.0) for item in items if item.role == "away_laugh"]
    at = rng.uniform(0.0, 200.0)
    while at < frames:
        if all(abs(at - start) > _AWAY + 25.0 for start in starts):
            starts.append(at)
        at += _AWAY + rng.uniform(60.0, 200.0)
    track = np.zeros(frames)
    for start in starts:
        side = rng.choice((-1.0, 1.0))
        track += side * rng.uniform(0.8, 1.1) * idle_motion.bump(frames, start, 8.0, _AWAY - 20.0, 12.0)
    return track


def face(
    rng: np.random.Generator, items: list[Placed], frames: int, person: idle_motion.Person
) -> tuple[np.ndarray, list[Smile]]:
    """-> the user's motion `[T, D]` as a tracker would see it, and the spontaneous smiles on it."""
    talking = np.zeros(frames)
    for item in items:
        talking[int(item.start * FPS) : int(item.end * FPS)] = 1.0
    away = _turned(rng, frames, items)
    shown = 1.0 - 0.9 * np.clip(1.3 * np.abs(away), 0.0, 1.0)
    drawn = smiles(rng, shown)
    motion = idle_motion.wander(rng, frames, person)
    motion += idle_motion.speech(rng, items, frames, person)
    motion += idle_motion.emphasis(items, frames)
    motion += idle_motion.gaze(rng, frames, 0.25 + 0.3 * gaussian_filter1d(talking, 5.0))
    motion += idle_motion.blinks(rng, frames, person.blink_seconds)
    for item in items:
        start, length = item.start * FPS, item.utterance.seconds * FPS
        if item.role == "laugh":
            motion += rng.uniform(0.8, 1.1) * idle_motion.laughing(frames, start - 2.0, length)
        elif item.role == "surprise":
            shape = idle_motion.bump(frames, start - 1.0, 5.0, 12.0, 12.0)
            motion[:, channel("brow_raise")] += 0.065 * shape
            motion[:, channel("jaw_open")] += 0.03 * shape
    motion[:, channel("yaw")] += 17.0 * away
    motion[:, channel("tx")] += 0.015 * away
    for name in ("smile", "mouth_width", "jaw_open", "upper_lip"):
        motion[:, channel(name)] *= shown
    motion += idle_motion.smiling(sum((smile.envelope for smile in drawn), np.zeros(frames)))
    return idle_motion.measured(rng, idle_motion.stretched(motion), 1.0), drawn
