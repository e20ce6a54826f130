"""The avatar in a room without a server, its tracks real and looped back; skipped without livekit-agents."""

import asyncio
import contextlib

import numpy as np
import pytest

pytest.importorskip("livekit.agents")

from livekit import rtc  # noqa: E402
from livekit.agents import Agent, AgentSession  # noqa: E402
from livekit.agents.voice.avatar import AudioSegmentEnd, QueueAudioOutput  # noqa: E402

from afjax.errors import InputError  # noqa: E402
from afjax.serving.feed import open_feed  # noqa: E402
from afjax.serving.livekit.runner import Runner  # noqa: E402
from afjax.serving.livekit.session import AvatarSession  # noqa: E402
from afjax.serving.livekit.user import User, picture_of, samples_of  # noqa: E402
from afjax.serving.studio import Studio  # noqa: E402
from tests.serving import stubs  # noqa: E402
from tests.serving.livekit_room import Camera, Participant, Room, Watcher  # noqa: E402
from tests.serving.stubs import SMILE  # noqa: E402

RATE = 24_000


def frames(seconds, piece=0.05):
    tone = (12_000 * np.sin(np.arange(round(seconds * RATE)) * 0.21)).astype(np.int16)
    pieces = np.split(tone, range(round(piece * RATE), len(tone), round(piece * RATE)))
    return [rtc.AudioFrame(piece.tobytes(), RATE, 1, len(piece)) for piece in pieces]


class Scene:
    """A studio, a room, an avatar in it, and somebody who watches."""

    async def open(self, receiver, headroom=0.25):
        face = {"grey": np.full((16, 16, 3), 128, np.uint8)}
        self.studio, self.room = Studio(stubs.Engine(), stubs.Codec(), face, headroom=headroom), Room()
        await self.studio.start()
        self.inputs, step = [], self.studio.engine.step
        self.studio.engine.step = lambda given, only: (self.inputs.append(given), step(given, only))[1]
        self.feed, self.told = await open_feed(self.studio, rate=RATE), []
        self.runner = Runner(self.room, self.feed, receiver, self.studio.codec.size)
        await self.runner.start()
        self.watcher = Watcher(self.studio.now)
        tracks = {one.source: one.track for one in self.room.local_participant.track_publications.values()}
        assert list(tracks) == [rtc.TrackSource.SOURCE_MICROPHONE, rtc.TrackSource.SOURCE_CAMERA]
        self.watcher.watch(tracks[rtc.TrackSource.SOURCE_CAMERA], tracks[rtc.TrackSource.SOURCE_MICROPHONE])

    async def close(self):
        await self.runner.aclose()
        await self.studio.end(self.feed)
        await self.watcher.aclose()
        await self.studio.close()


@contextlib.asynccontextmanager
async def scene(receiver):
    one = Scene()
    await one.open(receiver)
    try:
        yield one
    finally:
        await one.close()


class Receiver(QueueAudioOutput):
    """What an agent sends and is told, in its own process."""

    def __init__(self, clock):
        super().__init__(sample_rate=RATE, wait_playback_start=True)
        self.told, self._clock = [], clock
        self.on("playback_started", lambda event: self.told.append((self._clock(), "started")))
        self.on("playback_finished", lambda e: self.told.append((self._clock(), e.playback_position, e.interrupted)))

    async def say(self, seconds):
        for frame in frames(seconds):
            await self.capture_frame(frame)
        self.flush()


def run(work):
    async def limited():
        async with asyncio.timeout(90):
            await work()

    asyncio.run(limited())


def first(found, value=True):
    return next(time for time, what in found if what == value)


def test_the_voice_and_its_mouth_come_together_and_are_told_when_they_are_heard():
    async def work():
        agent = Receiver(Studio.now)
        async with scene(agent) as one:
            await asyncio.sleep(0.5)
            await agent.say(1.0)
            await agent.say(0.5)
            while len(agent.told) < 4:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)
        assert [told[1:] for told in agent.told] == [
            ("started",), (pytest.approx(1.0, abs=0.001), False), ("started",), (pytest.approx(0.5, abs=0.001), False),
        ]  # fmt: skip
        heard = one.watcher.loud()
        seen = [(time, level > 40) for time, level in one.watcher.shown]
        assert abs(first(heard) - first(seen)) < 0.09  # the loop back itself takes some 10 ms
        assert agent.told[0][0] - first(heard) == pytest.approx(0.0, abs=0.08)
        assert sum(loud for _, loud in heard) * 0.01 == pytest.approx(1.5, abs=0.06)

    run(work)


