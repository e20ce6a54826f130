"""User, agent and worker in one room, through the real SDKs: of a double of the server, or of LIVEKIT_URL.

The double (`livekit_double`) is a process of its own; what it shows is that our use of the SDK holds together.
"""

import asyncio
import contextlib
import os
import subprocess
import sys

import aiohttp
import numpy as np
import pytest

pytest.importorskip("livekit.agents")

from livekit import api, rtc  # noqa: E402
from livekit.agents import Agent, AgentSession  # noqa: E402

from afjax.errors import InputError  # noqa: E402
from afjax.serving.livekit.session import AvatarSession  # noqa: E402
from afjax.serving.livekit.worker import Worker  # noqa: E402
from afjax.serving.studio import Studio  # noqa: E402
from tests.serving import stubs  # noqa: E402
from tests.serving.livekit_room import Camera, Watcher  # noqa: E402
from tests.serving.stubs import JAW, SMILE  # noqa: E402

RATE, SIZE = 24_000, 64


class Codec(stubs.Codec):
    """Red is the jaw's opening, green the smile."""

    size = SIZE

    def render(self, identity, motion):
        pixels = np.zeros((len(motion), SIZE, SIZE, 3), np.uint8)
        pixels[..., 0] = np.clip(255 * motion[:, JAW], 0, 255)[:, None, None]
        pixels[..., 1] = np.clip(2550 * motion[:, SMILE], 0, 255)[:, None, None]
        return pixels


