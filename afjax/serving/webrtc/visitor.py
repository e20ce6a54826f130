"""A page in a call by WebRTC: its pictures and sound go and come by tracks. It runs on the studio's event loop."""

from collections.abc import Callable
from typing import Any

import numpy as np

from afjax.serving.brain import Brain
from afjax.serving.call import Block, Call
from afjax.serving.feed import SoundClock
from afjax.serving.outbox import Outbox
from afjax.serving.seat import Seat
from afjax.serving.tap import Player, Tap

__all__ = ["LEAD", "Visitor"]

LEAD = 0.02
"""Seconds before its time at which a picture is wanted, for its encoding and the way to the network's thread."""
GAP = 0.03
"""Seconds of lasting delay after which sound is stamped anew; less than the 40 ms for which a block waits for it."""


class Visitor(Seat):
    """A seat whose page gets messages from the outbox, and pictures and sound from a player."""

    encode = staticmethod(lambda picture: picture)

    def __init__(
        self, call: Call, identity: Any, brain: Brain, outbox: Outbox, track: Callable[..., Any], wake,
        player: Player, begun: float, clock: Callable[[], float],
    ):  # fmt: skip
        """`begun`: `clock()` at the page's 0."""
        super().__init__(call, identity, brain, outbox, track, wake)
        self._begun, self._clock, self._sound_clock = begun, clock, SoundClock(GAP)
        self._tap = Tap(call, clock, player)
        self.taps.append(self._tap)

    def hear(self, samples: np.ndarray, rate: int) -> None:
        """The user's sound as it comes, int16 `[n]`."""
        self.listen(samples, rate, self._sound_clock.stamp(len(samples) / rate, self._clock() - self._begun))

    def see(self, pixels: np.ndarray) -> None:
        """The newest picture of the user, uint8 `[h, w, 3]` RGB."""
        self.picture(pixels, self._clock() - self._begun)

    @property
    def dropped(self) -> int:
        """Pictures that were not sent."""
        return self._tap.dropped

    def sound(self, block: Block) -> None:
        """Sends nothing: the page hears the track."""

    def put(self, generation: int, frame: int, picture: np.ndarray) -> None:
        """Sends nothing: the page sees the track."""
