"""What a call asks of a brain, and the events that it takes from it.

The brain hears the user and decides what the avatar says and when it stops; the face reacts to the user by itself. A
call drains `events` every 20 ms, so nothing here may block: a brain works in threads or processes of its own.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Event:
    """Something that a call has to act on."""


@dataclass
class Speech(Event):
    """A piece of what the avatar says: float32 samples `[S]` at `rate`, words as (text, start s, end s) within it.

    `last` closes what is said in one go; `spoken` and `cut` count over the pieces up to it.
    """

    samples: np.ndarray
    rate: int
    words: list[tuple[str, float, float]]
    last: bool


@dataclass
class Cut(Event):
    """The user has interrupted: what is said ends now."""

    reason: str


@dataclass
class State(Event):
    """listening, thinking or speaking."""

    state: str


@dataclass
class Heard(Event):
    """What the user said, for captions, as far as it is known: (text, start s, end s) on the call's clock."""

    words: list


class Brain(Protocol):
    """Every method returns at once."""

    def hear(self, samples: np.ndarray, at: float) -> None:
        """The user's sound, float32 16 kHz mono; `at` is the time of its first sample on the call's clock."""

    def say(self, text: str) -> None:
        """Speaks what was typed or asked for."""

    def spoken(self, seconds: float, done: bool) -> None:
        """How much of the speech has been heard so far, from the play-out clock."""

    def cut(self, heard: float) -> None:
        """The speech was cut after so many seconds."""

    def events(self) -> list[Event]:
        """What has come up since the last call."""

    def close(self) -> None:
        """Ends threads and processes."""
