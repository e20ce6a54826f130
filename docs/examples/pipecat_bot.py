"""A bot of Pipecat with a face that sees and hears its user, on Pipecat's own page; no keys, no accounts.

    python -m docs.examples.pipecat_bot

serves http://localhost:7860 (`--port` and the rest are Pipecat's own flags): connect, allow camera and microphone, and
talk. What answers is afjax's scripted small talk; a bot of yours has its STT, LLM and TTS services in the place of
`Talk`.
"""

import asyncio
import contextlib
import time

import numpy as np
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    InputAudioRawFrame,
    InterruptionFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.runner.utils import create_transport
from pipecat.transports.base_transport import TransportParams, VideoInSourceParams
from pipecat.workers.runner import WorkerRunner
from skimage.data import astronaut

import afjax
from afjax.serving.brain import Cut, Speech
from afjax.serving.brains.scripted import scripted
from afjax.serving.pipecat import AvatarVideo
from afjax.serving.studio import Studio

SIZE = 256
STUDIO = []  # the one of this process, once it has started


class Talk(FrameProcessor):
    """Small talk in the place of services: the user's sound in, the bot's voice out."""

    def __init__(self):
        super().__init__()
        self._brain, self._began, self._open, self._sent = scripted("Clara"), None, False, 0.0
        self._task = None

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self._task = self.create_task(self._talk())
        elif isinstance(frame, InputAudioRawFrame):
            self._brain.hear(np.frombuffer(frame.audio, "<i2").astype(np.float32) / 32768, time.monotonic())
        elif isinstance(frame, BotStartedSpeakingFrame):
            self._began = time.monotonic()
        elif isinstance(frame, BotStoppedSpeakingFrame) and self._began is not None:
            self._began = None
            self._brain.spoken(self._sent, True)
        await self.push_frame(frame, direction)

    async def cleanup(self):
        if self._task is not None:
            await self.cancel_task(self._task)
        await super().cleanup()
        await asyncio.to_thread(self._brain.close)

    async def _talk(self):
        while True:
            await asyncio.sleep(0.02)
            if self._began is not None:
                self._brain.spoken(min(self._sent, time.monotonic() - self._began), False)
            for event in self._brain.events():
                if isinstance(event, Speech):
                    await self._say(event)
                elif isinstance(event, Cut):
                    heard = 0.0 if self._began is None else time.monotonic() - self._began
                    self._began, self._open = None, False
                    await self.broadcast_frame(InterruptionFrame)
                    self._brain.cut(heard)

    async def _say(self, speech):
        if not self._open:
            self._open, self._sent = True, 0.0
            await self.push_frame(TTSStartedFrame())
        pcm = (np.clip(speech.samples, -1, 1) * 32767).astype("<i2")
        await self.push_frame(TTSTextFrame(" ".join(word for word, _, _ in speech.words), text_type="sentence"))
        await self.push_frame(TTSAudioRawFrame(audio=pcm.tobytes(), sample_rate=speech.rate, num_channels=1))
        self._sent += len(pcm) / speech.rate
        if speech.last:
            self._open = False
            await self.push_frame(TTSStoppedFrame())


async def bot(runner_args):
    """One call; Pipecat's runner asks for it by this name."""
    params = TransportParams(
        audio_in_enabled=True, audio_in_sample_rate=16_000, audio_out_enabled=True, audio_out_sample_rate=24_000,
        video_in_enabled=True, video_in_sources={"camera": VideoInSourceParams(framerate=25)},
        video_out_enabled=True, video_out_width=SIZE, video_out_height=SIZE, video_out_framerate=30,
    )  # fmt: skip
    transport = await create_transport(runner_args, {"webrtc": lambda: params})
    if not STUDIO:
        STUDIO.append(MADE)
        await MADE.start()  # on the event loop of the calls
    face = AvatarVideo(MADE)
    pipeline = Pipeline([transport.input(), Talk(), face, transport.output()])
    worker = PipelineWorker(pipeline, params=PipelineParams(audio_out_sample_rate=24_000))

    @transport.event_handler("on_client_disconnected")
    async def left(transport, client):
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    with contextlib.suppress(asyncio.CancelledError):
        await runner.run()


if __name__ == "__main__":
    from pipecat.runner.run import main

    print("getting ready: model and portrait", flush=True)
    avatar = afjax.load("listener")
    MADE = Studio(avatar.engine(1), avatar.codec(SIZE), {"astronaut": astronaut()})
    MADE.prepare()
    main()
