"""A whole simulated conversation from a seed.

It draws from independent random streams, one per purpose (children of the seed): `turns`, `people`, `user_words`,
`avatar_words`, `user_room`, `avatar_room`, `user_face`, `avatar_face`, `user_posture`, `avatar_posture`. Only
`avatar_face` and `avatar_posture` depend on `private`. Simulating a seed again with another `private` therefore gives
the same two voices, the same user and the same causes, but an avatar that might as well have happened: the oracle, the
best that can be expected of any model.
"""

import numpy as np

from afjax.audio.framing import FPS, RATE
from afjax.codec.face.channels import CHANNELS, POSE, clamp
from data_pipeline.records import EXTRACTOR
from data_pipeline.schema import EVENT_KINDS, Conversation
from data_pipeline.simulate import augment
from data_pipeline.simulate.behaviour import idle_motion, listener, user
from data_pipeline.simulate.behaviour.footage import restless
from data_pipeline.simulate.behaviour.person import BROWS, Person, sample_person
from data_pipeline.simulate.behaviour.posture import posture
from data_pipeline.simulate.behaviour.tracking import noisy
from data_pipeline.simulate.speech import dialogue
from data_pipeline.simulate.speech.sentences import SPLITS
from data_pipeline.simulate.speech.synthesis import Speaker, sample_voice

_STREAMS = (
    "turns",
    "people",
    "user_words",
    "avatar_words",
    "user_room",
    "avatar_room",
    "user_face",
    "avatar_face",
    "user_posture",
    "avatar_posture",
)
_AVATAR_RESTLESS = 0.15  # relative to real faces: an avatar that fidgets as much can not be seen to listen
_PRIVATE = ("avatar_face", "avatar_posture")


def streams(seed: int, split: str, private: int) -> dict[str, np.random.Generator]:
    """One generator per purpose; only those of the avatar's motion depend on `private`."""
    made = {}
    for index, name in enumerate(_STREAMS):
        key = (SPLITS.index(split), index) + ((private,) if name in _PRIVATE else ())
        made[name] = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
    return made


def simulate(
    seed: int,
    split: str,
    speaker: Speaker,
    seconds: float = 20.0,
    private: int = 0,
    oracle: int | None = None,
    slow_posture: float = 0.0,
    sound: bool = False,
    style: dialogue.Style | None = None,
) -> Conversation:
    """Simulates `seconds` of a conversation of the split `train` or `eval`.

    `oracle`: private stream under which the avatar is simulated a second time; the record then keeps the sound, as it
    does with `sound`. `slow_posture`: time constant in seconds of the walk of both heads
    (`simulate.behaviour.posture`), 0 = none. `style`: who talks how long; None: one of the split's.
    """
    rng = streams(seed, split, private)
    frames = int(round(seconds * FPS))
    voices = {side: sample_voice(rng["people"], split) for side in ("user", "avatar")}
    people = {side: sample_person(rng["people"]) for side in ("user", "avatar")}
    sides = {side: dialogue.Side(rng[f"{side}_words"], split, voices[side], speaker) for side in ("user", "avatar")}
    style = style or dialogue.sample_style(rng["turns"], split)
    said = dict(
        zip(
            ("user", "avatar"),
            dialogue.converse(rng["turns"], sides["user"], sides["avatar"], style, seconds),
            strict=True,
        )
    )
    speaking = {side: dialogue.speaking(items, frames, FPS) for side, items in said.items()}
    mixed = {side: dialogue.mix(items, seconds, RATE) for side, items in said.items()}
    recorded = {
        "user": augment.record(mixed["user"], rng["user_room"], mixed["avatar"]),
        "avatar": augment.record(mixed["avatar"], rng["avatar_room"]),
    }
    audio = {side: np.round(32767.0 * wave).astype(np.int16) for side, wave in recorded.items()}
    features = {
        side: EXTRACTOR.clip(wave / np.float32(32768.0), frames).astype(np.float16) for side, wave in audio.items()
    }
    user_motion, smiles, gestures = user.face(rng["user_face"], said["user"], frames, people["user"])
    user_motion = user_motion + posture(rng["user_posture"], frames, slow_posture)
    causes = [event for event in user.spoken_events(said["user"]) if event.frame < frames] + gestures
    causes.sort(key=lambda event: event.frame)

    def avatar(rng):
        face, seen = _avatar(rng["avatar_face"], causes, smiles, said["avatar"], speaking["avatar"], people["avatar"])
        return face + posture(rng["avatar_posture"], frames, slow_posture), seen

    motion, reacted = avatar(rng)
    other = None if oracle is None else avatar(streams(seed, split, oracle))[0]
    kept = sound or oracle is not None
    return Conversation(
        avatar_motion=_stored(motion),
        user_motion=_stored(user_motion),
        avatar_features=features["avatar"],
        user_features=features["user"],
        avatar_speaking=speaking["avatar"],
        user_speaking=speaking["user"],
        event_kind=np.array([EVENT_KINDS.index(item.event.kind) for item in reacted], np.int32),
        event_frame=np.array([item.event.frame for item in reacted], np.int32),
        event_responded=np.array([item.onset >= 0 for item in reacted], bool),
        event_response=np.array([item.onset for item in reacted], np.int32),
        seed=seed,
        avatar_voice=voices["avatar"].name,
        user_voice=voices["user"].name,
        avatar_oracle=None if other is None else _stored(other),
        avatar_wave=audio["avatar"] if kept else None,
        user_wave=audio["user"] if kept else None,
    )


def answer_to_smile(clip: Conversation, frame: int, strength: float, split: str = "eval") -> np.ndarray:
    """Motion `[t, d]` by which a clip's avatar answers a user's smile of a strength from a frame on, and nothing else.

    The avatar is the clip's own person, and may not answer. An answer is added to all else that the avatar does.
    """
    rng = streams(clip.seed, split, private=0)
    for _ in ("user", "avatar"):
        sample_voice(rng["people"], split)
    _, person = sample_person(rng["people"]), sample_person(rng["people"])
    envelope = np.where(np.arange(clip.frames) < frame, 0.0, strength)
    chance = np.random.default_rng([clip.seed, frame])
    return listener.react(chance, [], [user.Smile(frame, envelope)], clip.avatar_speaking, person)[0]


def _avatar(rng, causes, smiles, said, speaking: np.ndarray, person: Person):
    """The avatar's motion `[t, d]` and its reactions."""
    frames = len(speaking)
    motion = idle_motion.wander(rng, frames, person)
    motion += restless(rng, frames, person.spread * np.isin(CHANNELS, (*POSE, *BROWS)) * _AVATAR_RESTLESS)
    motion += idle_motion.speech(rng, said, frames, person)
    motion += idle_motion.emphasis(said, frames)
    motion += listener.own_mood(rng, frames, speaking, person)
    motion += idle_motion.gaze(rng, frames, 0.15 + 0.35 * speaking)
    motion += idle_motion.blinks(rng, frames, person.blink_seconds)
    for item in said:
        if item.role == "laugh":
            motion += 0.9 * idle_motion.laughing(frames, item.start * FPS - 1.0, item.utterance.seconds * FPS)
    gestures, reacted = listener.react(rng, causes, smiles, speaking, person)
    motion = listener.attend(idle_motion.stretched(motion + gestures), reacted)
    return noisy(rng, motion, 0.35), reacted


def _stored(motion: np.ndarray) -> np.ndarray:
    return clamp(motion).astype(np.float32)
