"""A call as a stream and as a camera: to files of the same muxers, to a server of RTMP in another process."""

import asyncio
import json
import subprocess
import sys
import time

import numpy as np
import pytest

av = pytest.importorskip("av")
pytest.importorskip("PIL")

from afjax.errors import InputError  # noqa: E402
from afjax.serving.outlet import Camera, Outlet, Stream, target_of  # noqa: E402
from afjax.serving.studio import Studio  # noqa: E402
from afjax.serving.tap import RATE  # noqa: E402
from experiments.live.hosting import outlets  # noqa: E402
from tests.serving import stubs  # noqa: E402
from tests.serving.client import PORTRAITS  # noqa: E402

SIZE = 128
STILL = np.full((SIZE, SIZE, 3), 30, np.uint8)
LISTEN = """
import json
import av
with av.open("rtmp://127.0.0.1:{}/live/x", "r", format="flv", options={{"listen": "1"}}, timeout=30) as container:
    counts = {{stream.type: 0 for stream in container.streams}}
    try:
        for packet in container.demux():
            counts[packet.stream.type] += packet.size > 0
    except OSError:
        pass
    print(json.dumps(counts), flush=True)
"""


class Codec(stubs.Codec):
    size = SIZE


def read(path):
    """(times, mean levels) of pictures, and (times, loudness) of 5 ms of sound."""
    with av.open(str(path)) as container:
        seen = [(f.time, f.to_ndarray(format="gray")[: SIZE // 2].mean()) for f in container.decode(video=0)]
    with av.open(str(path)) as container:
        heard = []
        for frame in container.decode(audio=0):
            wave = frame.to_ndarray()[0]
            heard += [(frame.time + n / RATE, np.abs(wave[n : n + 240]).max()) for n in range(0, len(wave) - 239, 240)]
    return np.array(seen), np.array(heard)


def test_a_call_in_a_stream_has_its_pictures_and_its_voice_in_step(tmp_path):
    path = tmp_path / "call.flv"
    outlet = Outlet(Stream(str(path)), STILL)

    async def work():
        studio = Studio(stubs.Engine(1), Codec(), PORTRAITS, brain=stubs.Brain, headroom=0.3, seed=0)
        outlet.follow(studio)
        outlet.start()
        await studio.start()
        assert studio.reserve()
        from afjax.serving.outbox import Outbox

        seat = await studio.begin(studio.now(), 120.0, "", Outbox())
        assert not outlet.free
        await asyncio.sleep(0.6)
        seat.say("one two")
        await asyncio.sleep(1.4)
        seat.interrupt(studio.now())
        await asyncio.sleep(0.6)
        await studio.end(seat)
        assert outlet.free
        await asyncio.sleep(0.2)
        await studio.close()

    asyncio.run(work())
    outlet.close()
    seen, heard = read(path)
    assert np.allclose(np.diff(seen[:, 0])[1:], 0.04, atol=0.002) or outlet.dropped
    assert seen[0, 1] == pytest.approx(30, abs=4) and seen[-1, 1] == pytest.approx(30, abs=4)
    first_seen, first_heard = seen[seen[:, 1] > 60][0, 0], heard[heard[:, 1] > 0.1][0, 0]
    last_heard = heard[heard[:, 1] > 0.05][-1, 0]
    assert abs(first_seen - first_heard) < 0.1
    assert 0.5 < last_heard - first_heard < 1.8  # cut, long before its two seconds


def test_every_picture_says_that_it_is_made(tmp_path):
    outlet = Outlet(Stream(str(tmp_path / "x.flv")), STILL)
    marked = outlet._marked(np.full((SIZE, SIZE, 3), 90, np.uint8))
    height, width = outlet._mark.shape
    corner = marked[-height:, :width]
    assert (corner == 255).any() and (corner == 30).any() and width > SIZE // 4
    assert (marked[: SIZE // 2] == 90).all()
    outlet._marked(STILL)
    assert (STILL == 30).all()


def test_a_server_of_rtmp_gets_both(tmp_path):
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-c", LISTEN.format(port)], stdout=subprocess.PIPE, text=True)
    try:
        outlet = Outlet(target_of(f"rtmp://127.0.0.1:{port}/live/x"), STILL)
        for _ in range(100):
            try:
                outlet.start()
                break
            except InputError:
                time.sleep(0.1)
        outlet.hear(time.monotonic() + 1.0, np.full(RATE // 2, 0.3, np.float32))
        time.sleep(2.5)
        outlet.close()
        counts = json.loads(server.communicate(timeout=40)[0])
        assert counts["video"] > 30 and counts["audio"] > 60
    finally:
        server.kill()


def test_what_takes_no_pictures_is_said_in_a_line(tmp_path):
    for text in ("http://a.example/live", "call.flv", "rtmp:///live/x", ""):
        with pytest.raises(InputError):
            target_of(text)
    with pytest.raises(InputError, match="no such device") as missing:
        Outlet(target_of("/dev/video77"), STILL).start()
    assert "video_nr=77" in str(missing.value)
    file = tmp_path / "video"
    file.touch()
    with pytest.raises(InputError, match="takes no pictures"):
        Outlet(Camera(str(file)), STILL).start()
    with pytest.raises(InputError, match="takes no stream") as refused:
        Outlet(target_of("rtmp://127.0.0.1:9/live/secret-key"), STILL).start()
    assert "secret-key" not in str(refused.value) and "\n" not in str(refused.value)
    with pytest.raises(InputError), outlets(["/dev/video77"], PORTRAITS["grey"], SIZE):
        pass


def test_a_lost_server_is_tried_again(monkeypatch):
    from afjax.serving import outlet as module

    monkeypatch.setattr(module, "AGAIN", 0.05)
    told = []

    class Target:
        name, sounds = "somewhere", True

        def open(self, height, width):
            told.append("open")
            if len(told) == 4:
                raise InputError("not yet")

        def send(self, n, picture, samples):
            told.append("send")
            if len(told) == 2:
                raise OSError(32, "Broken pipe")

        def close(self):
            told.append("close")

    one = Outlet(Target(), STILL)
    one.start()
    time.sleep(0.5)
    one.close()
    assert told[:6] == ["open", "send", "close", "open", "open", "send"] and told[-1] == "close"
