"""The avatar as a listener: written rules from causes on the user's side to motions.

    cause          P     onset after the cause           motion                                      length
    nod           0.72   6 +- 1 frames                    pitch, 1.5 or 2 periods of 11 frames         0.7 .. 0.9 s
    hum           0.72   9 +- 1 (a hum lasts about 12)    head tilts to the right, faint smile         1 s
    rising_tone   0.75   6 +- 1                           brows up, a little nearer                    1 s
    hidden_laugh  0.85   10 +- 1                          laughs along                                 the laugh's
    laugh         0.80   9 +- 1                           laughs along, as broadly                     the laugh's
    surprise      0.75   8 +- 1                           brows up, jaw drops a little                 1 s
    interruption  0.66   12 +- 1                          stops, mouth shut, brows up, looks           1.2 s
    smile         0.82   the person's lag, 6 .. 14        mirrors the smile, smoother, hints left out  the smile's
    user_nod      0.85   14 +- 1 (past one period)        nods back                                    0.7 .. 0.9 s
    head_shake    0.75   13 +- 1                          brows knit, head tilts to the left           1.2 s
    lean          0.72   12 +- 1                          leans in, too                                the lean's
    broad_laugh   0.85   9 +- 1                           laughs along, as broadly                     the laugh's
    raised_brows  0.75   9 +- 1                           brows up                                     1 s
    knit_brows    0.75   10 +- 1                          brows knit, head down                        1.2 s
    look_back     0.72   9 +- 1                           brow flash                                   0.6 s

The rules' sources: nods at the ends of phrases and nods that answer nods (Duncan 1972; Hadar, Steiner and Rose
1985), laughter that spreads (Provine 1992), smiles and frowns that are mimicked (Hess and Blairy 2001; Chartrand and
Bargh 1999), postures that are shared (LaFrance 1979), faces of concern and surprise that take part in a story (Bavelas,
Coates and Johnson 2000), the brow flash of somebody who is looked at (Eibl-Eibesfeldt 1972), speakers who yield (Sacks,
Schegloff and Jefferson 1974). Probabilities, lags and sizes are ours.

Lags are counted in frames and tight, so that a reaction is locked to its cause. The avatar reacts less often (P times
0.85) and less strongly (times 0.7) while it speaks, except to an interruption.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from afjax.codec.face.channels import channel
from data_pipeline.simulate.behaviour import idle_motion
from data_pipeline.simulate.behaviour.person import Person
from data_pipeline.simulate.behaviour.user import Event, Smile

_WHILE_SPEAKING = 0.7
_RARER = 0.85
_NOD_REST = 24


@dataclass(frozen=True)
class Rule:
    """Chance of a reaction and the frames from the cause to its onset (+- 1)."""

    probability: float
    lag: int


RULES = {
    "nod": Rule(0.72, 6),
    "hum": Rule(0.72, 9),
    "rising_tone": Rule(0.75, 6),
    "hidden_laugh": Rule(0.85, 10),
    "laugh": Rule(0.8, 9),
    "surprise": Rule(0.75, 8),
    "interruption": Rule(0.66, 12),
    "user_nod": Rule(0.85, 14),
    "head_shake": Rule(0.75, 13),
    "lean": Rule(0.72, 12),
    "broad_laugh": Rule(0.85, 9),
    "raised_brows": Rule(0.75, 9),
    "knit_brows": Rule(0.75, 10),
    "look_back": Rule(0.72, 9),
}
_NODS = ("nod", "user_nod")
_MIRROR = 0.82
_HINT = 0.03
_INERTIA = 3.0  # frames, cut off at two of it: a face does not copy another frame by frame, nor before it


@dataclass(frozen=True)
class Reaction:
    """An event with the avatar's reaction; `onset` is the reaction's frame or -1."""

    event: Event
    onset: int = -1


def react(
    rng: np.random.Generator, events: list[Event], smiles: list[Smile], speaking: np.ndarray, person: Person
) -> tuple[np.ndarray, list[Reaction]]:
    """The reactions' motion `[t, d]` and, for every event and smile, whether and when the avatar reacted."""
    frames = len(speaking)
    motion = idle_motion.zeros(frames)
    reactions = []
    last_nod = -_NOD_REST
    for event in events:
        rule = RULES[event.kind]
        onset = event.frame + rule.lag + int(rng.integers(-1, 2))
        draw, busy = rng.random(), bool(speaking[min(onset, frames - 1)]) and event.kind != "interruption"
        # one nod has to end before the next begins
        free = event.kind not in _NODS or abs(onset - last_nod) >= _NOD_REST
        gesture = _gesture(rng, event, frames, onset, person)
        if onset >= frames or not free or draw >= rule.probability * (_RARER if busy else 1.0):
            reactions.append(Reaction(event))
            continue
        if event.kind in _NODS:
            last_nod = onset
        motion += (_WHILE_SPEAKING if busy else 1.0) * gesture
        reactions.append(Reaction(event, onset))
    mirrored, seen = _mirror(rng, smiles, speaking, person)
    return motion + mirrored, sorted(reactions + seen, key=lambda reaction: reaction.event.frame)


