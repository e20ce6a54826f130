"""Runner that plays a feed into a room and keeps livekit-agents' contract towards the sender of the speech.

    AudioReceiver ── frames, ends ──► Feed.speak, finish          `playback_started`, `playback_finished` when the
                  ── clear_buffer ──► Feed.interrupt               play-out clock is there, with what was heard
    Feed ── Sound, `lead` seconds early ──► AudioSource            its queue is what the lead is
         ── Picture, when it is due ──────► VideoSource

Each segment that has begun is finished once, and started at most once. After `clear_buffer` the queue of the source is
empty, and nothing older is pushed.
"""

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Callable

import numpy as np

from afjax.audio.framing import FPS
from afjax.errors import InputError
from afjax.serving.feed import Feed, Picture
from afjax.serving.livekit.user import samples_of

try:
    from livekit import rtc
    from livekit.agents.voice.avatar import AudioReceiver, AudioSegmentEnd
except ImportError as missing:
    raise InputError("the package livekit-agents is missing", do="pip install -r requirements-livekit.txt") from missing

__all__ = ["Runner"]

log = logging.getLogger("afjax.serving")
QUEUE = 1000
"""Milliseconds that the source of the sound may hold: more than a lead, so that pushing never waits."""
SUBSCRIBED = 3.0
"""Most seconds for which the picture waits until somebody hears the sound."""
BITRATE = 1_500_000


class Runner:
    """One avatar in one room.

    Attributes:
      audio, video: its sources.
      on_end: called when it ends by itself, because nobody sends speech any more or something has failed.
    """

    def __init__(self, room: rtc.Room, feed: Feed, receiver: AudioReceiver, size: int):
        """`size`: pixels per side of the feed's pictures. The room is connected."""
        self._room, self._feed, self._receiver = room, feed, receiver
        self.audio = rtc.AudioSource(feed.rate, 1, queue_size_ms=QUEUE)
        self.video = rtc.VideoSource(size, size)
        self.on_end: Callable[[], None] = lambda: None
        self._coming = False  # whether some sound of a segment has come, and not yet its end
        self._tasks: set[asyncio.Task] = set()
        feed.on_started, feed.on_finished = self._started, self._finished

    async def start(self) -> None:
        """Waits for the sender, publishes sound and picture, and begins to play."""
        await self._receiver.start()
        self._receiver.on("clear_buffer", self._clear)
        self._later(self._read(), ends=True)
        await self._publish()
        self._later(self._play(), ends=True)

    async def aclose(self) -> None:
        """Ends the runner. Whoever opened the feed ends the feed."""
        self._receiver.off("clear_buffer", self._clear)
        await self._receiver.aclose()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.audio.aclose()
        await self.video.aclose()

    async def _publish(self):
        me = self._room.local_participant
        track = rtc.LocalAudioTrack.create_audio_track("avatar_audio", self.audio)
        heard = await me.publish_track(track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(heard.wait_for_subscription(), SUBSCRIBED)
        track = rtc.LocalVideoTrack.create_video_track("avatar_video", self.video)
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA, simulcast=False,
            video_encoding=rtc.VideoEncoding(max_framerate=FPS, max_bitrate=BITRATE),
        )  # fmt: skip
        await me.publish_track(track, options)

    async def _read(self):
        """Reads the speech, which may come faster than it is spoken."""
        async for frame in self._receiver:
            if not isinstance(frame, AudioSegmentEnd):
                self._coming = True
                if not self._feed.speak(samples_of(frame), frame.sample_rate):
                    log.warning("speech that can't be used was left out")
                continue
            if not self._feed.finish() and self._coming:
                self._finished(0.0, False)  # nothing of it could be used
            self._coming = False

    async def _play(self):
        async for piece in self._feed:
            if isinstance(piece, Picture):
                height, width = piece.pixels.shape[:2]
                frame = rtc.VideoFrame(width, height, rtc.VideoBufferType.RGB24, piece.pixels.tobytes())
                self.video.capture_frame(frame, timestamp_us=round(piece.due * 1e6))
            elif len(piece.samples):
                pcm = np.rint(np.clip(piece.samples, -1, 1) * 32767).astype(np.int16)
                await self.audio.capture_frame(rtc.AudioFrame(pcm.tobytes(), self._feed.rate, 1, len(pcm)))

    def _clear(self):
        self.audio.clear_queue()
        if self._feed.interrupt() is None and self._coming:
            self._finished(0.0, True)
        self._coming = False  # an end that a cleared segment still sends belongs to no other segment

    def _started(self):
        self._tell(self._receiver.notify_playback_started())

    def _finished(self, seconds: float, interrupted: bool):
        self._tell(self._receiver.notify_playback_finished(round(seconds, 6), interrupted))

    def _tell(self, told):
        if inspect.isawaitable(told):
            self._later(told)

    def _later(self, work, ends: bool = False):
        async def logged():
            try:
                await work
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("an avatar failed")
            if ends:
                self.on_end()

        task = asyncio.get_running_loop().create_task(logged())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
