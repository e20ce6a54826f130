"""The door for pages that come by WebRTC: it answers offers, and runs a `Link` once the data channel is open."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from afjax.errors import InputError
from afjax.serving.link import Link
from afjax.serving.outbox import Outbox
from afjax.serving.seat import Seat
from afjax.serving.studio import Studio
from afjax.serving.webrtc.network import Network
from afjax.serving.webrtc.peer import Peer
from afjax.serving.webrtc.visitor import LEAD, Visitor

__all__ = ["Door", "ice_servers"]

log = logging.getLogger("afjax.serving")
IDLE = 8.0
"""Seconds without a message after which a call ends. A page sends one per second; one that goes may say nothing."""
CONNECT = 15.0
"""Seconds in which a page that was answered must be connected."""


def ice_servers(urls: Sequence[str], username: str = "", credential: str = "") -> list[dict[str, Any]]:
    """Servers of ICE for our side and the page's. Raises InputError for a URL that is no such server."""
    for url in urls:
        if url.partition(":")[0] not in ("stun", "turn", "turns") or not url.partition(":")[2]:
            raise InputError(f"{url!r} is no server of ICE", do="give stun:HOST, turn:HOST or turns:HOST")
    if any(url.startswith("turn") for url in urls) and not (username and credential):
        raise InputError(
            "a TURN server asks for a name and a password", do="set AFJAX_TURN_USER and AFJAX_TURN_PASSWORD"
        )
    secret = {"username": username, "credential": credential}
    return [{"urls": [url], **(secret if url.startswith("turn") else {})} for url in urls]


class Door:
    """Attributes: `servers` of ICE; `peers` that are connected or about to be."""

    def __init__(self, studio: Studio, servers: Sequence[dict] = (), codecs: Sequence[str] = ("VP8", "H264")):
        """`servers`, `codecs`: as for `Peer`. The door belongs to the studio's loop."""
        self._studio, self.servers, self._codecs = studio, list(servers), codecs
        self.peers: set[Peer] = set()
        self._network: Network | None = None
        self._links: set[asyncio.Task] = set()

    async def answer(self, offer: str) -> str:
        """Our description in answer to the page's. Its call is a task of the studio's loop. Raises as `Peer.answer`."""
        self._network = self._network or Network()
        peer = Peer(self._network, self.servers, self._codecs)
        self.peers.add(peer)
        try:
            answer = await peer.answer(offer)
        except BaseException:
            self.peers.discard(peer)
            raise
        task = asyncio.get_running_loop().create_task(self._talk(peer))
        self._links.add(task)
        task.add_done_callback(self._links.discard)
        return answer

    async def _talk(self, peer: Peer):
        try:
            try:
                await asyncio.wait_for(peer.opened.wait(), CONNECT)
            except TimeoutError:
                log.info("a page that was answered did not come: the two machines may not reach each other")
                return
            await Link(self._studio, peer, partial(self._begin, peer), IDLE).run()
        finally:
            await peer.close(1001, "")
            self.peers.discard(peer)

    async def _begin(self, peer: Peer, begun: float, identity: Any, voice: str, outbox: Outbox) -> Seat:
        make = partial(Visitor, player=peer, begun=begun, clock=self._studio.now)
        seat = await self._studio.begin(begun, identity, voice, outbox, make, LEAD)
        peer.on_sound, peer.on_picture = seat.hear, seat.see
        return seat

    async def close(self) -> None:
        """Ends all calls of this door, and its thread."""
        for task in list(self._links):
            task.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)
        if self._network is not None:
            await self._network.close()
            self._network = None
