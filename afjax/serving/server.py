"""The page, its portraits and its socket over HTTP by aiohttp, on loopback unless told otherwise.

Everything is checked before it is answered: Host and Origin (another page of the same browser must not reach a server
on loopback, by name or by number), and the token, in constant time, before a socket or a recording is accepted.
Nothing that a page sends is written anywhere, except for a recording while it is being signed.
"""

import asyncio
import contextlib
import hmac
import json
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import afjax
from afjax.errors import InputError
from afjax.serving.link import HELLO, Link
from afjax.serving.protocol import HEAD, LIMITS, PROTOCOL
from afjax.serving.studio import Studio

__all__ = ["HEADERS", "PAGE", "Server"]

PAGE = Path(__file__).parent / "page"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SPARE = 8
"""Sockets that may be open beside those of the calls: pages that are about to begin, or to hear that all is taken."""
TYPES = {
    ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".png": "image/png",
    ".json": "application/json", ".webmanifest": "application/manifest+json", ".woff2": "font/woff2",
}  # fmt: skip
RECORDING = 1 << 30
"""Most bytes of a recording to be signed, some fifty minutes of the page's."""
UPLOAD, PATIENCE = 900, 10
"""Seconds that a recording may take to come or to go, and seconds without any of it."""
PART = OFFER = 1 << 16
"""Bytes that are read at once, and most bytes of an offer of WebRTC."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "Server": "afjax",
    "X-Content-Type-Options": "nosniff",
}


def _web():
    try:
        from aiohttp import web
    except ImportError as error:
        raise InputError("the package aiohttp is missing", do="pip install -r requirements-live.txt") from error
    return web


class Server:
    """Serves a studio. `url`: its address with the token in the fragment, once it has started."""

    def __init__(
        self, studio: Studio, host: str = "127.0.0.1", port: int = 0, token: str = "", origins=(), page: Path = PAGE,
        signer: Callable[[Path, Path], None] | None = None, door: Any = None,
    ):  # fmt: skip
        """Does not listen before `start`.

        Args:
          host: a name or number to listen on; port: 0 takes a free one.
          token: that pages must know, at least 16 characters; a random one by default.
          origins: further origins, "https://name", under which a proxy offers the page.
          page: folder with index.html and what it reads from /static.
          signer: writes a signed copy of a recording (`afjax.serving.credentials`); None: recordings stay unsigned.
          door: lets pages in by WebRTC (`afjax.serving.webrtc.door.Door`); None: by WebSocket alone.

        Raises InputError for an impossible token or origin, and where aiohttp is missing.
        """
        self._web, self.studio, self._host, self._port = _web(), studio, host, port
        self.token = token or secrets.token_urlsafe(24)
        if len(self.token) < 16 or not all(c.isascii() and (c.isalnum() or c in "-_") for c in self.token):
            raise InputError("a token has at least 16 of A-Z, a-z, 0-9, - and _", "token")
        self._origins = tuple(map(str.lower, origins))
        for origin in self._origins:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query or "@" in origin:
                raise InputError(f"{origin!r} is no origin", do="give https://name or https://name:port")
        if host in ("", "0.0.0.0", "::") and not origins:
            raise InputError(f"{host or 'every address'} is no name", "host", "give the --origin that pages have, too")
        self._page, self._open, self._silent = page, set(), set()
        self._signer, self._signing, self._recordings = signer, asyncio.Lock(), 0
        self._door = door
        self._runner = self._server = None
        self.url = ""

    async def start(self) -> str:
        """Listens; -> `url`. InputError where the port is taken."""
        web = self._web

        @web.middleware
        async def guard(request, handler):
            return await self._guard(request, handler)

        app = web.Application(middlewares=[guard], client_max_size=1024)
        app.add_routes([
            web.get("/", self._index), web.get("/static/{name}", self._static), web.get("/health", self._health),
            web.get("/portraits/{name}", self._portrait), web.get("/live", self._live),
            web.post("/recording", self._recording), web.post("/webrtc/{what}", self._webrtc),
        ])  # fmt: skip
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=15, lingering_time=1, shutdown_timeout=2)
        await self._runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(self._connection, self._host, self._port)
        except OSError as error:
            await self._runner.cleanup()
            what = f"can't listen on {self._host} port {self._port} ({error.strerror})"
            raise InputError(what, do="choose another --port, or 0") from None
        self._port = self._server.sockets[0].getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        offered = next(iter(self._origins), f"http://{host}:{self._port}")
        self.url = f"{offered}/#token={self.token}"
        names = {self._host, *LOOPBACK} if self._host in LOOPBACK else {self._host}
        self._hosts = {f"[{name}]:{self._port}" if ":" in name else f"{name}:{self._port}" for name in names}
        self._allowed = {*(f"http://{host}" for host in self._hosts), *self._origins}
        self._hosts |= {urlsplit(origin).netloc for origin in self._origins}
        return self.url

    async def stop(self) -> None:
        """Closes everything but the studio."""
        if self._server is None:
            return
        self._server.close()
        for socket in list(self._open):
            with contextlib.suppress(Exception):
                await asyncio.wait_for(socket.close(code=1001, message=b"the server ends"), 2)
        if self._door is not None:
            await self._door.close()
        await self._runner.cleanup()

    def _connection(self):
        """The protocol of one connection, which is cut if it sends no whole request within HELLO seconds."""
        handler = self._runner.server()
        self._silent.add(handler)
        asyncio.get_running_loop().call_later(HELLO, self._cut_silent, handler)
        return handler

    def _cut_silent(self, handler):
        if handler in self._silent:
            self._silent.discard(handler)
            if handler.transport is not None:
                handler.transport.abort()

    async def _guard(self, request, handler):
        """Checks Host before anything else; every answer has the same headers, and none a traceback."""
        self._silent.discard(request.protocol)
        if request.headers.get("Host", "").lower() not in self._hosts:
            return self._answer("this server is not offered under that name\n", 403)
        try:
            response = await handler(request)
        except self._web.HTTPException as error:
            return self._answer(f"{error.status}\n", error.status)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _answer(self, text: str, status: int = 200):
        return self._web.Response(text=text, status=status, headers=HEADERS)

    async def _index(self, request):
        return self._file("index.html")

    async def _static(self, request):
        return self._file(request.match_info["name"])

    def _file(self, name: str):
        path = self._page / name
        kind = TYPES.get(path.suffix)
        if kind is None or path.name != name or name.startswith(".") or not path.is_file():
            raise self._web.HTTPNotFound()
        charset = "utf-8" if kind.startswith("text/") else None
        return self._web.Response(body=path.read_bytes(), content_type=kind, charset=charset)

    async def _health(self, request):
        facts = {"version": afjax.__version__, "protocol": PROTOCOL}
        facts |= {"sessions": self.studio.engine.sessions, "calls": len(self.studio.seats)}
        facts |= {"signs": self._signer is not None, "webrtc": self._door is not None}
        return self._web.json_response(facts)

    async def _portrait(self, request):
        picture = self.studio.portraits.get(request.match_info["name"])
        if picture is None:
            raise self._web.HTTPNotFound()
        return self._web.Response(body=picture, content_type="image/png")

    def _stranger(self, request, tokens: list[str]):
        """The answer to a page of another origin or without the token; None for our own."""
        if request.headers.get("Origin", "").lower() not in self._allowed:
            return self._answer("another page's origin\n", 403)
        if len(tokens) != 1 or not hmac.compare_digest(
            tokens[0].encode("utf-8", "surrogateescape"), self.token.encode()
        ):
            return self._answer("the token is missing or wrong: open the address that the server printed\n", 403)
        return None

    async def _recording(self, request):
        """A recording in MP4 -> the same, signed. It is in a temporary file meanwhile."""
        if self._signer is None:
            raise self._web.HTTPNotFound()
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if refused := self._stranger(request, [token] if kind == "Bearer" else []):
            return refused
        if (request.content_length or 0) > RECORDING:
            return self._answer("the recording is too large\n", 413)
        if self._recordings >= self.studio.engine.sessions:
            return self._answer("other recordings are being signed: try again\n", 503)
        self._recordings += 1
        try:
            with tempfile.TemporaryDirectory(prefix="afjax_recording_") as folder:
                return await self._signed(request, Path(folder))
        except TimeoutError:
            return self._answer("the recording came too slowly\n", 408)
        except InputError as error:
            return self._answer(f"{error}\n", 422)
        except ConnectionError:
            return self._answer("", 400)  # nobody is there to read it
        except OSError:
            return self._answer("there is no room for the recording\n", 507)
        finally:
            self._recordings -= 1

    async def _signed(self, request, folder: Path):
        given, signed, size = folder / "given.mp4", folder / "signed.mp4", 0
        async with asyncio.timeout(UPLOAD):
            with given.open("wb") as file:
                while part := await asyncio.wait_for(request.content.read(PART), PATIENCE):
                    size += len(part)
                    if size > RECORDING:
                        return self._answer("the recording is too large\n", 413)
                    await asyncio.to_thread(file.write, part)
        async with self._signing:
            await asyncio.to_thread(self._signer, given, signed)
        response = self._web.StreamResponse(headers={**HEADERS, "Content-Type": "video/mp4"})
        response.content_length = signed.stat().st_size
        await response.prepare(request)
        try:
            async with asyncio.timeout(UPLOAD):
                with signed.open("rb") as file:
                    while part := await asyncio.to_thread(file.read, PART):
                        await asyncio.wait_for(response.write(part), PATIENCE)
                await response.write_eof()
        except (TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()  # the head is sent: no other answer can be
        return response

    def _crowded(self) -> bool:
        peers = 0 if self._door is None else len(self._door.peers)
        return len(self._open) + peers >= self.studio.engine.sessions + SPARE

    async def _webrtc(self, request):
        """`ice`: the servers of ICE; `offer`: a page's description in JSON -> ours."""
        what = request.match_info["what"]
        if self._door is None or what not in ("ice", "offer"):
            raise self._web.HTTPNotFound()
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if refused := self._stranger(request, [token] if kind == "Bearer" else []):
            return refused
        if what == "ice":
            return self._web.json_response({"iceServers": self._door.servers})
        if self._crowded():
            return self._answer("too many pages are open\n", 503)
        try:
            offer = await self._offer(request)
            return self._web.json_response({"type": "answer", "sdp": await self._door.answer(offer)})
        except InputError as error:
            return self._answer(f"{error}\n", 422)
        except (TimeoutError, ConnectionError):
            return self._answer("the offer came too slowly\n", 408)

    @staticmethod
    async def _offer(request) -> str:
        data = b""
        async with asyncio.timeout(PATIENCE):
            while part := await request.content.read(PART):
                data += part
                if len(data) > OFFER:
                    raise InputError(f"an offer is at most {OFFER} bytes")
        try:
            offer = json.loads(data)
            if offer["type"] != "offer" or not isinstance(offer["sdp"], str):
                raise ValueError
        except (ValueError, TypeError, KeyError, RecursionError):
            raise InputError("an offer is JSON with `type` offer and `sdp`") from None
        return offer["sdp"]

    async def _live(self, request):
        """Refuses with a status before the socket is accepted, or talks until the socket's end."""
        asked = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        tokens = [name.removeprefix("token.") for name in asked if name.startswith("token.")]
        if refused := self._stranger(request, tokens):
            return refused
        if PROTOCOL not in asked:
            return self._answer(f"this server speaks {PROTOCOL}\n", 400)
        if self._crowded():
            return self._answer("too many pages are open\n", 503)
        socket = self._web.WebSocketResponse(
            protocols=(PROTOCOL,), max_msg_size=LIMITS.portrait + HEAD.size, compress=False, heartbeat=15, timeout=2
        )
        if not socket.can_prepare(request):
            return self._answer("this is the address of a WebSocket\n", 400)
        await socket.prepare(request)
        self._open.add(socket)
        try:
            await Link(self.studio, _Socket(socket)).run()
        finally:
            self._open.discard(socket)
            if not socket.closed and request.transport is not None:
                request.transport.abort()  # messages for a page that doesn't read would wait for ever
        return socket


class _Socket:
    """aiohttp's WebSocket as a `link.Socket`."""

    def __init__(self, socket):
        self._socket = socket

    async def receive(self) -> str | bytes | None:
        from aiohttp import WSMsgType

        message = await self._socket.receive()
        return message.data if message.type in (WSMsgType.TEXT, WSMsgType.BINARY) else None

    async def send(self, message: str | bytes) -> None:
        await (self._socket.send_str if isinstance(message, str) else self._socket.send_bytes)(message)

    async def close(self, code: int, reason: str) -> None:
        await self._socket.close(code=code, message=reason.encode())
