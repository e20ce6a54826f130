"""The parts of a brain, and what passes between them.

`Listen` is quick, what answers, recognises and speaks may take its time. Parts that wait for others may have
`cancel()`: it ends what is under way, from another thread, and returns at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Turn:
    """What is known of something that the user said.

    seconds from its first to its last voice, of which `voiced` seconds had voice; pauses longer than 0.25 s; mean
    level in dB below full scale and its change from the first to the second half; `at`: seconds of its first voice;
    `words`, where somebody has recognised them.
    """

    seconds: float
    voiced: float
    pauses: int
    level: float
    rise: float = 0.0
    at: float = 0.0
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sign:
    """Something heard at `at` seconds: begin, pause, turn (over, with what it was) or interruption."""

    kind: str
    at: float
    turn: Turn | None = None


@dataclass(frozen=True)
class Spoken:
    """A sentence as sound: float32 `[s]` at `rate`, words as (text, start s, end s)."""

    samples: np.ndarray
    rate: int
    words: list[tuple[str, float, float]]


class Listen(Protocol):
    """Makes signs of sound."""

    def hear(self, samples: np.ndarray, at: float, echo: float) -> list[Sign]:
        """16 kHz sound and the level in dB below which it may be the avatar's own voice."""


class Recognise(Protocol):
    """Makes words of sound; may take its time.

    One that costs nothing but time may have `early = True`: it is asked at pauses that may be the end of a turn.
    """

    def words(self, samples: np.ndarray) -> list[str]:
        """Of float32 `[n]` at 16 kHz, one turn. Raises InputError if it can't."""

    def close(self) -> None:
        """Ends what it holds."""


class Reply(Protocol):
    """Decides what is said; "" says nothing.

    One that knows words may have `heard(text)`, too: its last answer was cut, and so much of it was heard. It returns
    at once and ends the answer, from another thread than the one that reads it. What holds something has `close()`.
    """

    def greeting(self) -> str:
        """First words of a call."""

    def answer(self, turn: Turn) -> str | Iterable[str]:
        """To what the user has said: a text, or its pieces as they come. Raises InputError if there is none."""

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
