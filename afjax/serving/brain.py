"""The interface of brains, which answer the user, and a brain that says nothing.

A call gives its brain the user's voice and drains the brain's events every 20 ms. No method blocks: slow work
(recognition, language, synthesis) happens in threads or processes of the brain's own. All times are seconds; `at` is on
the call's clock, that of the page.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

__all__ = ["Brain", "Cut", "Event", "UserTranscript", "Silent", "Speech", "State", "Trouble"]


class Event:
    """Something that a brain tells its call."""


@dataclass
class Speech(Event):
    """A piece of what the avatar says; pieces follow each other until one is the `last`.

    Attributes:
      samples: float32 `[n]` in -1..1, mono.
      rate: in Hz.
      words: (text, start, end) of each word, in seconds from the first sample of this piece.
      last: whether the utterance ends with it.
    """

    samples: np.ndarray
    rate: int
    words: list[tuple[str, float, float]]
    last: bool


@dataclass
class Cut(Event):
    """The user has interrupted the avatar; `reason` in a word or two."""

    reason: str


@dataclass
class State(Event):
    """State of the conversation: `state` is listening, thinking or speaking."""

    state: str


@dataclass
class UserTranscript(Event):
    """What the user said, from brains that know it: `words`, strings."""

    words: list


@dataclass
class Trouble(Event):
    """Something that the brain needs is away or fails: `text`, one line. The brain listens on."""

    text: str


class Brain(Protocol):
    """Listens and replies in one call.

    Every method but `close` returns at once, and is called from one thread. A brain with more than one voice also has a
    method `use_voice(name)`.
    """

    def hear(self, samples: np.ndarray, at: float) -> None:
        """The user's voice, float32 `[n]` at 16 kHz, mono; `at`: seconds of its first sample on the call's clock."""

    def say(self, text: str) -> None:
        """Speaks a line that was typed or asked for."""

    def spoken(self, seconds: float, done: bool) -> None:
        """Tells how many seconds of an utterance have been heard by the play-out clock, and whether that is all."""

    def cut(self, heard: float) -> None:
        """Tells that the speech was cut after `heard` seconds of it had been heard."""

    def events(self) -> list[Event]:
        """The events since the last call of this method, which comes every 20 ms."""

    def close(self) -> None:
        """Ends the brain. It may wait for threads; nothing else is called after it."""


class Silent:
    """A brain that listens and never speaks."""

    def hear(self, samples: np.ndarray, at: float) -> None:
        """Listens to nothing."""

    def say(self, text: str) -> None:
        """Says nothing."""

    def spoken(self, seconds: float, done: bool) -> None:
        """Never speaks."""

    def cut(self, heard: float) -> None:
        """Has nothing that could be cut."""

    def events(self) -> list[Event]:
        """None."""
        return []

    def close(self) -> None:
        """Holds nothing."""
