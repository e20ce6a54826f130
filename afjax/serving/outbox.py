"""Messages that wait to be sent to one page. Pictures are dropped where they pile up, sound and words never."""

import asyncio
from collections import deque
from collections.abc import Callable

__all__ = ["Outbox"]

PICTURES = 50
"""Most pictures that wait, two seconds; the oldest goes."""
BYTES = 2 << 20
"""Most bytes of everything else, a minute of sound. A reader so slow that more piles up is no page."""


class Outbox:
    """A queue with an end. Attributes: `dropped` pictures; `full`, whether its page reads too slowly to go on."""

    def __init__(self, on_full: Callable[[], None] = lambda: None):
        self.dropped, self.full, self._on_full = 0, False, on_full
        self._waiting: deque[tuple[str | bytes, int | None]] = deque()
        self._pictures = self._bytes = 0
        self._news, self._closed = asyncio.Event(), False

    def put(self, message: str | bytes) -> None:
        """Queues a message of JSON or of sound."""
        self._bytes += len(message)
        if self._bytes > BYTES and not self.full:
            self.full = True
            self._on_full()
        if not self.full:
            self._waiting.append((message, None))
        self._news.set()

    def put_picture(self, message: bytes, generation: int) -> None:
        """Queues a picture of a generation."""
        if self._pictures >= PICTURES:
            self._drop(next(n for n, (_, old) in enumerate(self._waiting) if old is not None))
        self._waiting.append((message, generation))
        self._pictures += 1
        self._news.set()

    def forget(self, generation: int) -> None:
        """Drops all pictures but those of a generation."""
        for n in range(len(self._waiting) - 1, -1, -1):
            if self._waiting[n][1] not in (None, generation):
                self._drop(n)

    def _drop(self, place: int):
        del self._waiting[place]
        self._pictures -= 1
        self.dropped += 1

    def close(self) -> None:
        """Ends the queue; what waits is still given out."""
        self._closed = True
        self._news.set()

    async def get(self) -> str | bytes | None:
        """The next message; None when it is closed and empty, or full."""
        while not self.full:
            if self._waiting:
                message, generation = self._waiting.popleft()
                if generation is None:
                    self._bytes -= len(message)
                else:
                    self._pictures -= 1
                return message
            if self._closed:
                return None
            self._news.clear()
            await self._news.wait()
        return None