def test_a_cleared_buffer_is_silent_at_once_and_tells_what_was_heard():
    async def work():
        agent = Receiver(Studio.now)
        async with scene(agent) as one:
            agent.clear_buffer()
            await asyncio.sleep(0.3)
            assert agent.told == []
            await agent.say(4.0)
            while not agent.told:
                await asyncio.sleep(0.01)
            await asyncio.sleep(1.0)
            shown, cut = len(one.watcher.shown), Studio.now()
            agent.clear_buffer()
            await asyncio.sleep(0.7)
            agent.clear_buffer()
            _, position, interrupted = agent.told[1]
            assert interrupted and len(agent.told) == 2  # once, and nobody has started again
            heard = one.watcher.loud()
            played = sum(loud for time, loud in heard) * 0.01
            assert position == pytest.approx(played, abs=0.04)  # of all that has been played, before the cut and after
            assert max(time for time, loud in heard if loud) - cut < 0.3  # on a machine that is busy
            after = [level for _, level in one.watcher.shown[shown:]]
            assert max(after[6:]) < 30 < max(one.watcher.shown[shown - 1][1], after[0])  # the lips have closed
            await agent.say(0.3)
            while len(agent.told) < 4:
                await asyncio.sleep(0.02)
            assert [told[1:] for told in agent.told[2:]] == [("started",), (pytest.approx(0.3, abs=0.001), False)]

    run(work)


def test_a_segment_of_which_nothing_can_be_used_is_finished_too():
    async def work():
        agent = Receiver(Studio.now)
        async with scene(agent):
            for end in (agent.flush, agent.clear_buffer):
                await agent.capture_frame(rtc.AudioFrame(bytes(20), 5_000, 1, 10))  # no rate of ours
                await asyncio.sleep(0.05)
                end()
                await asyncio.sleep(0.05)
            agent._data_ch.send_nowait(AudioSegmentEnd())
            await asyncio.sleep(0.05)
        assert [told[1:] for told in agent.told] == [(0.0, False), (0.0, True)]

    run(work)


def test_a_runner_tells_when_it_ends_also_after_segments_that_were_cleared():
    async def work():
        agent, ended = Receiver(Studio.now), asyncio.Event()
        async with scene(agent) as one:
            one.runner.on_end = ended.set
            for end in (agent.flush, agent.clear_buffer):
                await agent.capture_frame(frames(0.05)[0])
                await asyncio.sleep(0.05)
                end()
                await asyncio.sleep(0.05)
            assert not ended.is_set()
            agent._data_ch.close()  # nobody sends speech any more
            await asyncio.wait_for(ended.wait(), 2)

    run(work)


def test_the_avatar_sees_and_hears_the_user_and_nobody_else():
    async def work():
        agent, users = Receiver(Studio.now), [Camera(204), Camera(60), Camera(20)]
        kinds = rtc.ParticipantKind
        async with scene(agent) as one:
            robot = Participant("robot", kinds.PARTICIPANT_KIND_AGENT)
            other = Participant("other", **{"lk.publish_on_behalf": "robot"})
            ann, bob = Participant("ann"), Participant("bob")
            for participant in (robot, other):
                one.room.enter(participant)
                one.room.publish(participant, users[0].video_track, rtc.TrackSource.SOURCE_CAMERA)
            user = User(one.room, one.feed)
            user.start()
            assert user.identity == "" and not user._streams
            one.room.enter(ann)
            waiting = one.room.publish(ann, None, rtc.TrackSource.SOURCE_CAMERA)
            screen = one.room.publish(ann, None, rtc.TrackSource.SOURCE_SCREENSHARE)
            assert waiting.subscribed and not screen.subscribed and user.identity == "ann"
            waiting.track = users[1].video_track
            one.room.emit("track_subscribed", waiting.track, waiting, ann)
            one.room.publish(ann, users[1].audio_track, rtc.TrackSource.SOURCE_MICROPHONE)
            one.room.enter(bob)
            one.room.publish(bob, users[0].video_track, rtc.TrackSource.SOURCE_CAMERA)
            for camera in users:
                camera.start()
            await asyncio.sleep(1.0)
            users[1].level = 140
            await asyncio.sleep(1.0)
            quiet = len(one.inputs)
            del one.room.remote_participants["ann"]
            one.room.emit("participant_disconnected", ann)
            assert user.identity == "bob"  # the next one
            await asyncio.sleep(1.2)
            await user.aclose()
            for camera in users:
                await camera.aclose()
        smiles = [one.user_motion[0, :, SMILE] for one in one.inputs]
        levels = np.concatenate(smiles[:quiet]) * 2550
        assert np.any(np.abs(levels - 60) < 3) and levels.max() == pytest.approx(140, abs=3)
        assert np.concatenate(smiles).max() * 2550 == pytest.approx(204, abs=3)
        sound = np.concatenate([given.user_wave[0] for given in one.inputs[:quiet]])
        assert np.mean(np.abs(sound) > 0.05) > 0.4
        assert one.feed.call.counts.corrupt == 0

    run(work)


