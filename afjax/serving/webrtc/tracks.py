"""The avatar's voice and picture as tracks of aiortc.

One clock stamps both, so that receivers can play them in step: a sample and a picture that are due at the same time
have the same time since `origin`.

They live on the network's loop; `hear`, `show` and `cut` may be called from any thread.
"""

import asyncio
import fractions
import time

import numpy as np

from afjax.errors import InputError
from afjax.serving.reel import Reel
from afjax.serving.tap import RATE

try:
    import av
    from aiortc.mediastreams import MediaStreamTrack
except ImportError as missing:
    raise InputError("the package aiortc is missing", do="pip install -r requirements-webrtc.txt") from missing

__all__ = ["PictureTrack", "VoiceTrack"]

CHUNK = RATE // 50
"""Samples of a packet: 20 ms."""
CLOCK = 90_000
STALL = 0.1
"""Seconds by which a packet may be late; the time of a later one is skipped, so that no burst follows."""


class VoiceTrack(MediaStreamTrack):
    """Sound in packets of 20 ms, each handed over when its first sample is due; silence where there is none.

    Attribute `late`: packets whose time was skipped.
    """

    kind = "audio"

    def __init__(self, origin: float):
        super().__init__()
        self.reel, self.late, self._next = Reel(RATE, origin), 0, None

    async def recv(self) -> av.AudioFrame:
        """The next packet."""
        now = time.monotonic()
        if self._next is None:
            self._next = -(-self.reel.place(now) // CHUNK) * CHUNK
        behind = now - self.reel.origin - self._next / RATE
        if behind > STALL:
            skipped = int(behind * RATE) // CHUNK
            self.late, self._next = self.late + skipped, self._next + skipped * CHUNK
        elif behind < 0:
            await asyncio.sleep(-behind)
        samples = self.reel.take(self._next, CHUNK)
        pcm = np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE, fractions.Fraction(1, RATE), self._next
        self._next += CHUNK
        return frame


class PictureTrack(MediaStreamTrack):
    """Pictures as they are due, or only the newest if the encoder is behind. Attribute `dropped`: the others."""

    kind = "video"

    def __init__(self, origin: float, loop: asyncio.AbstractEventLoop):
        super().__init__()
        self.dropped, self._origin, self._loop, self._last = 0, origin, loop, -1
        self._newest: tuple[float, np.ndarray] | None = None
        self._news = asyncio.Event()

    def show(self, due: float, pixels: np.ndarray) -> None:
        """A picture uint8 `[h, w, 3]` RGB, both sides even, that is due at the time `due`."""
        self._loop.call_soon_threadsafe(self._put, due, pixels)

    def _put(self, due: float, pixels: np.ndarray):
        self.dropped += self._newest is not None
        self._newest = due, pixels
        self._news.set()

    async def recv(self) -> av.VideoFrame:
        """The next picture."""
        while self._newest is None:
            self._news.clear()
            await self._news.wait()
        (due, pixels), self._newest = self._newest, None
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        self._last = max(self._last + 1, round((due - self._origin) * CLOCK))
        frame.pts, frame.time_base = self._last, fractions.Fraction(1, CLOCK)
        return frame
