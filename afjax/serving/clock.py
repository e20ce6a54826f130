"""Drift of a page's clock against ours.

A page stamps its messages by its sound card's clock, by which it also plays. Sound cards differ by up to some hundred
parts in a million, a block in half an hour. A message arrives some lag after its stamp. The least lag over a while is
steady in the network, so that its changes are the clock's:

    lag = arrival - stamp,   drift = min(lag over the last WINDOW) - min(lag over the first WINDOW)
"""

from collections import deque

__all__ = ["PageClock"]

WINDOW = 20
"""Seconds over which the least lag is taken."""
STEP, FROM = 0.005, 0.01
"""Seconds of one step of `moved`, at most one per second, and the drift from which it is taken."""


class PageClock:
    """Attribute `moved`: seconds to add to the page's stamps."""

    def __init__(self):
        self.moved = 0.0
        self._first: float | None = None
        self._second: int | None = None
        self._least: deque[float] = deque(maxlen=WINDOW)

    def follow(self, stamp: float, now: float) -> None:
        """Something with the page's time `stamp` has arrived at `now`."""
        lag, second = now - stamp, int(now)
        if second == self._second:
            self._least[-1] = min(self._least[-1], lag)
            return
        if len(self._least) == WINDOW:
            self._first = min(self._least) if self._first is None else self._first
            drift = min(self._least) - self._first - self.moved
            if abs(drift) > FROM:
                self.moved += STEP if drift > 0 else -STEP
        self._second = second
        self._least.append(lag)
