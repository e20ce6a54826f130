"""A double of LiveKit's server, for the real SDKs on this machine: rooms, tracks and data as far as tests need them.

    python -m tests.serving.livekit_double

prints its address and serves until its input ends. It shows that our use of the SDK holds together; of LiveKit's own
server it shows nothing. Tokens are read and not checked. Every picture is decoded and encoded anew, without simulcast.
"""

import asyncio
import base64
import contextlib
import json
import sys
import time

from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import candidate_from_sdp
from livekit.protocol import models, rtc

KINDS = {"standard": 0, "ingress": 1, "egress": 2, "sip": 3, "agent": 4}


class Client:
    """One participant: a socket, a connection for what it publishes, one for what it is sent."""

    def __init__(self, room, socket, claims, auto):
        self.room, self.socket, self.auto, number = room, socket, auto, len(room.all) + 1
        self.info = models.ParticipantInfo(
            sid=f"PA_{number}", identity=claims["sub"], name=claims.get("name", ""), state=2,
            joined_at=int(time.time()), kind=KINDS.get(claims.get("kind", "standard"), 0),
            attributes=claims.get("attributes", {}),
        )  # fmt: skip
        for right in ("can_subscribe", "can_publish", "can_publish_data"):
            setattr(self.info.permission, right, True)
        self.up, self.down = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
        self.channels = {n: self.down.createDataChannel(n, ordered=n == "_reliable") for n in ("_reliable", "_lossy")}
        self.added, self.tracks, self.sent, self.waiting = {}, {}, {}, {0: [], 1: []}
        self.turn, self.answered = asyncio.Lock(), asyncio.Event()
        self.up.on("datachannel", lambda channel: channel.on("message", self.spread))
        self.up.on("track", self.received)

    async def tell(self, **fields):
        if not self.socket.closed:
            await self.socket.send_bytes(rtc.SignalResponse(**fields).SerializeToString())

    async def offer(self):
        """Offers what it is sent; one at a time."""
        async with self.turn:
            self.answered.clear()
            await self.down.setLocalDescription(await self.down.createOffer())
            await self.tell(offer=rtc.SessionDescription(type="offer", sdp=self.down.localDescription.sdp))
            await asyncio.wait_for(self.answered.wait(), 20)

    async def take(self, request):
        """A message of the client."""
        kind = request.WhichOneof("message")
        if kind == "offer":
            await self.up.setRemoteDescription(RTCSessionDescription(request.offer.sdp, "offer"))
            await self.flush(0, self.up)
            await self.up.setLocalDescription(await self.up.createAnswer())
            await self.tell(answer=rtc.SessionDescription(type="answer", sdp=self.up.localDescription.sdp))
        elif kind == "answer":
            await self.down.setRemoteDescription(RTCSessionDescription(request.answer.sdp, "answer"))
            await self.flush(1, self.down)
            self.answered.set()
        elif kind == "trickle":
            self.waiting[request.trickle.target].append(json.loads(request.trickle.candidateInit))
            if (connection := (self.up, self.down)[request.trickle.target]).remoteDescription:
                await self.flush(request.trickle.target, connection)
        elif kind == "add_track":
            asked = request.add_track
            sid = f"TR_{self.info.sid[3:]}_{len(self.info.tracks)}"
            track = models.TrackInfo(
                sid=sid, type=asked.type, name=asked.name, source=asked.source, width=asked.width, height=asked.height,
                mime_type="audio/opus" if asked.type == 0 else "video/vp8",
            )  # fmt: skip
            self.info.tracks.append(track)
            self.added[asked.cid] = track
            await self.tell(track_published=rtc.TrackPublishedResponse(cid=asked.cid, track=track))
            await self.room.update(self)
        elif kind == "subscription":
            sids = [*request.subscription.track_sids]
            sids += [sid for one in request.subscription.participant_tracks for sid in one.track_sids]
            for other in self.room.others(self):
                for sid in {one.sid for one in other.info.tracks} & set(sids) if request.subscription.subscribe else ():
                    asyncio.ensure_future(self.subscribe(other, sid))  # its answer comes after this message
        elif kind == "ping_req":
            await self.tell(pong_resp=rtc.Pong(last_ping_timestamp=request.ping_req.timestamp, timestamp=_ms()))
        elif kind == "ping":
            await self.tell(pong=_ms())
        return kind != "leave"

    async def flush(self, target, connection):
        while self.waiting[target]:
            found = self.waiting[target].pop(0)
            if found.get("candidate"):
                candidate = candidate_from_sdp(found["candidate"].removeprefix("candidate:"))
                candidate.sdpMid, candidate.sdpMLineIndex = found.get("sdpMid"), found.get("sdpMLineIndex")
                if candidate.protocol == "udp":
                    await connection.addIceCandidate(candidate)

    def received(self, track):
        """Media of a track have come: to whom it belongs is told by its id, or by its kind."""
        kind = 0 if track.kind == "audio" else 1
        info = (
            self.added.get(track.id) or [t for t in self.info.tracks if t.type == kind and t.sid not in self.tracks][0]
        )
        self.tracks[info.sid] = track
        asyncio.ensure_future(drain(self.room.relay.subscribe(track)))
        for other in self.room.others(self):
            if other.auto or info.sid in other.sent:
                asyncio.ensure_future(other.subscribe(self, info.sid))

    async def subscribe(self, publisher, sid):
        """Sends a track of another's, now or once its media are there."""
        self.sent.setdefault(sid, None)
        if sid not in publisher.tracks or self.sent[sid] is not None:
            return
        sender = self.down.addTrack(self.room.relay.subscribe(publisher.tracks[sid]))
        sender._stream_id, sender._track_id = f"{publisher.info.sid}|{sid}", sid
        self.sent[sid] = sender
        await self.offer()
        await publisher.tell(track_subscribed=rtc.TrackSubscribed(track_sid=sid))

    def spread(self, message):
        """Data of a client, to those for whom they are."""
        packet = models.DataPacket.FromString(message)
        packet.participant_identity, packet.participant_sid = self.info.identity, self.info.sid
        names = set(packet.destination_identities)
        channel = "_lossy" if packet.kind == models.DataPacket.Kind.LOSSY else "_reliable"
        for other in self.room.others(self):
            if (not names or other.info.identity in names) and other.channels[channel].readyState == "open":
                other.channels[channel].send(packet.SerializeToString())


