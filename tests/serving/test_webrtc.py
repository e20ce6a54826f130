"""The page's protocol over WebRTC: aiortc on both sides, in one process, with a model of a few numbers."""

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import time

import numpy as np
import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("aiortc")

from afjax.errors import InputError  # noqa: E402
from afjax.serving.server import Server  # noqa: E402
from afjax.serving.studio import Studio  # noqa: E402
from afjax.serving.tap import RATE  # noqa: E402
from afjax.serving.webrtc.door import Door, ice_servers  # noqa: E402
from afjax.serving.webrtc.peer import Peer  # noqa: E402
from afjax.serving.webrtc.tracks import CHUNK, PictureTrack, VoiceTrack  # noqa: E402
from tests.serving import stubs  # noqa: E402
from tests.serving.client import PORTRAITS, jpeg, jpeg_of  # noqa: E402
from tests.serving.rtc_client import RtcPage  # noqa: E402

SIZE = 64


class Codec(stubs.Codec):
    size = SIZE


def run(work, seconds=60):
    async def limited():
        async with asyncio.timeout(seconds):
            await work

    asyncio.run(limited())


@contextlib.asynccontextmanager
async def serving(sessions=1, **more):
    studio = Studio(
        stubs.Engine(sessions), Codec(), PORTRAITS, brain=stubs.Brain, voices=stubs.Brain.voices, headroom=0.3, seed=0
    )
    server = Server(studio, door=Door(studio, **more))
    await studio.start()
    try:
        await server.start()
        yield server
    finally:
        await server.stop()
        await studio.close()


def onset(found, above):
    found = np.array(found)
    return found[found[:, 1] > above][0, 0]


def silent_from(sound, above=0.02):
    sound = np.array(sound)
    return sound[sound[:, 1] > above][-1, 0] + 0.005


def test_a_call_by_tracks_and_data_channel():
    async def work():
        async with serving() as server:
            seats = server.studio.seats
            async with RtcPage(server) as page:
                assert (await page.hears("hello"))["generated"] is True
                page.json("ping", sent=3.5)
                assert (await page.hears("pong"))["sent"] == 3.5
                page.begin()
                ready = await page.hears("ready")
                page.mic.loud = 0.5
                await page.until(lambda page: len(page.pictures) > 10 and seats[0].pictures["seen"] > 5)
                assert page.shape == (SIZE, SIZE) and 0.2 < ready["offset"] < 2
                assert page.answer["sdp"].index("VP8") < page.answer["sdp"].index("H264")
                seat = seats[0]
                brain = seat._brain
                await page.until(lambda page: len(brain.heard) > 25)
                samples, stamps = (np.array(part) for part in zip(*brain.heard, strict=True))
                gaps = np.diff(stamps)[1:] - samples[1:-1] / 16_000
                assert np.median(np.abs(gaps)) < 0.002  # chunks of the user's sound follow each other
                page.json("say", text="one two")
                await page.until(lambda page: page.sound and max(page.sound)[1] > 0.2, 20)
                await page.live(1.0)
                assert page.told and any(one["type"] == "caption" for one in page.told)
                skew = onset(page.pictures, 60) - onset(page.sound, 0.1)
                assert abs(skew) < 0.4, skew  # `rtc_rehearsal` measures it where nothing else runs
                page.json("end")
                closed = await page.hears("closed")
                assert closed["code"] == 1000
                async with asyncio.timeout(5):
                    while seats or server._door.peers:
                        await asyncio.sleep(0.02)
                assert server.studio.vacant

    run(work())


def test_what_is_seen_and_heard_together_has_the_same_time_in_both_tracks(monkeypatch):
    """By the stamps that receivers play by, unless sound comes so late that it is left out."""
    heard, seen = [], []

    def noting(track, note):
        recv = track.recv

        async def noted(self):
            frame = await recv(self)
            note(frame)
            return frame

        monkeypatch.setattr(track, "recv", noted)

    def note_sound(frame):
        loud = np.abs(frame.to_ndarray()[0]) > 3000
        heard.extend([(frame.pts + int(np.argmax(loud))) / RATE] if loud.any() else [])

    def note_picture(frame):
        seen.extend([frame.pts / 90_000] if frame.to_ndarray(format="gray").mean() > 40 else [])

    noting(VoiceTrack, note_sound)
    noting(PictureTrack, note_picture)

    async def work():
        async with serving() as server:
            async with RtcPage(server, mic=False, camera=False) as page:
                await page.hears("hello")
                page.begin()
                await page.hears("ready")
                for _ in range(3):
                    heard.clear(), seen.clear()
                    page.json("say", text="one")
                    await page.until(lambda page: heard and seen, 20)
                    assert abs(seen[0] - heard[0]) <= 0.06, seen[0] - heard[0]
                    await page.live(1.5)

    run(work())


