"""The parts of a brain, and what passes between them.

`Listen` is quick; parts that answer, recognise and speak may take their time. A part that waits for others may have
`cancel()`: it ends the work under way, from another thread, and returns at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Turn:
    """Measures of something that the user said.

    Attributes:
      seconds: from its first to its last voice, of which `voiced` seconds had voice.
      pauses: number of pauses within it, in `vad` those longer than 0.32 s.
      level: mean level in dB, full scale 0; rise: its change from the first to the second half.
      at: time of its first voice in seconds.
      words: where a part has recognised them.
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
    """Something heard at `at` seconds: begin, pause, turn (which is over) or interruption."""

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
    """Turns sound into signs."""

    def hear(self, samples: np.ndarray, at: float, echo: float) -> list[Sign]:
        """Signs of sound at 16 kHz; `echo`: level in dB below which it may be the avatar's own voice."""


class Recognise(Protocol):
    """Turns sound into words; may take its time.

    A recogniser that costs nothing but time may have `early = True`: it is asked at pauses that may end a turn.
    """

    def words(self, samples: np.ndarray) -> list[str]:
        """Words of one turn, float32 `[n]` at 16 kHz. Raises InputError if it fails."""

    def close(self) -> None:
        """Ends what it holds."""


class Reply(Protocol):
    """Decides what is said; "" says nothing.

    A reply that knows words may also have `heard(text)`: its last answer was cut, and only `text` of it was heard. It
    ends the answer and returns at once; another thread reads the answer. A reply that holds something has `close()`.
    """

    def greeting(self) -> str:
        """First words of a call."""

    def answer(self, turn: Turn) -> str | Iterable[str]:
        """The answer to a turn: a text, or its pieces as they come. Raises InputError if there is none."""

    def backchannel(self, turn: Turn) -> str:
        """A sign of attention at a pause within the user's turn."""

    def silence(self, seconds: float) -> str:
        """A line when nobody has spoken for `seconds`."""


class Speak(Protocol):
    """Turns a sentence into sound; may take its time."""

    voice: str

    def say(self, sentence: str) -> Spoken:
        """A sentence as sound. Raises InputError if it fails."""

    def close(self) -> None:
        """Ends its process."""
