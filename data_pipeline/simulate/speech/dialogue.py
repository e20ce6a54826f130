"""Dialogues, who says what when: turns, pauses, overlaps, interruptions, and the small sounds between.

Only the streams `turns`, `user_words` and `avatar_words` decide a dialogue. It holds no face and no reaction, so that
the same dialogue can be lived through again with other private noise.

The styles differ in who talks. `talking`: the avatar listens for a little over a fifth of the time, as in recorded
conversations, where a person mostly talks, or is silent together with the other. `listening`: it listens most of the
time. `silent`: it says nothing, and its user talks and pauses. A conversation's style is drawn by STYLE_SHARES.
`listening_style` makes other styles, by the share of the time that the avatar listens.
"""

from dataclasses import dataclass

import numpy as np

from data_pipeline.simulate.speech import sentences, vocal
from data_pipeline.simulate.speech.sentences import Phrase
from data_pipeline.simulate.speech.synthesis import Speaker, Utterance, Voice


@dataclass(frozen=True)
class Style:
    """A style of turns.

    `avatar_turn`, `user_turn`: seconds of a turn (low, high). `avatar_first`, `interlude`, `interrupted`: chances that
    the avatar has the first turn, that the user hums or laughs after a phrase, and that the user interrupts. `silent`:
    whether the avatar's turns are pauses.
    """

    avatar_turn: tuple[float, float]
    user_turn: tuple[float, float]
    avatar_first: float
    interlude: float
    interrupted: float = 0.6
    silent: bool = False


STYLES = {
    "talking": Style(avatar_turn=(4.0, 6.6), user_turn=(1.0, 2.3), avatar_first=0.75, interlude=0.2),
    "listening": Style(avatar_turn=(1.8, 3.2), user_turn=(5.5, 8.0), avatar_first=0.35, interlude=0.55),
    "silent": Style(avatar_turn=(1.0, 4.0), user_turn=(3.0, 9.0), avatar_first=0.5, interlude=0.5, silent=True),
}
STYLE_SHARES = {
    "train": {"talking": 0.4, "listening": 0.4, "silent": 0.2},
    "eval": {"listening": 1.0},
}


def sample_style(rng: np.random.Generator, split: str) -> Style:
    """A random style of the split."""
    shares = STYLE_SHARES[split]
    return STYLES[rng.choice(list(shares), p=list(shares.values()))]


SHORT, OVERSHOOT, PAUSES = 1.2, 0.85, 0.9
"""Seconds of the shorter of the two turns, of the last phrase's overrun of its turn, and of the pauses of both."""


def listening_style(share: float) -> Style:
    """A style in which the user speaks and the avatar is silent for about a `share` of the time, in (0, 1).

    share = U / (U + A + PAUSES), where U and A are the actual lengths of both turns; the shorter is SHORT + OVERSHOOT.
    """
    short = SHORT + OVERSHOOT
    user = max(short, share * (short + PAUSES) / (1.0 - share))
    avatar = max(short, user * (1.0 - share) / share - PAUSES)
    turns = [(0.75 * (turn - OVERSHOOT), 1.25 * (turn - OVERSHOOT)) for turn in (avatar, user)]
    return Style(*turns, avatar_first=1.0 - share, interlude=0.4)


@dataclass(frozen=True)
class Placed:
    """An utterance at `start` seconds. `role`: phrase, interruption, word, surprise, hum, laugh or away_laugh."""

    start: float
    utterance: Utterance
    role: str = "phrase"

    @property
    def end(self) -> float:
        return self.start + self.utterance.seconds


@dataclass(frozen=True)
class Side:
    """One person's stream of words: the split's sentences in the person's voice."""

    rng: np.random.Generator
    split: str
    voice: Voice
    speaker: Speaker

    def say(self, make, start: float, role: str = "phrase") -> Placed:
        phrase: Phrase = make(self.rng, self.split)
        return Placed(start, self.speaker.say(phrase, self.voice), role)

    def sound(self, make, start: float, role: str) -> Placed:
        return Placed(start, make(self.rng, self.voice.hz), role)


def converse(
    rng: np.random.Generator, user: Side, avatar: Side, style: Style, seconds: float
) -> tuple[list[Placed], list[Placed]]:
    """What the user and what the avatar says until `seconds`, each in order of time."""
    spoken_user: list[Placed] = []
    spoken_avatar: list[Placed] = []
    cursor = rng.uniform(0.1, 0.7)
    avatar_turn = rng.random() < style.avatar_first
    # the conversation begins at a random point of its first turn
    remaining = rng.uniform(0.3, 1.0)
    interrupts = False
    while cursor < seconds:
        if avatar_turn and style.silent:
            end = cursor + remaining * rng.uniform(*style.avatar_turn)
            spoken_user += _backchannels(rng, user, cursor, end)
            cursor, interrupts = end, False
        elif avatar_turn:
            end = cursor + remaining * rng.uniform(*style.avatar_turn)
            said = _avatar_turn(rng, avatar, cursor, end)
            interrupts = rng.random() < style.interrupted and said[-1].utterance.seconds > 0.9
            if interrupts:
                said, cursor = _cut_short(rng, said)
            else:
                cursor = said[-1].end + rng.uniform(0.25, 0.7)
            spoken_user += _backchannels(rng, user, said[0].start, cursor - (0.9 if interrupts else 0.4))
            spoken_avatar += said
        else:
            end = cursor + remaining * rng.uniform(*style.user_turn)
            said = _user_turn(rng, user, cursor, end, interrupts, style.interlude)
            spoken_user += said
            cursor = said[-1].end + rng.uniform(0.5, 1.0)
        avatar_turn, remaining = not avatar_turn, 1.0
    return ([item for item in spoken_user if item.end < seconds], _within(spoken_avatar, seconds))


