"""One avatar in one room, from the first picture to the end: a feed, its runner and its user."""

import asyncio
import logging

from afjax.errors import InputError
from afjax.serving.feed import open_feed
from afjax.serving.livekit.runner import Runner
from afjax.serving.livekit.user import User
from afjax.serving.studio import Studio

try:
    from livekit import rtc
    from livekit.agents.voice.avatar import AudioReceiver, DataStreamAudioReceiver
except ImportError as missing:
    raise InputError("the package livekit-agents is missing", do="pip install -r requirements-livekit.txt") from missing

__all__ = ["Guest", "RATE", "join"]

log = logging.getLogger("afjax.serving")
RATE = 24_000
"""Hz of the avatar's voice."""
LEAD = 0.06
"""Seconds of sound that wait in the source, by which the event loop may be late."""
WAIT = 20.0
"""Seconds for which a room, and the agent in it, are waited for."""
FRAME = 20
"""Milliseconds per frame of speech; a frame comes when it is full."""


class Guest:
    """An avatar in a room that is connected. `gone`: set when it has ended by itself and is to be closed."""

    def __init__(self, studio: Studio, room: rtc.Room):
        self._studio, self._room, self.gone = studio, room, asyncio.Event()
        self._feed = self._runner = self._user = None

    async def start(self, receiver: AudioReceiver, portrait: str = "", user: str = "") -> None:
        """Begins; `portrait` as for `open_feed`, `user` as for `User`. If it raises InputError, the guest has ended."""
        try:
            self._feed = await open_feed(self._studio, portrait, RATE, LEAD)
            self._runner = Runner(self._room, self._feed, receiver, self._studio.codec.size)
            self._runner.on_end = self.gone.set
            self._user = User(self._room, self._feed, user)
            self._user.start()
            await asyncio.wait_for(self._runner.start(), WAIT)
        except TimeoutError:
            await self.aclose()
            raise InputError("no agent has come into the room", do="start the agent first") from None
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Ends the avatar; the room stays connected. A second call does nothing."""
        feed, runner, user = self._feed, self._runner, self._user
        self._feed = self._runner = self._user = None
        for part in (user, runner):
            if part is not None:
                await part.aclose()
        if feed is not None:
            await self._studio.end(feed)


async def join(
    studio: Studio, url: str, token: str, agent: str, portrait: str = "", user: str = ""
) -> tuple[rtc.Room, Guest]:
    """Connects to a room as its avatar.

    Args:
      url, token: of the room; the token has the avatar's identity.
      agent: identity of the participant whose speech it says, sent by `DataStreamAudioOutput`.

    Returns the room and the guest, who is also `gone` when the agent or the room is.

    Raises InputError if no slot is free, the room can't be reached or the agent does not come.
    """
    room = rtc.Room()
    guest = Guest(studio, room)
    if not studio.vacant:
        raise InputError("all slots of the engine are taken", do="try again later")
    try:
        await asyncio.wait_for(room.connect(url, token, rtc.RoomOptions(auto_subscribe=False)), WAIT)
    except (rtc.ConnectError, TimeoutError) as error:
        raise InputError(f"the room can't be entered ({str(error) or 'no answer'})", do="check url and token") from None
    room.on("disconnected", lambda reason: guest.gone.set())
    room.on("participant_disconnected", lambda one: guest.gone.set() if one.identity == agent else None)
    try:
        await guest.start(DataStreamAudioReceiver(room, sender_identity=agent, frame_size_ms=FRAME), portrait, user)
    except BaseException:
        await room.disconnect()
        raise
    return room, guest
