"""The avatar on the agent's side.

avatar = AvatarSession("http://127.0.0.1:8089", secret=...)     # a worker of its own, on the machine with the GPU
avatar = AvatarSession(studio=studio)                           # in the agent's process
await avatar.start(session, ctx.room)                           # before `session.start`
"""

import contextlib
import datetime
import os

from afjax.errors import InputError
from afjax.serving.livekit.guest import RATE, Guest
from afjax.serving.studio import Studio

try:
    from livekit import api, rtc
    from livekit.agents import AgentSession
    from livekit.agents.voice import avatar as contract
except ImportError as missing:
    raise InputError("the package livekit-agents is missing", do="pip install -r requirements-livekit.txt") from missing

__all__ = ["AvatarSession"]

ON_BEHALF = "lk.publish_on_behalf"
JOIN = 60.0
"""Seconds that a worker may take to come into the room."""
CLEAR = 2.0
"""Seconds for which the end of an interrupted speech is waited for."""
VALID = datetime.timedelta(hours=1)
"""Time for which the avatar may enter the room with its token."""


class AvatarSession(contract.AvatarSession):
    """An avatar that says what an agent says, and sees and hears the user by itself."""

    def __init__(
        self, worker: str = "", secret: str = "", studio: Studio | None = None, portrait: str = "", user: str = "",
        identity: str = "afjax-avatar", name: str = "avatar",
    ):  # fmt: skip
        """Asks for nothing before `start`.

        Args:
          worker: address of a `Worker`, by default AFJAX_WORKER; secret: its secret, by default AFJAX_SECRET.
          studio: a studio that has started, for an avatar in this process; no worker is asked then.
          portrait: name of one of the studio's portraits; by default the first.
          user: identity of the person whom the avatar sees and hears; by default the first user.
          identity, name: of the worker's participant.
        """
        super().__init__()
        self._worker = worker or os.environ.get("AFJAX_WORKER", "")
        self._secret = secret or os.environ.get("AFJAX_SECRET", "")
        self._studio, self._portrait, self._user = studio, portrait, user
        self._identity, self._name = identity, name
        self._guest: Guest | None = None
        if studio is None and not self._worker:
            raise InputError("the avatar has no worker", do="give its address, AFJAX_WORKER, or a studio")

    @property
    def avatar_identity(self) -> str:
        """Identity of the participant with the avatar's tracks: the worker's, or the agent."""
        return self._identity

    @property
    def provider(self) -> str:
        """afjax."""
        return "afjax"

    async def start(
        self, agent_session: AgentSession, room: rtc.Room, *, livekit_url: str = "", livekit_api_key: str = "",
        livekit_api_secret: str = "",
    ) -> None:  # fmt: skip
        """Brings the avatar into a room that is connected, and the agent's voice to the avatar.

        Address, key and secret of the LiveKit server: by default LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET.
        Raises InputError if the worker can't be reached or has no avatar to give.
        """
        if not room.isconnected():
            raise InputError("the room is not connected", do="await ctx.connect() before the avatar starts")
        if self._studio is not None:
            self._identity = room.local_participant.identity
            output = contract.QueueAudioOutput(sample_rate=RATE, wait_playback_start=True)
            guest = Guest(self._studio, room)
            await guest.start(output, self._portrait, self._user)
            self._guest = guest
        else:
            url = livekit_url or os.environ.get("LIVEKIT_URL", "")
            token = self._token(room, livekit_api_key, livekit_api_secret)
            rate = await self._ask(url, token, room.local_participant.identity)
            output = contract.DataStreamAudioOutput(
                room, destination_identity=self._identity, sample_rate=rate, clear_buffer_timeout=CLEAR,
                wait_remote_track=rtc.TrackKind.KIND_VIDEO, wait_playback_start=True,
            )  # fmt: skip
        await super().start(agent_session, room)
        agent_session.output.replace_audio_tail(output)

    async def aclose(self) -> None:
        """Ends the avatar."""
        if self._guest is not None:
            guest, self._guest = self._guest, None
            await guest.aclose()
            if self._room is not None:  # the avatar's participant is the agent: it is not sent away
                with contextlib.suppress(Exception):
                    self._room.off("connection_state_changed", self._on_connection_state_changed)
                self._room = None
        await super().aclose()

    def _token(self, room: rtc.Room, key: str, secret: str) -> str:
        try:
            token = api.AccessToken(key or None, secret or None)
        except ValueError:
            raise InputError(
                "key or secret of the LiveKit server are missing", do="set LIVEKIT_API_KEY and LIVEKIT_API_SECRET"
            ) from None
        me = room.local_participant.identity
        grants = api.VideoGrants(room_join=True, room=room.name)
        token = token.with_identity(self._identity).with_name(self._name).with_kind("agent").with_grants(grants)
        return token.with_attributes({ON_BEHALF: me}).with_ttl(VALID).to_jwt()

    async def _ask(self, url: str, token: str, agent: str) -> int:
        """Asks the worker for an avatar; -> the rate of its voice."""
        import aiohttp

        asked = {"url": url, "token": token, "agent": agent, "portrait": self._portrait, "user": self._user}
        head = {"Authorization": f"Bearer {self._secret}"}
        limit = aiohttp.ClientTimeout(total=JOIN)
        try:
            async with aiohttp.ClientSession(timeout=limit) as client:
                async with client.post(f"{self._worker.rstrip('/')}/join", json=asked, headers=head) as answer:
                    said = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            what = f"the worker does not answer ({str(error) or 'it takes too long'})"
            raise InputError(what, self._worker, do="start it: python -m experiments.livekit_worker") from None
        if answer.status != 200:
            raise InputError(
                str(said.get("error", answer.status)) if isinstance(said, dict) else "refused", self._worker
            )
        return int(said["rate"])
