"""A room without a server: what is published into it can be watched, as livekit's own tracks loop it back."""

import asyncio
import contextlib

import numpy as np
from livekit import rtc


class Publication:
    """What a participant has published; `source` as in rtc.TrackSource."""

    def __init__(self, track, source, sid):
        self.track, self.source, self.sid, self.subscribed = track, source, sid, False

    async def wait_for_subscription(self):
        await asyncio.sleep(0)

    def set_subscribed(self, subscribed):
        self.subscribed = subscribed


class Participant:
    """Of either side. `published`: options by order."""

    def __init__(self, identity, kind=None, **attributes):
        self.identity, self.attributes, self.track_publications = identity, attributes, {}
        self.kind = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD if kind is None else kind

    async def publish_track(self, track, options=None):
        return self.add(track, options.source if options else rtc.TrackSource.SOURCE_UNKNOWN)

    def add(self, track, source):
        sid = f"TR_{self.identity}_{len(self.track_publications)}"
        self.track_publications[sid] = Publication(track, source, sid)
        return self.track_publications[sid]


class Room(rtc.EventEmitter):
    """Of the avatar, `local_participant`, and whoever is put into it."""

    def __init__(self, identity="avatar"):
        super().__init__()
        self.local_participant, self.remote_participants, self.name = Participant(identity), {}, "room"

    def isconnected(self):
        return True

    def enter(self, participant):
        self.remote_participants[participant.identity] = participant
        self.emit("participant_connected", participant)

    def publish(self, participant, track, source):
        publication = participant.add(track, source)
        self.emit("track_published", publication, participant)
        if publication.track is not None:
            self.emit("track_subscribed", track, publication, participant)
        return publication


class Watcher:
    """Watches the avatar's two tracks.

    `shown`: (time, level of the picture); `colours`: means of red, green and blue; `heard`: (time, int16 samples).
    """

    def __init__(self, clock, rate=48_000):
        self.clock, self.rate, self.shown, self.colours, self.heard = clock, rate, [], [], []
        self._tasks = []

    def watch(self, video=None, audio=None):
        self._tasks += [asyncio.create_task(self._see(video))] if video else []
        self._tasks += [asyncio.create_task(self._hear(audio))] if audio else []

    async def _see(self, track):
        stream = rtc.VideoStream.from_track(track=track, format=rtc.VideoBufferType.RGB24)
        async with contextlib.aclosing(stream):
            async for event in stream:
                self.colours.append(np.frombuffer(event.frame.data, np.uint8).reshape(-1, 3).mean(0))
                self.shown.append((self.clock(), float(self.colours[-1].mean())))

    async def _hear(self, track):
        stream = rtc.AudioStream.from_track(track=track, sample_rate=self.rate, num_channels=1, frame_size_ms=10)
        async with contextlib.aclosing(stream):
            async for event in stream:
                self.heard.append((self.clock(), np.frombuffer(event.frame.data, np.int16).copy()))

    def loud(self, above=1000):
        """(time, whether it was loud) of each 10 ms."""
        return [(time, np.abs(samples).max() > above) for time, samples in self.heard]

    async def aclose(self):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Camera:
    """A user's camera of one grey level, and a microphone with a tone: real tracks that nobody has to subscribe to."""

    def __init__(self, level=60, size=(64, 48), fps=25):
        self.level, self.size, self.fps = level, size, fps
        self.video, self.audio = rtc.VideoSource(*size), rtc.AudioSource(48_000, 1)
        self.video_track = rtc.LocalVideoTrack.create_video_track("camera", self.video)
        self.audio_track = rtc.LocalAudioTrack.create_audio_track("microphone", self.audio)
        self._tasks = []

    def start(self, talks=True):
        self._tasks = [asyncio.create_task(self._film())]
        self._tasks += [asyncio.create_task(self._talk())] if talks else []

    async def _film(self):
        while True:
            pixels = np.full((self.size[1], self.size[0], 3), self.level, np.uint8)
            self.video.capture_frame(rtc.VideoFrame(*self.size, rtc.VideoBufferType.RGB24, pixels.tobytes()))
            await asyncio.sleep(1 / self.fps)

    async def _talk(self):
        tone = (8000 * np.sin(np.arange(960) * np.pi / 24)).astype(np.int16)
        while True:
            await self.audio.capture_frame(rtc.AudioFrame(tone.tobytes(), 48_000, 1, 960))

    async def aclose(self):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.video.aclose()
        await self.audio.aclose()
