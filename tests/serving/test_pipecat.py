"""The processor in a pipeline of Pipecat's own, without a network; skipped without pipecat-ai."""

import asyncio
import contextlib
import time

import numpy as np
import pytest

pytest.importorskip("pipecat")

from pipecat.frames.frames import (  # noqa: E402
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    ErrorFrame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    OutputAudioRawFrame,
    OutputImageRawFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    UserImageRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline  # noqa: E402
from pipecat.tests.utils import SleepFrame, run_test  # noqa: E402
from pipecat.transports.base_output import BaseOutputTransport  # noqa: E402
from pipecat.transports.base_transport import TransportParams  # noqa: E402

from afjax.serving.pipecat import AvatarVideo  # noqa: E402
from afjax.serving.studio import Studio  # noqa: E402
from tests.serving import stubs  # noqa: E402
from tests.serving.stubs import SMILE  # noqa: E402

RATE = 24_000


def voice(seconds, piece=0.1):
    """A tone without a zero in it, in pieces that come at once."""
    tone = np.rint(12_000 * np.sin(np.arange(round(seconds * RATE)) * 0.21) + 0.5).astype(np.int16)
    tone[tone == 0] = 1
    size = round(piece * RATE)
    return [
        TTSAudioRawFrame(audio=tone[n : n + size].tobytes(), sample_rate=RATE, num_channels=1)
        for n in range(0, len(tone), size)
    ]  # fmt: skip


def text(word):
    return TTSTextFrame(word, text_type="word")


@contextlib.asynccontextmanager
async def opened(sessions=1):
    face = {"grey": np.full((16, 16, 3), 128, np.uint8)}
    studio = Studio(stubs.Engine(sessions), stubs.Codec(), face, headroom=0.25)
    await studio.start()
    try:
        yield studio
        assert not studio.seats and len(studio.engine.taken) == studio.engine.sessions - studio._free
    finally:
        await studio.close()


async def piped(processor, frames):
    return await run_test(processor, frames_to_send=frames, start_timeout=30.0)


def run(work):
    async def limited():
        async with asyncio.timeout(60):
            await work()

    asyncio.run(limited())


def samples(frame):
    return np.frombuffer(frame.audio, np.int16)


def test_the_voice_is_given_once_with_its_pictures_and_all_else_in_its_place():
    async def work():
        async with opened() as studio:
            spoken = voice(1.2)
            sent = [
                SleepFrame(0.5), TTSStartedFrame(), text("one"), *spoken[:6], text("two"), *spoken[6:],
                TTSStoppedFrame(), LLMFullResponseEndFrame(),
            ]  # fmt: skip
            down, _ = await piped(AvatarVideo(studio), sent)  # the end waits for the speech
        images = [f for f in down if isinstance(f, OutputImageRawFrame)]
        sound = [f for f in down if isinstance(f, OutputAudioRawFrame)]
        assert all(f.sync_with_audio and f.size == (16, 16) and len(f.image) == 768 for f in images)
        numbers = [round(f.pts / 4e7) for f in images]
        assert numbers == sorted(set(numbers)) and len(numbers) > 0.7 * numbers[-1]  # late ones are left out
        pictured = [(f.pts, isinstance(f, OutputAudioRawFrame)) for f in down if f.pts is not None]
        ups = sum(a <= b for a, b in zip(pictured, pictured[1:], strict=False))
        assert ups >= 0.9 * (len(pictured) - 1)  # picture, its sound, the next one: but for those that came late
        whole = np.concatenate([samples(f) for f in sound])
        loud = np.flatnonzero(whole)
        np.testing.assert_allclose(
            whole[loud[0] : loud[-1] + 1], np.concatenate([samples(f) for f in spoken]), atol=1
        )  # the voice as it was, once
        assert all(isinstance(f, TTSAudioRawFrame) == bool(np.any(samples(f))) for f in sound)
        place = {type(f): n for n, f in enumerate(down)}
        voiced = [n for n, f in enumerate(down) if isinstance(f, TTSAudioRawFrame)]
        one, two = (n for n, f in enumerate(down) if isinstance(f, TTSTextFrame))
        assert place[TTSStartedFrame] < one < voiced[0] and voiced[13] < two < voiced[17]
        assert voiced[-1] < place[TTSStoppedFrame] < place[LLMFullResponseEndFrame]
        mouths = [np.frombuffer(f.image, np.uint8).mean() for f in images]
        first, last = (round(down[n].pts / 4e7) for n in (voiced[1], voiced[-2]))
        level = dict(zip(numbers, mouths, strict=True))
        assert min(level[n] for n in numbers if first <= n < last) > 40
        assert max(level[n] for n in numbers if n < first - 1) < 5

    run(work)


class Output(BaseOutputTransport):
    """Pipecat's own output, into a list: plays sound at its pace. `written`: (time, kind, how loud or how open)."""

    def __init__(self):
        params = dict(audio_out_enabled=True, audio_out_sample_rate=RATE, video_out_enabled=True)
        super().__init__(TransportParams(**params, video_out_width=16, video_out_height=16, video_out_framerate=30))
        self.written, self._end = [], 0.0

    async def start(self, frame):
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame):
        now = time.monotonic()
        begin = max(now, self._end)
        self._end = begin + len(frame.audio) / 2 / RATE
        self.written.append((begin, "sound", int(np.abs(samples(frame)).max())))
        await asyncio.sleep(self._end - now)
        return True

    async def write_video_frame(self, frame):
        self.written.append((time.monotonic(), "picture", float(np.frombuffer(frame.image, np.uint8).mean())))
        return True


