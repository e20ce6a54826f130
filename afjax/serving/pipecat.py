"""Pipecat: a processor that gives a pipeline's bot a face that sees and hears its user.

    transport.input() -> ... -> llm -> tts -> AvatarVideo(studio) -> transport.output() -> ...

    in, and on   the user's pictures and sound (`UserImageRawFrame`, `InputAudioRawFrame`), and all else
    in, no more  the bot's voice (`TTSAudioRawFrame`)
    out          `OutputImageRawFrame` 25 times a second, with `sync_with_audio`, each followed by its 40 ms of sound:
                 `TTSAudioRawFrame` with the voice, `OutputAudioRawFrame` of silence

Frames that come behind speech (`TTSTextFrame`, `TTSStoppedFrame`, `EndFrame`, ...) wait until it has been given out.
When it is interrupted they are dropped or kept as in the transport's queue, so that the context holds what was heard.
Pictures and sound have `pts`, nanoseconds of the avatar's frames.
"""

import asyncio
from collections import deque

import numpy as np

from afjax.audio.framing import FPS
from afjax.errors import InputError
from afjax.serving.feed import Feed, Picture, Sound, open_feed
from afjax.serving.studio import Studio

try:
    from pipecat.frames.frames import (
        CancelFrame,
        EndFrame,
        Frame,
        InputAudioRawFrame,
        InterruptionFrame,
        OutputAudioRawFrame,
        OutputImageRawFrame,
        StartFrame,
        SystemFrame,
        TTSAudioRawFrame,
        TTSStoppedFrame,
        UserImageRawFrame,
    )
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
except ImportError as missing:
    raise InputError("the package pipecat-ai is missing", do="pip install -r requirements-pipecat.txt") from missing

__all__ = ["AvatarVideo"]

_CLOSE = 1e-4


class AvatarVideo(FrameProcessor):
    """One conversation in a studio that has started."""

    def __init__(self, studio: Studio, portrait: str | bytes = "", user: str = "", lead: float = 0.08, **options):
        """Takes nothing from the studio before the pipeline starts.

        Args:
          portrait: as for `open_feed`.
          user: `user_id` of the person whom the avatar sees and hears; everybody by default.
          lead: seconds of sound that wait in the transport.
          options: of `FrameProcessor`.

        If no conversation can begin, an error goes up the pipeline and the voice goes on without a face.
        """
        super().__init__(**options)
        self._studio, self._portrait, self._user, self._lead = studio, portrait, user, lead
        self._rate, self._given = 24_000, 0.0
        self._feed: Feed | None = None
        self._task: asyncio.Task | None = None
        self._ready = asyncio.Event()
        self._held: deque[tuple[float, Frame, FrameDirection]] = deque()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """See the module's head."""
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self.push_frame(frame, direction)
            self._rate = frame.audio_out_sample_rate
            self._task = self.create_task(self._give())
        elif isinstance(frame, InterruptionFrame):
            await self._interrupt()
            await self.push_frame(frame, direction)
        elif isinstance(frame, CancelFrame):
            await self._close()
            await self.push_frame(frame, direction)
        elif isinstance(frame, SystemFrame) or direction is FrameDirection.UPSTREAM:
            self._sense(frame)
            await self.push_frame(frame, direction)
        else:
            await self._ready.wait()
            await self._take(frame, direction)

    async def cleanup(self) -> None:
        """Ends the conversation."""
        await self._close()
        await super().cleanup()

    def _sense(self, frame: Frame):
        """The user's pictures and sound."""
        if self._feed is None or self._user not in ("", getattr(frame, "user_id", "")):
            return
        if isinstance(frame, InputAudioRawFrame):
            self._feed.hear(_mono(frame), frame.sample_rate)
        elif isinstance(frame, UserImageRawFrame) and frame.format in ("RGB", None):
            width, height = frame.size
            pixels = np.frombuffer(frame.image, np.uint8)
            if pixels.size == 3 * width * height:
                self._feed.see(pixels.reshape(height, width, 3))

    async def _take(self, frame: Frame, direction: FrameDirection):
        """Takes a frame that goes down the pipeline in order."""
        feed = self._feed
        if feed is not None and isinstance(frame, TTSAudioRawFrame) and frame.transport_destination is None:
            feed.speak(_mono(frame), frame.sample_rate)
            return
        if feed is not None and isinstance(frame, TTSStoppedFrame | EndFrame):
            feed.finish()
        if feed is not None and (self._held or feed.queued > self._given + _CLOSE):
            self._held.append((feed.queued, frame, direction))
        else:
            await self._pass(frame, direction)

    async def _pass(self, frame: Frame, direction: FrameDirection):
        await self.push_frame(frame, direction)
        if isinstance(frame, EndFrame) and self._feed is not None:
            await self._studio.end(self._feed)

    async def _release(self):
        """Passes on frames that came behind speech which has been given out."""
        while self._held and self._held[0][0] <= self._given + _CLOSE:
            await self._pass(*self._held.popleft()[1:])

    async def _interrupt(self):
        if self._feed is not None:
            self._feed.interrupt()
        self._given = 0.0
        self._held = deque((0.0, *one[1:]) for one in self._held if not one[1].interruptible)
        await self._release()

    async def _give(self):
        """Opens the conversation and gives out its pictures and sound."""
        try:
            self._feed = await open_feed(
                self._studio, self._portrait, self._rate, self._lead, together=True, grain=1 / FPS
            )
        except InputError as error:
            await self.push_error(f"the avatar stays away: {error}", exception=error)
            return
        finally:
            self._ready.set()
        async for piece in self._feed:
            for frame in _frames(piece, self._rate):
                await self.push_frame(frame)
            if isinstance(piece, Sound) and piece.spoken is not None:
                self._given = piece.spoken
                await self._release()

    async def _close(self):
        feed, self._feed = self._feed, None
        if feed is not None:
            await self._studio.end(feed)
        if self._task is not None:
            task, self._task = self._task, None
            await self.cancel_task(task)


def _frames(piece: Picture | Sound, rate: int) -> list[Frame]:
    """A piece as the transport wants it."""
    if isinstance(piece, Picture):
        height, width = piece.pixels.shape[:2]
        frame = OutputImageRawFrame(image=piece.pixels.tobytes(), size=(width, height), format="RGB")
        frame.sync_with_audio = True
    elif len(piece.samples):
        pcm = np.rint(np.clip(piece.samples, -1, 1) * 32767).astype("<i2").tobytes()
        kind = OutputAudioRawFrame if piece.spoken is None else TTSAudioRawFrame
        frame = kind(audio=pcm, sample_rate=rate, num_channels=1)
    else:
        return []
    frame.pts = round(piece.frame * 1e9 / FPS)
    return [frame]


def _mono(frame) -> np.ndarray:
    """int16 `[n]` of a frame of sound."""
    channels = max(1, frame.num_channels)
    samples = np.frombuffer(frame.audio[: len(frame.audio) // (2 * channels) * 2 * channels], "<i2")
    return samples.reshape(-1, channels).mean(1).astype(np.int16) if channels > 1 else samples.astype(np.int16)