def _gesture(rng, event: Event, frames: int, onset: int, person: Person) -> np.ndarray:
    motion = idle_motion.zeros(frames)
    gain = person.react * rng.uniform(0.85, 1.15)
    if event.kind in _NODS:
        wave = person.nod * rng.uniform(0.85, 1.15) * idle_motion.nod(frames, onset, rng.choice((1.5, 2.0)))
        motion[:, channel("pitch")] = wave
        motion[:, channel("ty")] = 0.0012 * wave
    elif event.kind == "hum":
        shape = gain * idle_motion.bump(frames, onset, 5.0, 9.0, 10.0)
        motion[:, channel("roll")] = 5.5 * shape
        motion[:, channel("smile")] = 0.012 * shape
    elif event.kind == "rising_tone":
        shape = gain * idle_motion.bump(frames, onset, 5.0, 11.0, 9.0)
        motion[:, channel("brow_raise")] = 0.055 * shape
        motion[:, channel("scale")] = 0.015 * shape
    elif event.kind in ("laugh", "hidden_laugh", "broad_laugh"):
        # the bobs are locked to the reaction's onset
        size = gain * person.smile * event.strength
        motion = size * idle_motion.laughing(frames, onset, max(event.length - 6.0, 8.0))
    elif event.kind == "lean":
        motion[:, channel("scale")] = 0.045 * gain * idle_motion.bump(frames, onset, 10.0, event.length, 15.0)
    elif event.kind == "raised_brows":
        motion[:, channel("brow_raise")] = 0.06 * gain * idle_motion.bump(frames, onset, 4.0, 11.0, 10.0)
    elif event.kind in ("knit_brows", "head_shake"):
        shape = gain * idle_motion.bump(frames, onset, 5.0, 14.0, 11.0)
        motion[:, channel("brow_furrow")] = 0.035 * shape
        side = ("pitch", 2.5) if event.kind == "knit_brows" else ("roll", -4.0)
        motion[:, channel(side[0])] = side[1] * shape
    elif event.kind == "look_back":
        motion[:, channel("brow_raise")] = 0.055 * gain * idle_motion.bump(frames, onset, 4.0, 3.0, 8.0)
    elif event.kind == "surprise":
        shape = gain * idle_motion.bump(frames, onset, 4.0, 11.0, 10.0)
        motion[:, channel("brow_raise")] = 0.06 * shape
        motion[:, channel("jaw_open")] = 0.025 * shape
        motion[:, channel("pitch")] = -1.5 * shape
    elif event.kind == "interruption":
        shape = gain * idle_motion.bump(frames, onset, 5.0, 14.0, 12.0)
        motion[:, channel("brow_raise")] = 0.05 * shape
        motion[:, channel("scale")] = -0.04 * shape
        motion[:, channel("pitch")] = -2.5 * shape
    return motion


def _mirror(rng, smiles: list[Smile], speaking: np.ndarray, person: Person) -> tuple[np.ndarray, list[Reaction]]:
    """The user's smiles, mirrored `person.lag` frames later, and weaker while the avatar speaks."""
    frames = len(speaking)
    gate = 1.0 - (1.0 - _WHILE_SPEAKING) * gaussian_filter1d(speaking.astype(float), 4.0)
    envelope, seen = np.zeros(frames), []
    shift = int(round(person.lag))
    for smile in smiles:
        event = Event("smile", min(smile.onset, frames - 1))
        chance = _MIRROR * (_RARER if speaking[event.frame] else 1.0)
        strength = rng.uniform(0.85, 1.1)
        onset = smile.onset + shift
        if rng.random() >= chance or onset >= frames:
            seen.append(Reaction(event))
            continue
        envelope[shift:] += strength * answered(smile.envelope[: frames - shift])
        seen.append(Reaction(event, onset))
    return idle_motion.smiling(person.smile * gate * gaussian_filter1d(envelope, _INERTIA, truncate=2.0)), seen


def answered(smile: np.ndarray) -> np.ndarray:
    """Strength of the answer to a smile by the smile's strength: 0 for a hint of one, in proportion beyond.

    Lips that talk look like hints of smiles, to people and to trackers.
    """
    return 1.25 * np.maximum(smile - _HINT, 0.0)


def own_mood(rng: np.random.Generator, frames: int, speaking: np.ndarray, person: Person) -> np.ndarray:
    """Motion of the avatar without a cause: its own smiles, and looks away and back while it listens."""
    motion = idle_motion.zeros(frames)
    at = rng.uniform(20.0, 400.0)
    while at < frames:
        motion += idle_motion.smiling(
            rng.uniform(0.03, 0.07) * idle_motion.bump(frames, at, 10.0, rng.uniform(5.0, 25.0), 15.0)
        )
        at += rng.uniform(200.0, 500.0)
    motion[:, channel("smile")] += 0.006 * idle_motion.smooth_noise(rng, frames, 12.0)
    at = rng.uniform(20.0, 150.0)
    while at < frames:
        if not speaking[int(at)]:
            side = rng.choice((-1.0, 1.0))
            shape = side * idle_motion.bump(frames, at, 5.0, rng.uniform(8.0, 20.0), 7.0)
            motion[:, channel("gaze_x")] += 0.09 * shape
            motion[:, channel("yaw")] += 4.0 * person.head * gaussian_filter1d(shape, 3.0)
        at += rng.uniform(80.0, 220.0)
    return motion


def attend(motion: np.ndarray, reactions: list[Reaction]) -> np.ndarray:
    """Motion with eyes and head turned to a user who interrupts, and the mouth closed."""
    frames = len(motion)
    for reaction in reactions:
        if reaction.event.kind == "interruption" and reaction.onset >= 0:
            attentive = idle_motion.bump(frames, reaction.onset - 4, 5.0, 20.0, 12.0)
            for name in ("gaze_x", "gaze_y", "yaw"):
                motion[:, channel(name)] *= 1.0 - 0.85 * attentive
            motion[:, channel("jaw_open")] *= 1.0 - 0.8 * attentive
    return motion
