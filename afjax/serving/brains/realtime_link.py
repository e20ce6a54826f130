"""The connection of a realtime brain: a thread that holds a WebSocket and connects again when it is lost."""

import asyncio
import base64
import contextlib
import json
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.signal import resample_poly

__all__ = ["RATE", "Link", "Up"]

log = logging.getLogger("afjax.serving")
RATE = 24_000
"""Hz of the protocol's pcm16, both ways."""
WAITS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before the server is tried again."""
_CONNECT, _BEHIND = 10.0, 100


class Up:
    """Resampling from 16 to 24 kHz in chunks, 2 ms late; the chunks do not change the result."""

    EDGE = 32

    def __init__(self):
        self._rest = np.zeros(self.EDGE, np.float32)

    def __call__(self, chunk: np.ndarray) -> np.ndarray:
        """float32 `[n]` -> float32 `[about 1.5 n]`."""
        self._rest = np.concatenate([self._rest, chunk])
        count = (len(self._rest) - 2 * self.EDGE) // 2 * 2
        if count <= 0:
            return np.zeros(0, np.float32)
        made = resample_poly(self._rest, 3, 2)[self.EDGE * 3 // 2 :][: count * 3 // 2]
        self._rest = self._rest[count:]
        return made.astype(np.float32)


class Link:
    """Attribute `ready`: whether sound is sent. Whoever takes messages sets it; it ends with the connection."""

    def __init__(self, url: str, key: str, take: Callable[[dict], None], lost: Callable[[str], None]):
        """`start` connects. `take` is given each message, `lost` why there is no connection; both in its thread."""
        self._url, self._key, self._take, self._lost = url, key, take, lost
        self.ready, self._ends = False, False
        self._sound: deque[np.ndarray] = deque(maxlen=_BEHIND)
        self._orders: deque[dict[str, Any]] = deque()
        self._loop, self._news = asyncio.new_event_loop(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="realtime", daemon=True)

    def start(self) -> None:
        """Connects, and comes back whenever the connection is lost."""
        self._thread.start()

    def send(self, order: dict[str, Any]) -> None:
        """Sends a message; without a connection it is lost."""
        self._orders.append(order)
        self._wake()

    def sound(self, samples: np.ndarray) -> None:
        """Sends float32 `[n]` at 16 kHz if the link is `ready`; when two seconds wait, the oldest sound is dropped."""
        if self.ready:
            self._sound.append(samples)
            self._wake()

    def close(self) -> None:
        """Hangs up."""
        self._ends = True
        self._wake()
        self._thread.join(5)

    def _wake(self):
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._news.set)

    def _run(self):
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._stay())
        finally:
            self._loop.close()

    async def _stay(self):
        tries = 0
        while not self._ends:
            try:
                trouble = await self._talk()
            except Exception as error:
                trouble = _what(error)
            tries = 0 if self.ready else tries
            self.ready = False
            if self._ends:
                return
            self._lost(trouble)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WAITS[min(tries, len(WAITS) - 1)]):
                    while not self._ends:
                        self._news.clear()
                        await self._news.wait()
            tries += 1

    async def _talk(self) -> str:
        """Holds one connection; -> why it has ended."""
        import aiohttp

        self._orders.clear()
        self._sound.clear()
        heads = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as http:
            async with asyncio.timeout(_CONNECT):
                socket = await http.ws_connect(self._url, headers=heads, heartbeat=20.0, max_msg_size=1 << 24)
            async with socket:
                writer = asyncio.create_task(self._write(socket))
                try:
                    async for message in socket:
                        if message.type == aiohttp.WSMsgType.TEXT:
                            self._read(message.data)
                finally:
                    writer.cancel()
                    with contextlib.suppress(asyncio.CancelledError, Exception):
                        await writer
        return "the server has hung up"

    async def _write(self, socket):
        up = Up()
        try:
            while not self._ends:
                self._news.clear()
                while self._orders:
                    await socket.send_str(json.dumps(self._orders.popleft()))
                while self._sound:
                    wave = up(self._sound.popleft())
                    pcm = (np.clip(wave, -1, 1) * 32767).astype("<i2").tobytes()
                    if pcm:
                        audio = base64.b64encode(pcm).decode()
                        await socket.send_str(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
                await self._news.wait()
        finally:
            await socket.close()

    def _read(self, data: str):
        try:
            self._take(json.loads(data))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("realtime: a message that can't be taken (%s)", type(error).__name__)


def _what(error: Exception) -> str:
    """An error in a few words, without an address or a key."""
    status = getattr(error, "status", None)
    if status is not None:
        return f"answers {status}" + (", is the key right?" if status in (401, 403) else "")
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return f"no connection ({type(error).__name__})"