async def drain(track):
    """Takes a track as it comes: what nobody takes waits, and is sent late to who subscribes later."""
    with contextlib.suppress(MediaStreamError):
        while True:
            await track.recv()


class Room:
    """The clients of one name. `all`: those who have gone, too."""

    def __init__(self, name):
        self.info, self.clients, self.all, self.relay = models.Room(sid=f"RM_{name}", name=name), [], [], MediaRelay()

    def others(self, client):
        return [other for other in self.clients if other is not client]

    async def update(self, client):
        for other in self.others(client):
            await other.tell(update=rtc.ParticipantUpdate(participants=[client.info]))


def _ms():
    return int(time.time() * 1000)


async def serve(request):
    rooms, socket = request.app["rooms"], web.WebSocketResponse()
    token = request.query.get("access_token") or request.headers["Authorization"].removeprefix("Bearer ")
    body = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    room = rooms.setdefault(claims["video"]["room"], Room(claims["video"]["room"]))
    await socket.prepare(request)
    client = Client(room, socket, claims, request.query.get("auto_subscribe", "1") in ("1", "true"))
    others = room.others(client)
    await client.tell(join=rtc.JoinResponse(
        room=room.info, participant=client.info, other_participants=[other.info for other in others],
        server_version="1.8.0", subscriber_primary=True, ping_timeout=60, ping_interval=20,
        server_info=models.ServerInfo(version="1.8.0", protocol=15),
    ))  # fmt: skip
    room.clients.append(client)
    room.all.append(client)
    await room.update(client)
    tasks = [asyncio.ensure_future(begin(client, others))]
    try:
        async for message in socket:
            if isinstance(message.data, bytes) and not await client.take(rtc.SignalRequest.FromString(message.data)):
                break
    finally:
        room.clients.remove(client)
        client.info.state = models.ParticipantInfo.State.DISCONNECTED
        await room.update(client)
        for task in tasks:
            task.cancel()
        await asyncio.gather(client.up.close(), client.down.close(), return_exceptions=True)
    return socket


async def begin(client, others):
    await client.offer()
    for other in others:
        for sid in list(other.tracks) if client.auto else ():
            await client.subscribe(other, sid)


async def main():
    app = web.Application()
    app["rooms"] = {}
    app.add_routes([web.get("/rtc", serve), web.get("/rtc/validate", lambda request: asyncio.sleep(0, web.Response()))])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"ws://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
