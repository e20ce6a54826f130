"""A page in a few lines that comes by WebRTC: it sends a voice and a picture, and keeps when what came was there."""

import asyncio
import fractions
import json
import re
import time

import aiohttp
import aiortc
import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from afjax.serving import protocol
from afjax.serving.webrtc.peer import MORE
from tests.serving.client import address

RATE = 48_000


class Microphone(MediaStreamTrack):
    """A tone of `loud` in packets of 20 ms."""

    kind = "audio"

    def __init__(self):
        super().__init__()
        self.loud, self._n, self._start = 0.0, 0, time.monotonic()

    async def recv(self):
        await asyncio.sleep(max(0.0, self._start + self._n * 0.02 - time.monotonic()))
        times = (self._n * 960 + np.arange(960)) / RATE
        pcm = (32767 * self.loud * np.sin(2 * np.pi * 300 * times)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 960 * self._n, fractions.Fraction(1, RATE)
        self._n += 1
        return frame


class Webcam(MediaStreamTrack):
    """Pictures of one grey `level`, 25 a second."""

    kind = "video"

    def __init__(self, width=64, height=48):
        super().__init__()
        self.level, self.size, self._n, self._start = 120, (height, width, 3), 0, time.monotonic()

    async def recv(self):
        await asyncio.sleep(max(0.0, self._start + self._n * 0.04 - time.monotonic()))
        frame = av.VideoFrame.from_ndarray(np.full(self.size, self.level, np.uint8), format="rgb24")
        frame.pts, frame.time_base = 3600 * self._n, fractions.Fraction(1, 90_000)
        self._n += 1
        return frame


class RtcPage:
    """`with` connects; `told` are JSON messages, `sound` (time, loudness) of 5 ms, `pictures` (time, mean level)."""

    def __init__(self, server, mic=True, camera=True, codec=None, relayed=False, hidden=False, **headers):
        self.server, self.told, self.sound, self.pictures = server, [], [], []
        self.mic, self.webcam = Microphone() if mic else None, Webcam() if camera else None
        self._codec, self._relayed, self._hidden = codec, relayed, hidden
        self._headers = {"Origin": address(server).rstrip("/"), "Authorization": f"Bearer {server.token}", **headers}
        self.shape = None

    async def post(self, what, body=None):
        async with (
            aiohttp.ClientSession() as client,
            client.post(address(self.server) + f"webrtc/{what}", data=body, headers=self._headers) as answer,
        ):
            return answer.status, await answer.text()

    async def offer(self) -> str:
        """What a page posts, in JSON."""
        servers, policy = [], aiortc.RTCIceTransportPolicy.ALL
        if self._relayed:  # by the server's TURN server or not at all
            ice = json.loads((await self.post("ice"))[1])["iceServers"]
            servers, policy = [aiortc.RTCIceServer(**one) for one in ice], aiortc.RTCIceTransportPolicy.RELAY
        self.connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(servers, iceTransportPolicy=policy))
        self.channel = self.connection.createDataChannel(protocol.PROTOCOL)
        for kind, track in (("audio", self.mic), ("video", self.webcam)):
            self.connection.addTransceiver(track or kind, direction="sendrecv" if track else "recvonly")
        if self._codec:
            codecs = aiortc.RTCRtpSender.getCapabilities("video").codecs
            video = self.connection.getTransceivers()[1]
            video.setCodecPreferences([codec for codec in codecs if codec.mimeType == f"video/{self._codec}"])
        self._reading = []
        self.connection.on("track", lambda track: self._reading.append(asyncio.ensure_future(self._watch(track))))
        self.channel.on("message", lambda data: self.told.append(json.loads(data)))
        await self.connection.setLocalDescription(await self.connection.createOffer())
        sdp = self.connection.localDescription.sdp
        if self._hidden:  # as browsers write addresses of a page without camera, in a network that resolves no names
            sdp = re.sub(r"(a=candidate:\S+ \d udp \d+) \S+", r"\1 3f2c9a1e-nobody.local", sdp)
        self.offered = sdp
        return json.dumps({"type": "offer", "sdp": sdp})

    async def __aenter__(self):
        status, text = await self.post("offer", await self.offer())
        assert status == 200, text
        self.answer = json.loads(text)
        await self.connection.setRemoteDescription(aiortc.RTCSessionDescription(**self.answer))
        return self

    async def __aexit__(self, *_):
        for task in self._reading:
            task.cancel()
        await self.connection.close()
        await asyncio.gather(*self._reading, return_exceptions=True)

    async def _watch(self, track):
        try:
            while True:
                frame = await track.recv()
                now = time.monotonic()
                if track.kind == "audio":
                    wave = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0] / 32768
                    loud = np.abs(wave.reshape(-1, frame.sample_rate // 200)).max(1)
                    self.sound += [(now + n / 200, float(one)) for n, one in enumerate(loud)]
                else:
                    self.pictures.append((now, float(frame.to_ndarray(format="gray").mean())))
                    self.shape = frame.height, frame.width
        except MediaStreamError:
            pass

    def json(self, type, **fields):
        self.channel.send(json.dumps({"type": type, **fields}))

    def portrait(self, data: bytes, part=50_000):
        """A picture of a face, in parts."""
        parts = [data[n : n + part] for n in range(0, len(data), part)]
        for n, one in enumerate(parts):
            flags = MORE if n < len(parts) - 1 else 0
            self.channel.send(protocol.HEAD.pack(protocol.PORTRAIT, flags, 0, 0, 0.0) + one)

    def begin(self, portrait="grey", voice=""):
        rate = RATE if self.mic else 0
        self.json("begin", portrait=portrait, voice=voice, mic_rate=rate, camera=self.webcam is not None)

    async def until(self, condition, seconds=15.0):
        async with asyncio.timeout(seconds):
            while not condition(self):
                await asyncio.sleep(0.005)

    async def hears(self, type, seconds=15.0) -> dict:
        """The next message of a type, which it takes."""
        await self.until(lambda page: any(one["type"] == type for one in page.told), seconds)
        found = next(one for one in self.told if one["type"] == type)
        self.told.remove(found)
        return found

    async def live(self, seconds):
        """Stays, with a sign of life each second."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.json("shown", frames=0, late=0, lag=0.0)
            await asyncio.sleep(min(1.0, max(0.0, until - time.monotonic())))
