"""One peer connection: the page's offer, its tracks, and its data channel as the socket of a `Link`.

All of aiortc runs on the network's loop. Methods that `Link` and the seat call run on the studio's loop and hand over.

    studio's loop                                   network's loop
    Link ── receive, send, close ─────────────────  data channel `afjax.live.1`
    Tap ── hear, show, cut ───────────────────────► VoiceTrack, PictureTrack ──► encoders, packets
    Visitor.hear, .see ◄── on_sound, on_picture ──  tracks of the page, always drained, the newest picture alone
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from afjax.errors import InputError
from afjax.serving import protocol
from afjax.serving.protocol import HEAD, LIMITS, PROTOCOL
from afjax.serving.webrtc.network import Network
from afjax.serving.webrtc.tracks import PictureTrack, VoiceTrack

try:
    import aiortc
    from aiortc.mediastreams import MediaStreamError
except ImportError as missing:
    raise InputError("the package aiortc is missing", do="pip install -r requirements-webrtc.txt") from missing

__all__ = ["MORE", "Peer"]

log = logging.getLogger("afjax.serving")
MORE = 1
"""Flag of a binary message that goes on in the next one: data channels take 64 KiB at once."""
WAITING = 1 << 18
"""Bytes that may wait for the network before the next message has to wait."""
SIDE = 640
"""Pixels of the longer side above which pictures of the page are made smaller."""
LARGEST = 1920 * 1080
GAP = 1 / LIMITS.pictures
FLUSH = 1.0
"""Seconds for which a connection waits at its end until its last message has gone."""
_OVER = object()


class Peer:
    """One page's connection.

    Attributes:
      opened: set once the data channel is there; closed: set at the end. Both belong to the studio's loop.
      on_sound: called with int16 `[n]` mono and its rate; on_picture: with uint8 `[h, w, 3]` RGB; on the studio's loop.
    """

    def __init__(self, network: Network, servers: Sequence[dict] = (), codecs: Sequence[str] = ("VP8", "H264")):
        """`servers`: ICE servers, as `RTCIceServer` takes them; `codecs`: codecs of pictures, the best first."""
        self._network, self._loop = network, asyncio.get_running_loop()
        self._servers, self._codecs = servers, codecs
        self.opened, self.closed = asyncio.Event(), asyncio.Event()
        self.on_sound: Callable[[np.ndarray, int], None] = lambda samples, rate: None
        self.on_picture: Callable[[np.ndarray], None] = lambda pixels: None
        origin = time.monotonic()
        self.voice, self.pictures = VoiceTrack(origin), PictureTrack(origin, network.loop)
        self._messages: asyncio.Queue = asyncio.Queue()
        self._parts = b""
        self._connection: aiortc.RTCPeerConnection | None = None
        self._channel: aiortc.RTCDataChannel | None = None
        self._tasks: set[asyncio.Task] = set()
        self._newest, self._seen = None, 0.0

    # On the studio's loop: what a seat plays

    def hear(self, end: float, samples: np.ndarray) -> None:
        """Sound up to the time `end`."""
        self.voice.reel.put(end, samples)

    def show(self, due: float, pixels: np.ndarray) -> None:
        """A picture that is due at the time `due`."""
        self.pictures.show(due, pixels)

    def cut(self) -> None:
        """Drops sound that has not left for the network."""
        self.voice.reel.cut()

    @property
    def dropped(self) -> int:
        """Pictures that came faster than they were encoded."""
        return self.pictures.dropped

    def leave(self) -> None:
        """The call has ended; the connection ends when its page goes."""

    # On the studio's loop: the socket of a link

    async def answer(self, offer: str) -> str:
        """The description of our side, with all its addresses. Raises InputError if the page's offer can't be used."""
        try:
            return await self._network.run(self._answer(offer))
        except Exception as error:  # parsers of strangers' descriptions raise what they like
            log.debug("an offer that can't be used", exc_info=error)
            raise InputError("the offer can't be used", do="offer audio, video in VP8 or H.264, and data") from None

    async def receive(self) -> str | bytes | None:
        """The next message, the parts of a binary one joined; None at the end."""
        while (message := await self._messages.get()) is not _OVER:
            if isinstance(message, str) or len(message) < HEAD.size:
                return message
            more, message = message[1] == MORE, message[:1] + bytes([message[1] & ~MORE]) + message[2:]
            self._parts = self._parts + message[HEAD.size :] if self._parts else message
            if not more or len(self._parts) > HEAD.size + LIMITS.portrait:
                message, self._parts = self._parts, b""
                return message
        return None

    async def send(self, message: str | bytes) -> None:
        """Sends a message, and waits until the network takes more."""
        await self._network.run(self._send(message))

    async def close(self, code: int, reason: str) -> None:
        """Tells why, and ends the connection; `receive` then gives None."""
        await self._network.run(self._close(protocol.message("closed", code=code, reason=reason)))

    def _from_page(self, message: Any):
        self._messages.put_nowait(message)

    def _ended(self):
        self.closed.set()
        self.opened.set()
        self._messages.put_nowait(_OVER)

    # On the network's loop

    def _tell(self, function: Callable, *arguments: Any):
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    async def _answer(self, offer: str) -> str:
        servers = [aiortc.RTCIceServer(**server) for server in self._servers]
        self._connection = connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=servers))
        connection.on("track", self._track)
        connection.on("datachannel", self._open)
        connection.on("connectionstatechange", self._changed)
        connection.addTransceiver(self.voice, direction="sendrecv")
        seen = connection.addTransceiver(self.pictures, direction="sendrecv")
        found = aiortc.RTCRtpSender.getCapabilities("video").codecs
        order = [f"video/{name}".lower() for name in (*self._codecs, "rtx")]
        known = [codec for codec in found if codec.mimeType.lower() in order]
        seen.setCodecPreferences(sorted(known, key=lambda codec: order.index(codec.mimeType.lower())))
        try:
            await connection.setRemoteDescription(aiortc.RTCSessionDescription(_open_ended(offer), "offer"))
            await connection.setLocalDescription(await connection.createAnswer())
        except BaseException:
            await self._close()
            raise
        return connection.localDescription.sdp

    def _open(self, channel: aiortc.RTCDataChannel):
        if self._channel is not None or channel.label != PROTOCOL:
            channel.close()
            return
        self._channel = channel
        channel.bufferedAmountLowThreshold = WAITING // 2
        channel.on("message", lambda message: self._tell(self._from_page, message))
        channel.on("close", lambda: self._later(self._close()))
        self._tell(self.opened.set)

    def _changed(self):
        if self._connection is not None and self._connection.connectionState in ("failed", "closed"):
            self._later(self._close())

    def _track(self, track: aiortc.MediaStreamTrack):
        self._later(self._drain_sound(track) if track.kind == "audio" else self._drain_pictures(track))

    async def _drain_sound(self, track: aiortc.MediaStreamTrack):
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels)).mean(1).astype(np.int16)
                self._tell(self.on_sound, samples, frame.sample_rate)

    async def _drain_pictures(self, track: aiortc.MediaStreamTrack):
        news = asyncio.Event()
        self._later(self._convert(news))
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if frame.width * frame.height <= LARGEST:
                    self._newest = frame
                    news.set()

    async def _convert(self, news: asyncio.Event):
        """Hands on the newest picture as pixels, at most as many per second as pages may send."""
        while True:
            await news.wait()
            wait = self._seen + GAP - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            news.clear()
            self._seen = time.monotonic()
            pixels = await asyncio.get_running_loop().run_in_executor(None, _pixels, self._newest)
            self._tell(self.on_picture, pixels)

    async def _send(self, message: str | bytes):
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return
        channel.send(message)
        while channel.readyState == "open" and channel.bufferedAmount > WAITING:
            await asyncio.sleep(0.01)

    async def _close(self, last: str = ""):
        connection, self._connection = self._connection, None
        if connection is None:
            return
        channel = self._channel
        if last and channel is not None and channel.readyState == "open":
            channel.send(last)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH):
                    while channel.readyState == "open" and channel.bufferedAmount:
                        await asyncio.sleep(0.01)
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        await connection.close()
        self.voice.stop()
        self.pictures.stop()
        self._tell(self._ended)

    def _later(self, work):
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task):
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a peer failed", exc_info=task.exception())


def _pixels(frame) -> np.ndarray:
    """A frame as uint8 `[h, w, 3]` RGB, its longer side at most SIDE pixels."""
    scale = min(1.0, SIDE / max(frame.width, frame.height))
    width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
    return frame.reformat(width=width, height=height, format="rgb24").to_ndarray()


def _open_ended(offer: str) -> str:
    """The offer without its word that the page has no more addresses.

    Browsers that may not use camera or microphone yet give names of multicast DNS in place of addresses. Where these
    don't resolve, none is left to try, and ICE would give up before the page's own packets tell its address.
    """
    return "".join(line for line in offer.splitlines(keepends=True) if line.strip() != "a=end-of-candidates")
