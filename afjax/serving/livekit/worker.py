"""A small HTTP server that agents ask for an avatar in their room.

    POST /join   Authorization: Bearer SECRET
                 {"url", "token", "agent", "portrait", "user"}  ->  200 {"rate"} once the avatar is there
                 401 without the secret, 400 {"error"}, 503 {"error"} where all slots are taken, 500 {"error"}
    GET /health  {"sessions", "calls"}

The token lets the avatar into a room under an identity; agents make it (`session`). The server listens on loopback
unless it is told otherwise. Beyond loopback put TLS before it: the secret and the tokens are sent as they are.
"""

import asyncio
import contextlib
import hmac
import json
import logging
import secrets

from afjax.errors import InputError
from afjax.serving.livekit.guest import RATE, Guest, join
from afjax.serving.studio import Studio

__all__ = ["FIELDS", "Worker"]

log = logging.getLogger("afjax.serving")
FIELDS = ("url", "token", "agent", "portrait", "user")
SIZE = 16 << 10
SCHEMES = ("ws://", "wss://", "http://", "https://")


class Worker:
    """Serves a studio that has started. `url`: its address, once it listens; `secret`: what agents must know."""

    def __init__(self, studio: Studio, host: str = "127.0.0.1", port: int = 0, secret: str = ""):
        """`port`: 0 takes a free one; `secret`: at least 16 characters, a random one by default."""
        if secret and len(secret) < 16:
            raise InputError("the secret is shorter than 16 characters", do="give a longer one, or none")
        self.studio, self.secret, self.url = studio, secret or secrets.token_urlsafe(24), ""
        self._host, self._port, self._runner = host, port, None
        self._calls: dict[asyncio.Task, Guest] = {}

    async def start(self) -> str:
        """Listens; -> `url`. Raises InputError if the port is taken."""
        from aiohttp import web

        app = web.Application(client_max_size=SIZE)
        app.add_routes([web.post("/join", self._join), web.get("/health", self._health)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise InputError(f"can't listen on {self._host}:{self._port} ({error.strerror})", "worker") from None
        port = self._runner.addresses[0][1]
        self.url = f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{port}"
        return self.url

    async def stop(self) -> None:
        """Ends all calls and stops listening."""
        for call in list(self._calls):
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def _health(self, request):
        from aiohttp import web

        return web.json_response({"sessions": self.studio.engine.sessions, "calls": len(self._calls)})

    async def _join(self, request):
        from aiohttp import web

        kind, _, secret = request.headers.get("Authorization", "").partition(" ")
        given = secret.encode("utf-8", "surrogateescape") if kind == "Bearer" else b""
        if not hmac.compare_digest(given, self.secret.encode()):
            return web.json_response({"error": "the secret is missing or wrong"}, status=401)
        try:
            asked = _fields(await request.text())
            if not self.studio.vacant:
                return web.json_response({"error": "all avatars are taken: try again later"}, status=503)
            room, guest = await join(self.studio, **asked)
        except InputError as error:
            return web.json_response({"error": str(error)}, status=400)
        except web.HTTPException:
            raise
        except Exception:
            log.exception("an avatar could not come")
            return web.json_response({"error": "the avatar could not come; the worker's log says why"}, status=500)
        call = asyncio.get_running_loop().create_task(self._stay(room, guest))
        self._calls[call] = guest
        call.add_done_callback(self._calls.pop)
        return web.json_response({"rate": RATE})

    async def _stay(self, room, guest: Guest):
        """Holds a call until the agent or the room is gone."""
        try:
            await guest.gone.wait()
        finally:
            await guest.aclose()
            with contextlib.suppress(Exception):
                await asyncio.wait_for(room.disconnect(), 5.0)


def _fields(text: str) -> dict[str, str]:
    """The fields of an agent's request. Raises InputError if it is no such request."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError("the request is not JSON", "join") from None
    found = found if isinstance(found, dict) else {}
    asked = {name: found.get(name, "") for name in FIELDS}
    if not all(isinstance(value, str) and len(value) < SIZE for value in asked.values()):
        raise InputError(f"{', '.join(FIELDS)} are strings", "join")
    for name in ("url", "token", "agent"):
        if not asked[name]:
            raise InputError(f"`{name}` is missing", "join")
    if not asked["url"].startswith(SCHEMES):
        raise InputError("`url` is no address of a LiveKit server", "join", do=f"it begins with {SCHEMES[0]} or wss://")
    return asked