def test_pictures_are_upright_and_sound_is_mono():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    frame = rtc.VideoFrame(4, 2, rtc.VideoBufferType.RGB24, pixels.tobytes())
    for turns in range(4):  # LiveKit says by how many quarters a picture is to be turned clockwise
        event = rtc.VideoFrameEvent(frame=frame, timestamp_us=0, rotation=turns, metadata=None)
        np.testing.assert_array_equal(picture_of(event), np.rot90(pixels, -turns))
    stereo = np.array([[100, 300], [-50, 50]], np.int16)
    np.testing.assert_array_equal(samples_of(rtc.AudioFrame(stereo.tobytes(), 8000, 2, 2)), [200, 0])


def test_an_avatar_in_the_agents_own_process():
    async def work():
        face, told = {"grey": np.full((16, 16, 3), 128, np.uint8)}, []
        studio, room = Studio(stubs.Engine(), stubs.Codec(), face, headroom=0.25), Room("agent")
        await studio.start()
        session, avatar = AgentSession(), AvatarSession(studio=studio)
        await avatar.start(session, room)
        await session.start(Agent(instructions=""))
        session.output.audio.on("playback_finished", lambda e: told.append((e.playback_position, e.interrupted)))
        assert avatar.avatar_identity == "agent" and len(studio.seats) == 1

        async def speech():
            for frame in frames(0.4):
                yield frame

        await asyncio.wait_for(session.say("Hello.", audio=speech()).wait_for_playout(), 20)
        assert told == [(pytest.approx(0.4, abs=0.001), False)]
        with pytest.raises(InputError, match="slots"):
            await AvatarSession(studio=studio).start(session, room)
        await avatar.aclose()
        assert not studio.seats
        await session.aclose()
        await studio.close()

    run(work)


def test_an_agent_session_without_a_room():
    """What livekit-agents makes of it: the transcript ends with what was heard."""

    async def work():
        agent, items, states = Receiver(Studio.now), [], []
        async with scene(agent):
            session = AgentSession()
            session.output.audio = agent
            session.on(
                "conversation_item_added",
                lambda event: items.append(event.item) if event.item.type == "message" else None,
            )
            session.on("agent_state_changed", lambda event: states.append(event.new_state))
            await session.start(Agent(instructions=""))

            async def speech(seconds):
                for frame in frames(seconds):
                    yield frame

            handle = session.say("It has been said.", audio=speech(0.5))
            await asyncio.wait_for(handle.wait_for_playout(), 20)
            handle = session.say("one two three four", audio=speech(4.0))
            while len(agent.told) < 3:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.8)
            await session.interrupt()
            await asyncio.wait_for(handle.wait_for_playout(), 20)
            await session.aclose()
        assert [(one[1] if len(one) == 2 else one[2]) for one in agent.told] == ["started", False, "started", True]
        assert agent.told[1][1] == pytest.approx(0.5, abs=0.001) and 0.7 < agent.told[3][1] < 2.0
        assert [item.interrupted for item in items] == [False, True] and handle.interrupted
        assert states[-1] == "listening" and states.count("speaking") == 2

    run(work)
