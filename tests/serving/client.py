"""A page in a few lines: it speaks the protocol over a real socket and keeps all that comes."""

import asyncio
import contextlib
import io
import json

import aiohttp
import numpy as np
from PIL import Image

from afjax.serving import protocol
from afjax.serving.protocol import HEAD
from afjax.serving.server import Server
from afjax.serving.studio import Studio
from tests.serving import stubs

PORTRAITS = {"grey": np.full((64, 64, 3), 120, np.uint8), "light": np.full((64, 64, 3), 200, np.uint8)}


@contextlib.asynccontextmanager
async def serving(sessions=1, seconds=0.0, headroom=0.25, **more):
    """A server with stubs, and the studio behind it."""
    studio = Studio(
        stubs.Engine(sessions, seconds=seconds), stubs.Codec(), PORTRAITS, brain=stubs.Brain,
        voices=stubs.Brain.voices, headroom=headroom, seed=0,
    )  # fmt: skip
    server = Server(studio, **more)
    await studio.start()
    try:
        await server.start()
        yield server
        await server.stop()
    finally:
        await studio.close()


def address(server) -> str:
    return server.url.split("#")[0]


def jpeg_of(picture: np.ndarray, form="JPEG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, form)
    return out.getvalue()


def jpeg(level=120, width=64, height=48, form="JPEG") -> bytes:
    return jpeg_of(np.full((height, width, 3), level, np.uint8), form)


def mic(number, rate=48_000) -> bytes:
    return HEAD.pack(protocol.MIC, 0, 0, number, number * 0.02) + np.zeros(rate // 50, "<i2").tobytes()


def camera(number, level=120, data=None) -> bytes:
    return HEAD.pack(protocol.CAMERA, 0, 0, number, number * 0.04 + 0.02) + (data or jpeg(level))


class Page:
    """`with` opens a socket; `told` are JSON messages, `sound` and `pictures` (generation, number, payload)."""

    def __init__(self, server, token=None, origin=None, **headers):
        self.server, self.told, self.sound, self.pictures, self.order = server, [], [], [], []
        self._token = server.token if token is None else token
        self._headers = {"Origin": address(server).rstrip("/") if origin is None else origin, **headers}
        self.code = None

    async def __aenter__(self):
        self._client = aiohttp.ClientSession()
        try:
            self.socket = await self._client.ws_connect(
                address(self.server) + "live", protocols=(protocol.PROTOCOL, f"token.{self._token}"),
                headers=self._headers, max_msg_size=0,
            )  # fmt: skip
        except BaseException:
            await self._client.close()
            raise
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_):
        await self.socket.close()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._client.close()

    async def _read(self):
        async for message in self.socket:
            if message.type == aiohttp.WSMsgType.TEXT:
                self.told.append(json.loads(message.data))
                self.order.append(self.told[-1]["type"])
            else:
                kind, generation, number, _, payload = protocol.parts(message.data)
                kept = self.sound if kind == protocol.SOUND else self.pictures
                kept.append((generation, number, payload))
                self.order.append((kind, generation, number))
        self.code = self.socket.close_code

    async def json(self, type, **fields):
        await self.socket.send_str(json.dumps({"type": type, **fields}))

    async def send(self, data):
        await (self.socket.send_str if isinstance(data, str) else self.socket.send_bytes)(data)

    async def begin(self, portrait="grey", voice="", mic_rate=48_000, camera=True):
        await self.json("begin", portrait=portrait, voice=voice, mic_rate=mic_rate, camera=camera)

    async def until(self, condition, seconds=10.0):
        """Waits until a condition on this page holds."""
        async with asyncio.timeout(seconds):
            while not condition(self):
                await asyncio.sleep(0.01)

    async def hears(self, type, seconds=10.0) -> dict:
        """The next message of a type, which it takes."""
        await self.until(lambda page: any(one["type"] == type for one in page.told), seconds)
        found = next(one for one in self.told if one["type"] == type)
        self.told.remove(found)
        return found

    async def live(self, seconds, level=120):
        """Sends sound and pictures at their pace."""
        loop = asyncio.get_running_loop()
        start, number = loop.time(), getattr(self, "_number", 0)
        for n in range(number, number + round(seconds * 50)):
            await self.send(mic(n))
            if n % 2 == 0:
                await self.send(camera(n // 2, level))
            self._number = n + 1
            await asyncio.sleep(max(0, start + (n + 1 - number) * 0.02 - loop.time()))