@pytest.fixture(params=["double", "LIVEKIT_URL"])
def server(request):
    """(address, key, secret) of a server."""
    if request.param != "double":
        if "LIVEKIT_URL" not in os.environ:
            pytest.skip("no server (set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET)")
        yield tuple(os.environ[name] for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"))
        return
    pytest.importorskip("aiortc")
    command = [sys.executable, "-m", "tests.serving.livekit_double"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip(), "key", "a secret that nobody checks, of some length"
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@contextlib.asynccontextmanager
async def entered(server, identity, name, kind="standard", listens=True):
    url, key, secret = server
    token = api.AccessToken(key, secret).with_identity(identity).with_kind(kind)
    token = token.with_grants(api.VideoGrants(room_join=True, room=name)).to_jwt()
    room = rtc.Room()
    await room.connect(url, token, rtc.RoomOptions(auto_subscribe=listens))
    try:
        yield room
    finally:
        await room.disconnect()


@contextlib.asynccontextmanager
async def working():
    studio = Studio(stubs.Engine(), Codec(), {"grey": np.full((16, 16, 3), 128, np.uint8)}, headroom=0.3)
    await studio.start()
    worker = Worker(studio)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()
        await studio.close()


async def until(what, seconds=40.0):
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.02)


async def speech(seconds):
    tone = (12_000 * np.sin(np.arange(round(seconds * RATE)) * 0.21)).astype(np.int16)
    for piece in np.split(tone, range(1200, len(tone), 1200)):
        yield rtc.AudioFrame(piece.tobytes(), RATE, 1, len(piece))


async def subscribed(room, kind):
    """The avatar's track of a kind, which the room's participant subscribes to alone."""

    def found():
        avatar = room.remote_participants.get("afjax-avatar")
        return [one for one in avatar.track_publications.values() if one.kind == kind] if avatar else []

    await until(found)
    (publication,) = found()
    publication.set_subscribed(True)
    await until(lambda: publication.track is not None)
    return publication.track


@contextlib.asynccontextmanager
async def filmed(room, camera):
    """A user's camera, published after a microphone that is silent: the double takes no picture first."""
    camera.start(talks=False)
    source = rtc.TrackSource
    options = rtc.TrackPublishOptions(source=source.SOURCE_MICROPHONE)
    publication = await room.local_participant.publish_track(camera.audio_track, options)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(publication.wait_for_subscription(), 10)
    options = rtc.TrackPublishOptions(source=source.SOURCE_CAMERA, simulcast=False)
    await room.local_participant.publish_track(camera.video_track, options)
    try:
        yield
    finally:
        await camera.aclose()


def run(work):
    async def limited():
        async with asyncio.timeout(240):
            await work()

    asyncio.run(limited())


def own_tracks(worker):
    """The avatar's tracks before they go through any server."""
    (guest,) = worker._calls.values()
    found = guest._room.local_participant.track_publications.values()
    tracks = {one.source: one.track for one in found}
    return tracks[rtc.TrackSource.SOURCE_CAMERA], tracks[rtc.TrackSource.SOURCE_MICROPHONE]


def test_an_agent_speaks_through_a_worker(server):
    """Who watches the avatar's own tracks costs the double nothing."""

    async def work():
        url, key, secret = server
        told, name = [], f"afjax-speech-{os.getpid()}"
        async with working() as worker, entered(server, "agent", name, "agent", False) as room:
            session, avatar = AgentSession(), AvatarSession(worker.url, worker.secret)
            options = {"livekit_url": url, "livekit_api_key": key, "livekit_api_secret": secret}
            await avatar.start(session, room, **options)
            await avatar.wait_for_join(timeout=60)
            who = room.remote_participants["afjax-avatar"]
            assert who.attributes["lk.publish_on_behalf"] == "agent"
            assert who.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
            await session.start(Agent(instructions=""))
            output = session.output.audio
            output.on("playback_started", lambda event: told.append(("started",)))
            output.on("playback_finished", lambda e: told.append((e.playback_position, e.interrupted)))
            watcher = Watcher(Studio.now)
            watcher.watch(*own_tracks(worker))
            handle = session.say("It has been said.", audio=speech(1.0))
            await asyncio.wait_for(handle.wait_for_playout(), 60)
            assert told == [("started",), (pytest.approx(1.0, abs=0.001), False)]
            before = sum(loud for _, loud in watcher.loud())
            assert before * 0.01 == pytest.approx(1.0, abs=0.06) and watcher.colours[-1][0] < 90
            handle = session.say("one two three four", audio=speech(8.0))
            await until(lambda: len(told) == 3)
            await asyncio.sleep(1.0)
            await session.interrupt()
            await asyncio.wait_for(handle.wait_for_playout(), 60)
            await asyncio.sleep(0.5)
            (position, interrupted), heard = told[3], sum(loud for _, loud in watcher.loud()) - before
            print(f"position {position:.3f} s, heard {heard * 0.01:.3f} s")
            assert interrupted and len(told) == 4 and 0.8 < position < 7.0
            assert position == pytest.approx(heard * 0.01, abs=0.04)
            assert watcher.colours[-1][0] < 30
            await watcher.aclose()
            await session.aclose()
            await room.disconnect()  # without its agent the avatar leaves
            await until(lambda: not worker.studio.seats and not worker._calls)

    run(work)


def test_the_smile_of_a_user_comes_back_on_the_avatars_face(server):
    """The user's camera goes to the worker, and the avatar's picture to the user, nothing else."""

    async def work():
        url, key, secret = server
        name = f"afjax-smile-{os.getpid()}"
        options = {"livekit_url": url, "livekit_api_key": key, "livekit_api_secret": secret}
        async with working() as worker, entered(server, "agent", name, "agent", False) as room:
            avatar = AvatarSession(worker.url, worker.secret)
            await avatar.start(AgentSession(), room, **options)
            async with entered(server, "ann", name, listens=False) as home:
                camera, watcher = Camera(60, (160, 120), 5), Watcher(Studio.now)
                async with filmed(home, camera):
                    watcher.watch(await subscribed(home, rtc.TrackKind.KIND_VIDEO))
                    await until(lambda: watcher.colours and 40 < watcher.colours[-1][1] < 80)
                    camera.level = 200
                    await until(lambda: watcher.colours[-1][1] > 170)
                await watcher.aclose()
            await avatar.aclose()

    run(work)


def test_who_asks_a_worker_wrongly_is_told_why():
    async def work():
        async with working() as worker, aiohttp.ClientSession() as client:
            asked = {"url": "ws://127.0.0.1:9", "token": "t", "agent": "a"}
            good = {"Authorization": f"Bearer {worker.secret}"}
            for status, head, body in [
                (401, {}, asked), (401, {"Authorization": f"Bearer {worker.secret}x"}, asked),
                (401, {"Authorization": worker.secret}, asked), (400, good, {**asked, "url": "file:///etc/passwd"}),
                (400, good, {**asked, "token": ""}), (400, good, {**asked, "agent": 3}), (400, good, [1]),
                (400, good, asked),
            ]:  # fmt: skip
                async with client.post(f"{worker.url}/join", json=body, headers=head) as answer:
                    assert answer.status == status and (await answer.json())["error"]
            async with client.post(f"{worker.url}/join", data=b"x" * 20_000, headers=good) as answer:
                assert answer.status == 413
            worker.studio.reserve()
            async with client.post(f"{worker.url}/join", json=asked, headers=good) as answer:
                assert answer.status == 503
            async with client.get(f"{worker.url}/health") as answer:
                assert await answer.json() == {"sessions": 1, "calls": 0}
        for options, message in (({}, "no worker"), ({"worker": worker.url}, "not connected")):
            with pytest.raises(InputError, match=message):
                await AvatarSession(**options).start(None, rtc.Room())
        with pytest.raises(InputError, match="secret"):
            Worker(worker.studio, secret="short")

    run(work)