def test_a_cut_drops_what_has_not_left():
    async def work():
        async with serving() as server:
            async with RtcPage(server, mic=False, camera=False) as page:
                await page.hears("hello")
                page.begin()
                await page.hears("ready")
                page.json("say", text="one two three four")
                await page.until(lambda page: sum(loud > 0.2 for _, loud in page.sound) > 60, 20)
                asked = time.monotonic()
                page.json("interrupt")
                cut = await page.hears("cut")
                assert cut["generation"] == 1 and 0 < cut["heard"] < 3
                await page.live(1.5)
                quiet = silent_from(page.sound)
                assert quiet - asked < 1.0, quiet - asked  # `rtc_rehearsal` measures it where nothing else runs
                assert page.sound[-1][0] > quiet + 0.3
                page.json("say", text="five")  # what comes after a cut is heard
                await page.until(lambda page: page.sound[-1][1] > 0.2, 20)

    run(work())


def test_pictures_in_h264_and_a_portrait_in_parts():
    async def work():
        async with serving() as server:
            async with RtcPage(server, mic=False, codec="H264") as page:
                assert "VP8" not in page.answer["sdp"]
                await page.hears("hello")
                page.begin(portrait="")
                noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
                data = jpeg_of(noise, "PNG")
                assert len(data) > 150_000
                page.portrait(data)
                await page.hears("ready")
                assert server.studio.seats[0].identity == pytest.approx(noise.mean(), abs=1)
                await page.until(lambda page: len(page.pictures) > 3)
                page.portrait(jpeg(200, 64, 64))
                await page.until(lambda page: server.studio.seats[0].identity == pytest.approx(200, abs=2))

    run(work())


def test_a_full_house_is_told_and_strangers_are_refused():
    async def work():
        async with serving() as server:
            async with RtcPage(server, mic=False, camera=False) as page:
                await page.hears("hello")
                page.begin()
                await page.hears("ready")
                async with RtcPage(server, mic=False, camera=False) as other:
                    await other.hears("busy")
                    assert (await other.hears("closed"))["code"] == 1013
                offer = json.dumps({"type": "offer", "sdp": page.connection.localDescription.sdp})
                for headers in ({"Origin": "http://evil.example"}, {"Authorization": "Bearer wrong"}):
                    page._headers, kept = page._headers | headers, page._headers
                    assert (await page.post("offer", offer))[0] == 403 and (await page.post("ice"))[0] == 403
                    page._headers = kept
                assert await page.post("ice") == (200, '{"iceServers": []}')
                assert (await page.post("nothing"))[0] == 404
                for body in (
                    "",
                    "[]",
                    "{",
                    '{"type": "offer", "sdp": 3}',
                    '{"type": "offer", "sdp": "v=0"}',
                    "x" * 70_000,
                ):
                    status, text = await page.post("offer", body)
                    assert status == 422 and text.count("\n") == 1, body[:20]
                no_pictures = offer.replace("VP8", "VP7").replace("H264", "H000")
                assert (await page.post("offer", no_pictures))[0] == 422
            assert len(server._door.peers) <= 1

    run(work())


def test_a_server_without_webrtc_says_so():
    async def work():
        from tests.serving.client import serving as plain

        async with plain() as server:
            page = RtcPage(server)
            assert (await page.post("offer", "{}"))[0] == 404

    run(work())


def test_a_page_that_never_comes_is_forgotten(monkeypatch):
    async def work():
        from afjax.serving.webrtc import door

        monkeypatch.setattr(door, "CONNECT", 0.2)
        async with serving() as server:
            page = RtcPage(server)
            offer = await page.offer()
            assert (await page.post("offer", offer))[0] == 200
            await page.connection.close()
            async with asyncio.timeout(10):
                while server._door.peers:
                    await asyncio.sleep(0.05)

    run(work())


