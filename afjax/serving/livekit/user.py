"""The user in a room, whose camera and microphone the avatar is given.

It is the participant of a given identity. Without one it is the first who is no agent and nobody's avatar, until they
leave.
"""

import asyncio
import logging
from collections.abc import Callable

import numpy as np

from afjax.errors import InputError
from afjax.serving.feed import Feed

try:
    from livekit import rtc
except ImportError as missing:
    raise InputError("the package livekit-agents is missing", do="pip install -r requirements-livekit.txt") from missing

__all__ = ["User", "picture_of", "samples_of"]

log = logging.getLogger("afjax.serving")
ON_BEHALF = "lk.publish_on_behalf"
RATE, CHUNK = 16_000, 20


def picture_of(event: rtc.VideoFrameEvent) -> np.ndarray:
    """A frame in RGB24 as uint8 `[h, w, 3]` RGB, upright."""
    frame = event.frame
    pixels = np.frombuffer(frame.data, np.uint8)[: 3 * frame.width * frame.height]
    return np.ascontiguousarray(np.rot90(pixels.reshape(frame.height, frame.width, 3), -int(event.rotation)))


def samples_of(frame: rtc.AudioFrame) -> np.ndarray:
    """A frame of sound as int16 `[n]`, mono."""
    samples = np.frombuffer(frame.data, np.int16)
    if frame.num_channels > 1:
        return samples.reshape(-1, frame.num_channels).mean(1).astype(np.int16)
    return samples.copy()


class User:
    """Subscribes to one user's camera and microphone, and gives them to a feed. Attribute `identity`: the user's."""

    def __init__(self, room: rtc.Room, feed: Feed, identity: str = ""):
        self._room, self._feed, self._wanted, self.identity = room, feed, identity, ""
        self._streams: dict[str, asyncio.Task] = {}
        self._events: dict[str, Callable] = {
            "track_published": lambda publication, participant: self._ask(participant),
            "track_subscribed": self._begin,
            "track_unsubscribed": lambda track, publication, participant: self._stop(publication.sid),
            "participant_disconnected": self._left,
        }

    def start(self) -> None:
        """Begins with the participants who are there."""
        for event, handler in self._events.items():
            self._room.on(event, handler)
        self._choose()

    async def aclose(self) -> None:
        """Ends all streams."""
        for event, handler in self._events.items():
            self._room.off(event, handler)
        tasks = list(self._streams.values())
        for sid in list(self._streams):
            self._stop(sid)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _choose(self):
        for participant in self._room.remote_participants.values():
            self._ask(participant)

    def _is_user(self, participant: rtc.RemoteParticipant) -> bool:
        if self._wanted or self.identity:
            return participant.identity == (self._wanted or self.identity)
        standard = participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
        return standard and not participant.attributes.get(ON_BEHALF)

    def _ask(self, participant: rtc.RemoteParticipant):
        """Subscribes to what the user has published."""
        if not self._is_user(participant):
            return
        for publication in participant.track_publications.values():
            if publication.source not in (rtc.TrackSource.SOURCE_CAMERA, rtc.TrackSource.SOURCE_MICROPHONE):
                continue
            self.identity = participant.identity
            if publication.track is not None:
                self._begin(publication.track, publication, participant)
            else:
                publication.set_subscribed(True)

    def _begin(self, track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant):
        if not self._is_user(participant) or publication.sid in self._streams:
            return
        self.identity = participant.identity
        if publication.source == rtc.TrackSource.SOURCE_CAMERA:
            work = self._see(track)
        elif publication.source == rtc.TrackSource.SOURCE_MICROPHONE:
            work = self._hear(track)
        else:
            return
        self._streams[publication.sid] = asyncio.get_running_loop().create_task(work)

    async def _see(self, track: rtc.Track):
        stream = rtc.VideoStream.from_track(track=track, format=rtc.VideoBufferType.RGB24, capacity=1)
        try:
            async for event in stream:
                self._feed.see(picture_of(event))
        except Exception:
            log.exception("the camera of %s is lost", self.identity)
        finally:
            await stream.aclose()

    async def _hear(self, track: rtc.Track):
        stream = rtc.AudioStream.from_track(track=track, sample_rate=RATE, num_channels=1, frame_size_ms=CHUNK)
        try:
            async for event in stream:
                self._feed.hear(samples_of(event.frame), RATE)
        except Exception:
            log.exception("the microphone of %s is lost", self.identity)
        finally:
            await stream.aclose()

    def _stop(self, sid: str):
        task = self._streams.pop(sid, None)
        if task is not None:
            task.cancel()

    def _left(self, participant: rtc.RemoteParticipant):
        if participant.identity != self.identity:
            return
        for sid in list(self._streams):
            self._stop(sid)
        self.identity = ""
        self._choose()
