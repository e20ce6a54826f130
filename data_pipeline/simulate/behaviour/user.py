"""The user's face, and the events on it and in the voice that the avatar may react to.

Voice-only events leave no trace of their own on the face. A hum comes from closed lips in a face that goes on as it
was. A rising tone ends like any phrase. A hidden laugh falls into a turn of the head to the side, most of which hold no
laugh, and its smile is not seen. Gestures (GESTURES) are seen and not heard, whether the user talks or not. Each user
has a liveliness of their own (`Person.spread`): gestures and smiles are as large as the person is lively. All of them
lie in the restlessness of real faces (`footage`), read by an imperfect tracker (`tracking`).
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from afjax.codec.face.channels import CHANNELS, POSE, channel
from data_pipeline.simulate.behaviour import idle_motion
from data_pipeline.simulate.behaviour.footage import restless
from data_pipeline.simulate.behaviour.idle_motion import FPS
from data_pipeline.simulate.behaviour.person import BROWS, MOUTH, Person
from data_pipeline.simulate.behaviour.tracking import tracked
from data_pipeline.simulate.speech.dialogue import Placed

_AWAY = 45
GESTURES = ("user_nod", "head_shake", "lean", "broad_laugh", "raised_brows", "knit_brows", "look_back")
"""Causes that are only seen. `look_back`: eyes and head come back from where the user looked for a second or more."""
# share of a real face's restlessness that is no speech, smile, blink or gesture, which come on top
_RESTLESS = {"jaw_open": 0.5, "mouth_width": 0.35, "smile": 0.6, "upper_lip": 0.5, "blink": 0.5, "gaze_x": 0.5}
_RESTLESS |= {"gaze_y": 0.7, "yaw": 0.7, "tx": 0.7, "ty": 0.9, "roll": 0.9}


@dataclass(frozen=True)
class Smile:
    """A spontaneous smile of the user: onset frame and strength over time `[t]`."""

    onset: int
    envelope: np.ndarray


@dataclass(frozen=True)
class Event:
    """A cause for the avatar to react to: kind, frame, length in frames, size (1 = usual)."""

    kind: str
    frame: int
    length: float = 0.0
    strength: float = 1.0


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


def smiles(rng: np.random.Generator, shown: np.ndarray, gain: float = 1.0) -> list[Smile]:
    """Spontaneous smiles, one every three to six seconds, where the face is seen; `shown` `[t]`: how much it is."""
    frames = len(shown)
    drawn, at = [], rng.uniform(5.0, 90.0)
    while at < frames:
        rise, hold, fall = rng.uniform(6.0, 12.0), rng.uniform(6.0, 40.0), rng.uniform(9.0, 20.0)
        envelope = gain * rng.uniform(0.065, 0.14) * idle_motion.bump(frames, round(at), rise, hold, fall)
        onset = int(round(at))
        if onset < frames and shown[onset : onset + 18].min() > 0.95:
            drawn.append(Smile(onset, envelope * shown))
        at += rise + hold + fall + rng.uniform(15.0, 80.0)
    return drawn


def gesture(rng: np.random.Generator, kind: str, frames: int, at: float, strength: float) -> tuple[np.ndarray, float]:
    """Motion `[t, d]` of a gesture of GESTURES whose cause is at frame `at`, and its length in frames."""
    motion, bump = idle_motion.zeros(frames), idle_motion.bump
    if kind == "user_nod":
        periods = rng.choice((1.5, 2.0, 3.0))
        wave = strength * rng.uniform(5.0, 9.0) * idle_motion.nod(frames, at, periods)
        motion[:, channel("pitch")], motion[:, channel("ty")] = wave, 0.0012 * wave
        return motion, periods * idle_motion.NOD_PERIOD
    if kind == "head_shake":
        wave = rng.choice((-1.0, 1.0)) * strength * rng.uniform(7.0, 13.0) * idle_motion.nod(frames, at, 2.0)
        motion[:, channel("yaw")], motion[:, channel("tx")] = wave, 0.0012 * wave
        return motion, 2.0 * idle_motion.NOD_PERIOD
    if kind == "broad_laugh":
        length = rng.uniform(15.0, 45.0)
        return strength * idle_motion.laughing(frames, at, length), length
    if kind == "look_back":
        length = rng.uniform(30.0, 70.0)
        shape = rng.choice((-1.0, 1.0)) * bump(frames, at - length - 6.0, 6.0, length, 6.0)
        motion[:, channel("gaze_x")], motion[:, channel("yaw")] = 0.13 * shape, 14.0 * strength * shape
        return motion, length
    hold = rng.uniform(8.0, 40.0)
    if kind == "lean":
        motion[:, channel("scale")] = strength * rng.uniform(0.05, 0.08) * bump(frames, at, 10.0, hold, 15.0)
    elif kind == "raised_brows":
        motion[:, channel("brow_raise")] = strength * rng.uniform(0.055, 0.09) * bump(frames, at, 4.0, hold, 9.0)
    else:
        shape = strength * bump(frames, at, 5.0, hold, 10.0)
        motion[:, channel("brow_furrow")] = rng.uniform(0.022, 0.035) * shape
        motion[:, channel("brow_raise")] = -0.02 * shape
    return motion, hold


def _gestures(rng, shown: np.ndarray, person: Person) -> tuple[np.ndarray, list[Event]]:
    """Motion `[t, d]` and events of gestures, one every two to four seconds, where the face is seen."""
    frames = len(shown)
    motion, events = idle_motion.zeros(frames), []
    size = {"broad_laugh": "smile", "raised_brows": "brow_raise", "knit_brows": "brow_furrow", "head_shake": "yaw"}
    at = rng.uniform(15.0, 110.0)
    while at < frames:
        kind = GESTURES[rng.integers(len(GESTURES))]
        name = size.get(kind, "scale" if kind == "lean" else "pitch")
        strength = float(np.clip(person.spread[channel(name)], 0.6, 2.0) * rng.uniform(0.85, 1.15))
        made, length = gesture(rng, kind, frames, round(at), strength)
        if shown[int(at) : int(at) + 18].min() > 0.95:
            motion += made
            events.append(Event(kind, int(round(at)), length, strength))
        at += length + rng.uniform(15.0, 60.0)
    return motion, [event for event in events if event.frame < frames]


def _turned(rng, frames: int, items: list[Placed]) -> np.ndarray:
    """Turns of the head `[t]` in -1..1: around hidden laughs, and more often without a cause."""
    starts = [item.start * FPS - rng.uniform(6.0, 16.0) for item in items if item.role == "away_laugh"]
    at = rng.uniform(0.0, 300.0)
    while at < frames:
        if all(abs(at - start) > _AWAY + 25.0 for start in starts):
            starts.append(at)
        at += _AWAY + rng.uniform(80.0, 300.0)
    track = np.zeros(frames)
    for start in starts:
        side = rng.choice((-1.0, 1.0))
        track += side * rng.uniform(0.8, 1.1) * idle_motion.bump(frames, start, 8.0, _AWAY - 20.0, 12.0)
    return track


def face(
    rng: np.random.Generator, items: list[Placed], frames: int, person: Person
) -> tuple[np.ndarray, list[Smile], list[Event]]:
    """The user's motion `[t, d]` as a tracker would see it, with its spontaneous smiles and gestures."""
    talking = np.zeros(frames)
    for item in items:
        talking[int(item.start * FPS) : int(item.end * FPS)] = 1.0
    away = _turned(rng, frames, items)
    shown = 1.0 - 0.9 * np.clip(1.3 * np.abs(away), 0.0, 1.0)
    spread = dict(zip(CHANNELS, person.spread, strict=True))
    drawn = smiles(rng, shown, float(np.clip(spread["smile"], 0.4, 3.0)))
    motion = idle_motion.speech(rng, items, frames, person)
    motion += idle_motion.emphasis(items, frames)
    motion *= np.array([spread[name] * (1.3 if name in (*POSE, *BROWS) else 1.6) for name in CHANNELS])
    motion += restless(rng, frames, person.spread * [_RESTLESS.get(name, 1.0) for name in CHANNELS])
    motion += 0.7 * spread["gaze_x"] * idle_motion.gaze(rng, frames, 0.25 + 0.3 * gaussian_filter1d(talking, 5.0))
    motion += idle_motion.blinks(rng, frames, person.blink_seconds)
    for item in items:
        start, length = item.start * FPS, item.utterance.seconds * FPS
        if item.role == "laugh":
            size = np.clip(spread["smile"], 0.6, 2.2) * rng.uniform(0.8, 1.1)
            motion += size * idle_motion.laughing(frames, start - 2.0, length)
        elif item.role == "surprise":
            shape = np.clip(spread["brow_raise"], 0.6, 1.8) * idle_motion.bump(frames, start - 1.0, 5.0, 12.0, 12.0)
            motion[:, channel("brow_raise")] += 0.065 * shape
            motion[:, channel("jaw_open")] += 0.05 * shape
    motion[:, channel("yaw")] += 15.0 * float(np.clip(spread["yaw"], 0.6, 1.5)) * away
    motion[:, channel("tx")] += 0.015 * away
    for name in ("smile", *MOUTH):
        motion[:, channel(name)] *= shown
    made, events = _gestures(rng, shown, person)
    motion += made
    motion += idle_motion.smiling(sum((smile.envelope for smile in drawn), np.zeros(frames)))
    return tracked(rng, idle_motion.stretched(motion, 0.25, 0.15)), drawn, events