def test_the_voice_is_paced_by_its_own_clock_and_skips_a_standstill():
    async def work():
        track = VoiceTrack(time.monotonic())
        first = await track.recv()
        frames = [await track.recv() for _ in range(5)]
        assert [frame.pts for frame in frames] == [first.pts + CHUNK * n for n in range(1, 6)]
        assert time.monotonic() >= track.reel.origin + frames[-1].pts / RATE
        time.sleep(0.5)  # the loop stands still
        frame = await track.recv()
        assert frame.pts - frames[-1].pts > 15 * CHUNK and track.late > 10

    run(work())


def test_the_newest_picture_wins_and_stamps_rise():
    async def work():
        origin, loop = time.monotonic(), asyncio.get_running_loop()
        track = PictureTrack(origin, loop)
        for n in range(5):
            track.show(origin + n / 25, np.full((16, 16, 3), 10 * n, np.uint8))
        await asyncio.sleep(0.01)
        frame = await track.recv()
        assert frame.pts == 4 * 3600 and frame.to_ndarray(format="rgb24").mean() == 40 and track.dropped == 4
        track.show(origin, np.zeros((16, 16, 3), np.uint8))  # a clock that went back
        assert (await track.recv()).pts == 4 * 3600 + 1

    run(work())


def test_servers_of_ice():
    assert ice_servers([]) == []
    assert ice_servers(["stun:a.example:3478"]) == [{"urls": ["stun:a.example:3478"]}]
    turn = ice_servers(["turn:a.example?transport=tcp"], "ann", "secret")
    assert turn == [{"urls": ["turn:a.example?transport=tcp"], "username": "ann", "credential": "secret"}]
    for urls in (["http://a"], ["turn:"], ["turn:a.example"]):
        with pytest.raises(InputError):
            ice_servers(urls)


@pytest.fixture
def turn(tmp_path):
    """Address of a TURN server of coturn on this machine."""
    import aioice.ice

    program, hosts = shutil.which("turnserver"), aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=False)
    if program is None or not hosts:
        pytest.skip("no coturn, or no network")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((hosts[0], 0))
        port = free.getsockname()[1]
    line = [program, "-n", f"--listening-port={port}", f"--listening-ip={hosts[0]}", f"--relay-ip={hosts[0]}"]
    line += ["--realm=avatar.example", "--lt-cred-mech", "--user=ann:secret", "--fingerprint", "--no-cli", "--no-tls"]
    line += ["--no-dtls", f"--pidfile={tmp_path}/pid", f"--log-file={tmp_path}/log", "--simple-log"]
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1.0)
    yield f"turn:{hosts[0]}:{port}"
    process.terminate()
    process.wait()


def test_a_page_that_nothing_else_reaches_comes_by_turn(turn):
    async def work():
        async with serving(servers=ice_servers([turn], "ann", "secret")) as server:
            async with RtcPage(server, relayed=True) as page:
                addresses = [line for line in page.connection.localDescription.sdp.splitlines() if "candidate:" in line]
                assert addresses and all("typ relay" in line for line in addresses)
                await page.hears("hello")
                page.begin()
                await page.hears("ready")
                await page.until(lambda page: len(page.pictures) > 5 and len(page.sound) > 100)

    run(work())


def test_a_page_whose_addresses_are_hidden_is_found_by_its_own_packets():
    async def work():
        async with serving() as server, RtcPage(server, hidden=True) as page:
            assert "nobody.local" in page.offered and "a=end-of-candidates" in page.offered
            await page.hears("hello")

    run(work())


def test_parts_that_never_end_are_given_on():
    async def work():
        from afjax.serving.protocol import HEAD, LIMITS, PORTRAIT
        from afjax.serving.webrtc.network import Network

        network = Network()
        peer = Peer(network)
        part = HEAD.pack(PORTRAIT, 1, 0, 0, 0.0) + bytes(1 << 20)
        for _ in range(9):
            peer._from_page(part)
        whole = await peer.receive()
        assert LIMITS.portrait < len(whole) < LIMITS.portrait + (2 << 20) and whole[1] == 0
        await network.close()

    run(work())