def _within(items: list[Placed], seconds: float) -> list[Placed]:
    """Utterances cut at the end of the clip."""
    kept = [item for item in items if item.start < seconds - 0.3]
    return [
        item if item.end < seconds else Placed(item.start, item.utterance.cut(seconds - item.start - 0.02), item.role)
        for item in kept
    ]


def _avatar_turn(rng, side: Side, start: float, end: float) -> list[Placed]:
    said, cursor = [], start
    while not said or cursor < end:
        kind = rng.random()
        if kind < 0.08 and said:
            said.append(side.sound(vocal.laugh, cursor, "laugh"))
        elif kind < 0.25:
            said.append(side.say(sentences.question, cursor))
        elif kind < 0.4:
            said.append(side.say(sentences.emphatic, cursor))
        else:
            said.append(side.say(sentences.statement, cursor))
        cursor = said[-1].end + rng.uniform(0.15, 0.45)
    return said


def _cut_short(rng, said: list[Placed]) -> tuple[list[Placed], float]:
    """The user starts in the avatar's last phrase; the avatar stops half a second later."""
    last = said[-1]
    start = last.start + last.utterance.seconds * rng.uniform(0.35, 0.6)
    stop = min(last.utterance.seconds, start - last.start + rng.uniform(0.35, 0.6))
    return [*said[:-1], Placed(last.start, last.utterance.cut(stop), last.role)], start


def _backchannels(rng, side: Side, start: float, end: float) -> list[Placed]:
    """Short sounds of the user while the avatar talks."""
    said, cursor = [], start + rng.uniform(0.5, 1.3)
    while cursor < end - 0.9:
        kind = rng.random()
        if kind < 0.36:
            item = side.sound(vocal.hum, cursor, "hum")
        elif kind < 0.58:
            item = side.say(sentences.rising_word, cursor, "word")
        elif kind < 0.72:
            item = side.say(sentences.falling_word, cursor, "word")
        elif kind < 0.8:
            item = side.say(sentences.surprise, cursor, "surprise")
        elif kind < 0.93:
            item = side.sound(vocal.laugh, cursor, "away_laugh")
        else:
            item = side.sound(vocal.laugh, cursor, "laugh")
        if item.end < end:
            said.append(item)
        cursor = item.end + rng.uniform(0.9, 1.9)
    return said


def _user_turn(rng, side: Side, start: float, end: float, interrupts: bool, interlude: float) -> list[Placed]:
    said, cursor = [], start
    while not said or cursor < end:
        kind = rng.random()
        if not said and interrupts:
            said.append(side.say(sentences.interruption, cursor, "interruption"))
        elif kind < 0.2:
            said.append(side.say(sentences.question, cursor))
        elif kind < 0.32:
            said.append(side.say(sentences.surprise, cursor, "surprise"))
        elif kind < 0.5:
            said.append(side.say(sentences.emphatic, cursor))
        else:
            said.append(side.say(sentences.statement, cursor))
        cursor = said[-1].end + rng.uniform(0.4, 0.6)
        if rng.random() < interlude:
            kind = rng.random()
            role = "hum" if kind < 0.45 else "away_laugh" if kind < 0.75 else "laugh"
            said.append(side.sound(vocal.hum if role == "hum" else vocal.laugh, cursor + rng.uniform(0.1, 0.3), role))
            cursor = said[-1].end + rng.uniform(0.4, 0.6)
    return said


def mix(items: list[Placed], seconds: float, rate: int) -> np.ndarray:
    """All utterances on one track: float32 `[seconds * rate]`."""
    wave = np.zeros(int(round(seconds * rate)), np.float32)
    for item in items:
        first = int(round(item.start * rate))
        sound = item.utterance.wave[: len(wave) - first]
        wave[first : first + len(sound)] += sound
    return wave


def speaking(items: list[Placed], frames: int, fps: int, bridge: float = 0.65) -> np.ndarray:
    """Frames `[t]` in which the person is heard; pauses up to `bridge` seconds inside a turn count as speech."""
    active = np.zeros(frames, bool)
    previous = -np.inf
    for item in sorted(items, key=lambda item: item.start):
        start = previous if item.start - previous <= bridge else item.start
        active[int(start * fps) : int(np.ceil(item.end * fps))] = True
        previous = max(previous, item.end)
    return active
