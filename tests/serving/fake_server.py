"""A server that speaks docs/live.md without an avatar: flat pictures with a frame number, a tone, and what it is told.

    with FakeServer() as fake:          or     python -m tests.serving.fake_server [--faces]
        browser.open(fake.url)
        fake.tell({"type": "state", "state": "speaking"})

Its thread holds one event loop; what a test calls is safe from outside. `received` has JSON messages as they came, and
(kind, generation, number, seconds, size) of binary ones.
"""

import asyncio
import io
import struct
import sys
import threading
import time
from pathlib import Path

import numpy as np

from tests.serving.loop_thread import LoopThread

PAGE = Path(__file__).resolve().parents[2] / "afjax" / "serving" / "page"
TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "html": "text/html"}
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
FPS, BLOCK, OFFSET = 25, 10, 0.5
TONE, LOUD = 440.0, 0.25
SHADES = ((200, 40, 40), (40, 60, 200), (40, 160, 60), (200, 160, 40))  # one for each generation
HELLO = {
    "type": "hello", "version": "afjax.live.1", "fps": FPS, "block": BLOCK, "size": 256, "generated": True,
    "portraits": ["ada.jpg", "grace.jpg", "old_friend.jpg"], "voices": ["Clara", "Martin", "Alice"],
    "limits": {"portrait": 8 << 20},
}  # fmt: skip


def head(kind: int, generation: int, number: int) -> bytes:
    return struct.pack("<BBHId", kind, 0, generation, number, 0.0)


def picture(frame: int, generation: int, face=None, size: int = 256) -> bytes:
    """JPEG: the generation's colour, a bar that moves, the frame's number."""
    from PIL import Image, ImageDraw

    image = face.copy() if face else Image.new("RGB", (size, size), SHADES[generation % len(SHADES)])
    draw = ImageDraw.Draw(image)
    if face is None:
        draw.rectangle((frame * 4 % size, size - 24, frame * 4 % size + 16, size - 16), fill="white")
        draw.text((12, 12), f"{frame}", fill="white")
    data = io.BytesIO()
    image.save(data, "JPEG", quality=80)
    return data.getvalue()


def tone(frame: int, frames: int) -> bytes:
    seconds = np.arange(frame * 640, (frame + frames) * 640) / 16000
    return (32767 * LOUD * np.sin(2 * np.pi * TONE * seconds)).astype("<i2").tobytes()


class FakeServer:
    """`sounds` is whether blocks have a tone; `busy` refuses. A `cut` leaves it silent."""

    def __init__(self, face=None, token: str = "secret", port: int = 0):
        self.face, self.token, self.port = face, token, port
        self.received: list = []
        self.busy, self.sounds, self.generation, self.frame = False, True, 0, 0
        self.sockets: list = []
        self._thread = LoopThread()

    def __enter__(self):
        self._thread.start()
        self._thread.run(self._open())
        return self

    def __exit__(self, *_):
        self._thread.run(self._close())
        self._thread.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/#{self.token}"

    async def _open(self):
        from aiohttp import web

        app = web.Application()
        app.router.add_get("/", self._page)
        app.router.add_get("/static/{name}", self._page)
        app.router.add_get("/health", self._health)
        app.router.add_get("/portraits/{name}", self._portrait)
        app.router.add_get("/live", self._live)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    async def _close(self):
        await self._drop()
        await self._runner.cleanup()

    async def _page(self, request):
        from aiohttp import web

        name = request.match_info.get("name", "index.html")
        file = PAGE / name
        if not file.is_file():
            return web.Response(status=404)
        headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
        return web.Response(body=file.read_bytes(), content_type=TYPES[file.suffix[1:]], headers=headers)

    async def _health(self, request):
        from aiohttp import web

        return web.json_response({"signs": False})

    async def _portrait(self, request):
        from aiohttp import web

        number = HELLO["portraits"].index(request.match_info["name"])
        return web.Response(body=picture(0, number, self.face), content_type="image/jpeg")

    async def _live(self, request):
        from aiohttp import WSMsgType, web

        if f"token.{self.token}" not in request.headers.get("Sec-WebSocket-Protocol", ""):
            return web.Response(status=403)
        socket = web.WebSocketResponse(protocols=("afjax.live.1",), max_msg_size=9 << 20)
        await socket.prepare(request)
        if self.busy:
            await socket.send_json({"type": "busy"})
            await socket.close()
            return socket
        await socket.send_json(HELLO)
        self.sockets.append(socket)
        blocks = None
        async for message in socket:
            if message.type == WSMsgType.BINARY:
                kind, _, generation, number, seconds = struct.unpack_from("<BBHId", message.data)
                self.received.append((kind, generation, number, seconds, len(message.data) - 16))
                continue
            said = message.json()
            self.received.append(said)
            if said["type"] == "begin":
                await socket.send_json({"type": "ready", "offset": OFFSET, "generation": self.generation})
                await socket.send_json({"type": "state", "state": "listening"})
                blocks = asyncio.create_task(self._blocks(socket))
            elif said["type"] == "ping":
                now = time.monotonic()
                await socket.send_json({"type": "pong", "sent": said["sent"], "received": now, "answered": now})
            elif said["type"] == "interrupt":
                await self._cut()
            elif said["type"] == "end":
                break
        if blocks:
            blocks.cancel()
        if socket in self.sockets:
            self.sockets.remove(socket)
        return socket

    async def _blocks(self, socket):
        """A block every 0.4 s of the wall's clock, each a little before its time."""
        start, self.frame = time.monotonic(), 0
        while not socket.closed:
            first, generation = self.frame, self.generation
            self.frame += BLOCK
            if self.sounds:
                await socket.send_bytes(head(17, generation, first) + tone(first, BLOCK))
            for n in range(first, first + BLOCK):
                data = await asyncio.to_thread(picture, n, generation, self.face)
                await socket.send_bytes(head(18, generation, n) + data)
            await asyncio.sleep(max(0.0, start + self.frame / FPS - time.monotonic()))

    async def _send(self, message):
        for socket in self.sockets:
            await (socket.send_bytes(message) if isinstance(message, bytes) else socket.send_json(message))

    async def _cut(self):
        self.generation += 1
        self.sounds = False
        await self._send({"type": "cut", "generation": self.generation, "frame": self.frame, "heard": 1.0})

    async def _drop(self):
        for socket in list(self.sockets):
            await socket.close()

    def tell(self, message):
        """Sends a JSON message, or bytes, to every page."""
        self._thread.run(self._send(message))

    def cut(self):
        """A new generation, silent from here on."""
        self._thread.run(self._cut())

    def drop(self):
        """Closes all sockets, as a lost network does."""
        self._thread.run(self._drop())

    def of(self, kind) -> list:
        """Messages of a JSON type, or of a binary kind."""
        if isinstance(kind, str):
            return [m for m in self.received if isinstance(m, dict) and m["type"] == kind]
        return [m for m in self.received if isinstance(m, tuple) and m[0] == kind]


def a_face(size: int = 512):
    """A public portrait, for looking at the page."""
    import skimage.data
    from PIL import Image

    return Image.fromarray(skimage.data.astronaut()[:300, 80:380]).resize((size, size))


if __name__ == "__main__":
    with FakeServer(a_face() if "--faces" in sys.argv else None) as server:
        print(server.url, flush=True)
        threading.Event().wait()
