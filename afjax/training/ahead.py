"""Batches that are on the device before their step begins.

A thread reads and places batch n + 1 while step n runs. The loop waits for neither where both together take less time
than a step.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

__all__ = ["Ahead"]


class Ahead:
    """The next `count` batches of an iterator, each placed by `place`; a context manager.

    `windows`, `get_state` and `set_state` are the iterator's as of the batch that was handed out last; the iterator is
    left in that state too. Nothing is read beyond `count`.
    """

    def __init__(self, batches: Iterator, place: Callable[[dict], dict], count: int):
        self._batches, self._place, self._left = batches, place, count
        self._thread = ThreadPoolExecutor(1)
        self.windows, self._state = (), batches.get_state()
        self._begin()

    def _begin(self):
        self._coming = self._thread.submit(self._read) if self._left > 0 else None
        self._left -= 1

    def _read(self) -> tuple:
        batch = next(self._batches)
        return self._place(batch), getattr(self._batches, "windows", ()), self._batches.get_state()

    def __next__(self) -> dict:
        if self._coming is None:
            raise StopIteration
        batch, self.windows, self._state = self._coming.result()
        self._begin()
        return batch

    def get_state(self) -> dict:
        """The iterator's place after the batch that was handed out last."""
        return self._state

    def set_state(self, state: dict):
        """Goes on from a place of `get_state`; drops what was read ahead."""
        if self._coming:
            self._coming.exception()  # until it is done
        self._batches.set_state(state)
        self._state = state
        self._begin()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._thread.shutdown()
        if self._coming:
            self._batches.set_state(self._state)
