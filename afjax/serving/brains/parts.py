"""The three parts of a brain, and what passes between them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Turn:
    """What is known of something that the user said without knowing its words.

    seconds from its first to its last voice, of which `voiced` seconds had voice; pauses longer than 0.25 s; mean
    level in dB below full scale and its change from the first to the second half.
    """

    seconds: float
    voiced: float
    pauses: int
    level: float
    rise: float = 0.0


@dataclass(frozen=True)
class Sign:
    """Something heard at `at` seconds: begin, pause, turn (over, with what it was) or interruption."""

    kind: str
    at: float
    turn: Turn | None = None


@dataclass(frozen=True)
class Spoken:
    """A sentence as sound: float32 `[S]` at `rate`, words as (text, start s, end s)."""

    samples: np.ndarray
    rate: int
    words: list[tuple[str, float, float]]


class Listen(Protocol):
    """Makes signs of sound."""

    def hear(self, samples: np.ndarray, at: float, echo: float) -> list[Sign]:
        """16 kHz sound and the level in dB below which it may be the avatar's own voice."""


class Reply(Protocol):
    """Decides what is said; "" says nothing."""

    def greeting(self) -> str:
        """First words of a call."""

    def answer(self, turn: Turn) -> str:
        """To what the user has said."""

    def backchannel(self, turn: Turn) -> str:
        """A sign of attention at a pause within the user's turn."""

    def silence(self, seconds: float) -> str:
        """When nobody has spoken for so long."""


class Speak(Protocol):
    """Makes sound of a sentence; may take its time."""

    voice: str

    def say(self, sentence: str) -> Spoken:
        """Raises InputError if it can't."""

    def close(self) -> None:
        """Ends its process."""
