"""One socket from `hello` to its end: messages become calls of a seat, and mistakes become `error` messages."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from afjax.audio.framing import FPS
from afjax.errors import InputError
from afjax.serving import protocol
from afjax.serving.outbox import Outbox
from afjax.serving.protocol import LIMITS, Camera, Command, Mic, ProtocolError
from afjax.serving.seat import Seat
from afjax.serving.studio import Studio

__all__ = ["HELLO", "Link", "Socket"]

log = logging.getLogger("afjax.serving")
HELLO = 3.0
"""Seconds without a message after which a socket that has not begun is closed; pages connect again when they begin."""
VACANCY = 2.0
"""Seconds for which a page waits for a slot: a page that is loaded again comes before its earlier call has ended."""
IDLE, PORTRAIT_WAIT = 30.0, 30.0
"""Seconds without a message after which a call ends, and for which a call waits for a portrait of its own."""
DEFERRED = 20
"""Commands that wait for a call that is about to begin."""
TURN = 16
"""Messages after which other tasks have their turn."""
FAULTS, FLOOD = 30, 500
"""A call ends after more unusable messages than FAULTS, or more messages than FLOOD in a second."""


class Socket(Protocol):
    """What a link needs of a WebSocket."""

    async def receive(self) -> str | bytes | None:
        """The next message, at once where there is one; None at the end."""

    async def send(self, message: str | bytes) -> None:
        """Sends a message, and waits until the network takes more."""

    async def close(self, code: int, reason: str) -> None:
        """Closes the socket; `receive` then gives None."""


class Link:
    """Talks with one page: `run`."""

    def __init__(self, studio: Studio, socket: Socket, begin: Callable[..., Awaitable[Seat]] | None = None, idle=IDLE):
        """`begin`: begins the call, by default `Studio.begin`; `idle`: seconds of silence after which it ends."""
        self._studio, self._socket, self._outbox = studio, socket, Outbox(self._too_slow)
        self._begin_call, self._idle = begin or studio.begin, idle
        self._sending: asyncio.Task | None = None
        self._zero = studio.now()  # 0 of the clock that `pong` tells: the call's, once it has begun
        self._seat: Seat | None = None
        self._opening: asyncio.Task | None = None
        self._portrait: asyncio.Future | None = None
        self._busy: asyncio.Task | None = None  # a portrait that is being read
        self._rate, self._faults, self._camera_due = 0, 0, 0.0
        self._second, self._count = 0, 0
        self._last, self._ended = self._zero, (1000, "")
        self._deferred: list[Command] = []

    async def run(self) -> None:
        """Talks from `hello` to the end, and frees the slot whatever happens."""
        self._sending = sending = asyncio.create_task(self._send())
        watching = asyncio.create_task(self._watch())
        code, reason = 1000, ""
        try:
            if not await self._studio.vacant_within(VACANCY):
                self._say("busy")
                code, reason = 1013, "busy"
            else:
                self._last = self._studio.now()
                self._hello()
                code, reason = await self._receive()
        except Exception:
            log.exception("a call failed")
            code, reason = 1011, "failed"
        finally:
            if self._opening is not None:
                self._portrait.cancel()  # a call that is about to begin does so, and ends
                await asyncio.gather(self._opening, return_exceptions=True)
            if self._busy is not None:
                self._busy.cancel()
            if self._seat is not None:
                await self._studio.end(self._seat)
            self._outbox.close()
            watching.cancel()
            await asyncio.wait({sending}, timeout=1.0)  # what waits is sent
            sending.cancel()
            await asyncio.gather(sending, watching, return_exceptions=True)
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._socket.close(code, reason), 2.0)

    def _too_slow(self):
        self._sending.cancel()

    async def _send(self):
        while (message := await self._outbox.get()) is not None:
            await self._socket.send(message)

    def _hello(self):
        studio = self._studio
        self._say(
            "hello", version=protocol.PROTOCOL, fps=FPS, block=studio.engine.config.layout.block,
            size=studio.codec.size, portraits=list(studio.portraits), voices=list(studio.voices),
            guided=self._guided, limits=protocol.limits(), generated=True,
        )  # fmt: skip

    @property
    def _guided(self) -> bool:
        """Whether a page can change how expressive the avatar is."""
        return getattr(self._studio.engine, "has_guidance", False)

    def _say(self, type: str, **fields: Any):
        self._outbox.put(protocol.message(type, **fields))

    async def _watch(self):
        """Closes the socket when its page has been silent for too long, or nothing more can be sent to it."""
        while True:
            await asyncio.wait({self._sending}, timeout=0.25)
            silent = self._studio.now() - self._last
            if self._sending.done():
                self._ended = (1008, "slow") if self._outbox.full else (1000, "")
            elif silent > (HELLO if self._opening is None else self._idle):
                self._ended = 1008, "idle"
            else:
                continue
            await self._socket.close(*self._ended)
            return

    async def _receive(self) -> tuple[int, str]:
        """Takes messages until the end; -> the code and the reason with which the socket is closed.

        A message costs no turn of the event loop, since every turn may have to wait for the interpreter beside busy
        threads.
        """
        number = 0
        while (message := await self._socket.receive()) is not None:
            number += 1
            self._last = self._studio.now()
            if self._flooded():
                self._say("error", code="flood", text=f"more than {FLOOD} messages a second")
                return 1008, "flood"
            try:
                ended = self._take(message)
            except ProtocolError as error:
                self._say("error", code=error.code, text=str(error))
                self._faults += 1
                if error.close:
                    return error.close, error.code
                if self._faults > FAULTS:
                    return 1008, "faults"
                continue
            if ended is not None:
                return ended
            if number % TURN == 0:
                await asyncio.sleep(0)
        return self._ended

    def _flooded(self) -> bool:
        second = int(self._studio.now())
        self._second, self._count = second, self._count + 1 if second == self._second else 1
        return self._count > FLOOD

    def _take(self, message: str | bytes) -> tuple[int, str] | None:
        """Takes one message; -> how the socket is closed if that ends it."""
        now = self._studio.now()
        if isinstance(message, str):
            return self._obey(protocol.command(message), now)
        found = protocol.unpack(message, self._rate)
        if self._opening is None:
            raise ProtocolError("order", "`begin` comes first")
        if isinstance(found, protocol.Portrait):
            self._look(found.data)
        elif self._seat is None or not self._seat.open:
            pass  # the call is about to begin or has just ended
        elif isinstance(found, Mic):
            self._seat.voice(found, self._rate, now)
        elif isinstance(found, Camera) and now >= self._camera_due:
            # a bucket of two pictures: thirty per second, whatever their rhythm
            self._camera_due = max(self._camera_due, now - 1 / LIMITS.pictures) + 1 / LIMITS.pictures
            self._seat.picture(found.data, found.seconds)
            if not self._rate:  # the clock of a page that sends no sound
                self._seat.call.follow(found.seconds, now)
        return None

    def _obey(self, command: Command, now: float) -> tuple[int, str] | None:
        fields = command.fields
        if command.type == "ping":
            answered = self._studio.now() - self._zero
            self._say("pong", sent=fields["sent"], received=now - self._zero, answered=answered)
        elif command.type == "begin":
            return self._begin(fields, now)
        elif command.type == "end":
            return 1000, "end"
        elif command.type != "shown" and self._opening is None:
            raise ProtocolError("order", f"{command.type}: `begin` comes first")
        elif command.type == "look":
            self._look(fields["portrait"])
        elif self._seat is None:
            self._deferred = [*self._deferred[-DEFERRED:], command]
        elif self._seat.open:
            self._act(command, now)
        return None

    def _act(self, command: Command, now: float):
        fields = command.fields
        if command.type == "say":
            self._seat.say(fields["text"])
        elif command.type == "interrupt":
            self._seat.interrupt(now)
        elif command.type == "gesture":
            if not self._seat.call.gesture(fields["name"]):
                raise ProtocolError("unsupported", "gesture: this avatar has nod, smile and look, or none at all")
        elif command.type == "expressiveness":
            if not self._guided:
                raise ProtocolError("unsupported", "expressiveness: this model has no guidance")
            sampler = self._studio.engine.config.sampler
            own = sampler.guidance_joint + sampler.guidance_reaction - 1.0  # what guidance adds
            self._seat.call.guide(1.0 + float(fields["value"]) * own)
        elif command.type == "voice":
            if fields["name"] not in self._studio.voices or not self._seat.use_voice(fields["name"]):
                raise ProtocolError("unsupported", "voice: there is no such voice, or this brain has but one")

    def _begin(self, fields: dict[str, Any], now: float) -> tuple[int, str] | None:
        if self._opening is not None:
            raise ProtocolError("order", "begin: the call has begun")
        if fields["voice"] and fields["voice"] not in self._studio.voices:
            raise ProtocolError("voice", "begin: there is no such voice; choose one of hello's, or none")
        if fields["portrait"] and fields["portrait"] not in self._studio.portraits:
            raise ProtocolError("portrait", "begin: there is no such portrait; choose one of hello's, or send your own")
        if not self._studio.reserve():
            self._say("busy")
            return 1013, "busy"
        self._rate, self._zero = fields["mic_rate"], now
        self._portrait = asyncio.get_running_loop().create_future()
        if fields["portrait"]:
            self._portrait.set_result(fields["portrait"])
        self._opening = asyncio.create_task(self._open(fields["voice"], now))
        return None

    async def _open(self, voice: str, begun: float):
        """Begins the call once its portrait is there; another portrait may follow one that can't be used."""
        try:
            async with asyncio.timeout(PORTRAIT_WAIT):
                identity = None
                while identity is None:
                    try:
                        identity, said = await self._studio.identity(await self._portrait)
                    except ProtocolError as error:
                        self._say("error", code=error.code, text=str(error))
                        self._portrait = asyncio.get_running_loop().create_future()
            self._warn(said)
            self._seat = await self._begin_call(begun, identity, voice, self._outbox)
        except Exception as error:
            text = "begin: no portrait has come" if isinstance(error, TimeoutError) else "begin: it failed"
            text = f"begin: {error}" if isinstance(error, InputError) else text
            if not isinstance(error, TimeoutError | InputError):
                log.exception("a call could not begin")
            self._say("error", code="begin", text=text)
            self._outbox.close()
            self._deferred.clear()
        finally:
            if self._seat is None:
                self._studio.give_back()
        for command in self._deferred:
            try:
                self._act(command, self._studio.now())
            except ProtocolError as error:
                self._say("error", code=error.code, text=str(error))

    def _look(self, portrait: str | bytes):
        """Takes a portrait by name or bytes: the one with which the call begins, or another later."""
        if self._seat is None:
            if self._portrait.done():
                raise ProtocolError("order", "portrait: one is being read")
            self._portrait.set_result(portrait)
        elif self._busy is not None and not self._busy.done():
            raise ProtocolError("order", "portrait: another one is being read; send it again when it is shown")
        else:
            self._busy = asyncio.create_task(self._change(portrait))

    async def _change(self, portrait: str | bytes):
        try:
            identity, said = await self._studio.identity(portrait)
        except ProtocolError as error:
            self._say("error", code=error.code, text=str(error))
        else:
            self._warn(said)
            if self._seat is not None:
                self._seat.identity = identity

    def _warn(self, said: list[str]):
        for text in said:
            self._say("error", code="note", text=text)