def test_pipecats_output_shows_the_mouth_with_its_voice_and_knows_when_the_bot_speaks():
    async def work():
        async with opened() as studio:
            output = Output()
            sent = [SleepFrame(0.5), TTSStartedFrame(), *voice(1.0), TTSStoppedFrame(), SleepFrame(2.5)]
            sent += [TTSStartedFrame(), *voice(5.0), TTSStoppedFrame(), SleepFrame(1.5), InterruptionFrame()]
            _, up = await piped(Pipeline([AvatarVideo(studio), output]), [*sent, SleepFrame(0.6)])
        speaking = [type(f) for f in up if isinstance(f, BotStartedSpeakingFrame | BotStoppedSpeakingFrame)]
        assert speaking == [BotStartedSpeakingFrame, BotStoppedSpeakingFrame] * 2
        loud = [at for at, kind, level in output.written if kind == "sound" and level > 3000]
        shown = [at for at, kind, level in output.written if kind == "picture" and level > 40]
        assert abs(loud[0] - shown[0]) < 0.15  # its video has a clock of its own, 33 ms, and the machine may be busy
        assert 1.0 < len(loud) * 0.04 < 4.5 and loud[-1] < output.written[-1][0] - 0.3  # silent since the interruption
        assert [level for _, kind, level in output.written if kind == "picture"][-1] < 25

    run(work)


def test_an_interruption_ends_the_voice_and_closes_the_lips():
    async def work():
        async with opened() as studio:
            avatar = AvatarVideo(studio)
            sent = [
                SleepFrame(0.3), TTSStartedFrame(), *voice(4.0), text("never"), TTSStoppedFrame(),
                SleepFrame(1.6), InterruptionFrame(), SleepFrame(1.0), TTSStartedFrame(), *voice(0.3), text("again"),
                TTSStoppedFrame(),
            ]  # fmt: skip
            down, _ = await piped(avatar, sent)
        cut = next(n for n, f in enumerate(down) if isinstance(f, InterruptionFrame))
        again = [n for n, f in enumerate(down) if isinstance(f, TTSStartedFrame)][1]
        assert sum(isinstance(f, TTSAudioRawFrame) for f in down[:cut]) > 10
        assert not any(isinstance(f, TTSAudioRawFrame) for f in down[cut:again])
        assert [f.text for f in down if isinstance(f, TTSTextFrame)] == ["again"]
        assert sum(isinstance(f, TTSStoppedFrame) for f in down) == 1
        before, after = ([f for f in part if isinstance(f, OutputImageRawFrame)] for part in (down[:cut], down[cut:]))
        numbers = [round(f.pts / 4e7) for f in after]
        assert numbers == sorted(set(numbers))
        # those that waited in the transport, and at most one that was just being shown, are made again
        assert numbers[0] - round(before[-1].pts / 4e7) >= -3
        mouths = [np.frombuffer(f.image, np.uint8).mean() for f in after]
        assert max(mouths[5:20]) < 25
        assert sum(np.count_nonzero(samples(f)) for f in down[again:] if isinstance(f, TTSAudioRawFrame)) == 0.3 * RATE

    run(work)


def test_the_user_is_seen_and_heard_and_goes_on():
    async def work():
        async with opened() as studio:
            inputs, step = [], studio.engine.step
            studio.engine.step = lambda given, only: (inputs.append(given), step(given, only))[1]
            sent = [SleepFrame(0.3)]
            for n in range(40):
                level = 60 if n < 20 else 204
                face = np.full((48, 64, 3), level, np.uint8).tobytes()
                sent.append(UserImageRawFrame(image=face, size=(64, 48), format="RGB", user_id="ann"))
                sent.append(UserImageRawFrame(image=face[::-1], size=(64, 48), format="RGB", user_id="bob"))
                sent.append(InputAudioRawFrame(np.full(1280, 3000, np.int16).tobytes(), 16_000, 2))
                sent.append(SleepFrame(0.04))
            down, _ = await piped(AvatarVideo(studio), sent)
        assert sum(isinstance(f, UserImageRawFrame) for f in down) == 80
        assert sum(isinstance(f, InputAudioRawFrame) for f in down) == 40
        smiles = np.concatenate([one.user_motion[0, :, SMILE] for one in inputs])
        assert smiles.max() == pytest.approx(204 / 2550, abs=1e-3) and np.any(np.abs(smiles - 60 / 2550) < 1e-3)
        assert np.any(np.abs(np.concatenate([one.user_wave[0] for one in inputs])) > 0.08)

    run(work)


def test_one_of_several_users():
    async def work():
        async with opened() as studio:
            avatar, seen = AvatarVideo(studio, user="ann"), []
            frames = [SleepFrame(0.4)]
            for user in ("ann", "bob"):
                image = np.zeros((2, 2, 3), np.uint8).tobytes()
                frames += [UserImageRawFrame(image=image, size=(2, 2), format="RGB", user_id=user), SleepFrame(0.1)]
            sense = avatar._sense
            avatar._sense = lambda frame: (sense(frame), seen.append(avatar._feed.pictures["seen"]))
            await piped(avatar, [*frames, UserImageRawFrame(image=b"\0", size=(2, 2), format="RGB", user_id="ann")])
        assert max(seen) == 1

    run(work)


def test_without_a_slot_the_voice_goes_on_without_a_face():
    async def work():
        async with opened() as studio:
            assert studio.reserve()
            down, up = await piped(AvatarVideo(studio), [TTSStartedFrame(), *voice(0.3), TTSStoppedFrame()])
            studio.give_back()
        kinds = [type(f) for f in down]
        assert kinds == [TTSStartedFrame, *[TTSAudioRawFrame] * 3, TTSStoppedFrame] and EndFrame not in kinds
        assert "slots" in next(f for f in up if isinstance(f, ErrorFrame)).error

    run(work)
