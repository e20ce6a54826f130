"""Recordings that the server signs: over a real socket, and read by C2PA's own reader."""

import asyncio
import io
import json
import tempfile
import time
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from afjax.errors import InputError
from afjax.serving import server as served
from tests.serving.client import address, serving
from tests.serving.test_server import run

SHOWN = "compositeWithTrainedAlgorithmicMedia"


@pytest.fixture(scope="module")
def signer():
    pytest.importorskip("c2pa")
    from afjax.serving.credentials import Signer

    return Signer()


@pytest.fixture(scope="module")
def recording() -> bytes:
    """As a browser writes one: in fragments."""
    av = pytest.importorskip("av")
    made = io.BytesIO()
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    with av.open(made, "w", format="mp4", options=options) as container:
        video = container.add_stream("libx264", rate=25)
        video.width = video.height = 64
        video.codec_context.gop_size = 10
        for n in range(40):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 5 * n, np.uint8), format="rgb24")
            frame.pts = n
            container.mux(video.encode(frame))
        container.mux(video.encode())
    return made.getvalue()


async def post(server, data, token=None, origin=None, **headers):
    """-> status and what is answered."""
    token = server.token if token is None else token
    headers = {"Origin": address(server).rstrip("/") if origin is None else origin, **headers}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession() as client:
        async with client.post(address(server) + "recording", data=data, headers=headers) as answer:
            return answer.status, await answer.read()


def validated(data: bytes):
    import c2pa

    with c2pa.Reader("video/mp4", io.BytesIO(data)) as reader:
        found = json.loads(reader.json())
    return found["validation_state"], {fault["code"] for fault in found.get("validation_status", [])}, json.dumps(found)


def test_a_signed_recording_says_that_it_is_generated_and_breaks_when_it_is_changed(signer, recording):
    async def work():
        async with serving(signer=signer) as server:
            status, signed = await post(server, recording)
        assert status == 200 and len(signed) > len(recording)
        state, faults, text = validated(signed)
        assert (
            state == "Valid" and faults == {"signingCredential.untrusted"} and SHOWN in text and "c2pa.created" in text
        )
        changed = bytearray(signed)
        changed[signed.index(b"mdat") + 40] ^= 1
        state, faults, _ = validated(bytes(changed))
        assert state == "Invalid" and "assertion.bmffHash.mismatch" in faults

    run(work())


def test_it_still_plays(signer, recording, tmp_path):
    av = pytest.importorskip("av")
    (tmp_path / "given.mp4").write_bytes(recording)
    signer(tmp_path / "given.mp4", tmp_path / "signed.mp4")
    with av.open(str(tmp_path / "signed.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 40


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"token": "x" * 32}, 403), ({"token": ""}, 403), ({"token": "\xff" * 20}, 403), ({"Host": "evil"}, 403),
        ({"origin": "http://evil.example"}, 403), ({"data": b"no video"}, 422), ({"data": bytes(3000)}, 413),
    ],
)  # fmt: skip
def test_what_can_t_be_signed_is_refused_and_leaves_nothing(change, status, monkeypatch, tmp_path):
    monkeypatch.setattr(served, "RECORDING", 2000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def signer(source, target):
        raise InputError("this can't be signed as a video")

    async def work():
        async with serving(signer=signer) as server:
            assert (await post(server, **{"data": b"", **change}))[0] == status

    run(work())
    assert not list(tmp_path.iterdir())


def test_a_signed_recording_is_not_signed_again(signer, recording, tmp_path):
    given, once, twice = (tmp_path / f"{name}.mp4" for name in ("given", "once", "twice"))
    given.write_bytes(recording)
    signer(given, once)
    with pytest.raises(InputError, match="credentials already"):
        signer(once, twice)
    assert not twice.exists()


def test_who_sends_too_slowly_holds_nobody_up(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(served, "PATIENCE", 0.3)

    async def drops():
        yield b"abc"
        await asyncio.sleep(2)
        yield b"def"

    async def work():
        async with serving(sessions=2, signer=lambda source, target: target.write_bytes(source.read_bytes())) as server:
            slow = asyncio.create_task(post(server, drops()))
            await asyncio.sleep(0.1)
            assert await post(server, b"other") == (200, b"other")
            assert (await slow)[0] == 408

    run(work())
    assert not list(tmp_path.iterdir())


def test_one_at_a_time_and_the_loop_is_free_meanwhile(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    began, go_on = asyncio.Event(), None

    async def work():
        nonlocal go_on
        import threading

        go_on, loop = threading.Event(), asyncio.get_running_loop()

        def signer(source: Path, target: Path):
            loop.call_soon_threadsafe(began.set)
            go_on.wait(10)
            target.write_bytes(source.read_bytes()[::-1])

        async with serving(signer=signer) as server:
            first = asyncio.create_task(post(server, b"abc"))
            await began.wait()
            assert (await post(server, b"def"))[0] == 503
            go_on.set()
            assert await first == (200, b"cba")

    run(work())
    assert not list(tmp_path.iterdir())


def test_without_a_signer_the_page_is_told_and_nothing_is_taken():
    async def work():
        async with serving() as server, aiohttp.ClientSession() as client:
            async with client.get(address(server) + "health") as answer:
                assert (await answer.json())["signs"] is False
            assert (await post(server, b"abc"))[0] == 404

    run(work())


def test_a_certificate_that_is_none_is_named(signer, tmp_path):
    from afjax.serving.credentials import Signer

    (tmp_path / "odd.pem").write_text("odd")
    with pytest.raises(InputError, match="no certificate in PEM"):
        Signer(tmp_path / "odd.pem", tmp_path / "odd.pem")
    with pytest.raises(InputError, match="can't be read"):
        Signer(tmp_path / "none.pem", tmp_path / "none.pem")


def test_a_key_of_another_certificate_is_named(signer, tmp_path):
    from afjax.serving.credentials import Signer, _self_made

    (chain, key), (_, other) = _self_made(), _self_made()
    for name, content in (("chain", chain), ("key", key), ("other", other)):
        (tmp_path / name).write_bytes(content)
    Signer(tmp_path / "chain", tmp_path / "key")
    with pytest.raises(InputError, match="not that of the first certificate"):
        Signer(tmp_path / "chain", tmp_path / "other")


@pytest.mark.slow
def test_a_browser_saves_what_the_server_has_signed(signer, tmp_path):
    """Chromium's own recording, of a call with a server that has no network behind it."""
    from tests import browser

    if browser.find() is None:
        pytest.skip("no Chromium")

    def drive(url):
        def click(page, name):
            page.run(f"document.getElementById('{name}').click()")

        with browser.Browser(tmp_path, 640, 480, browser.FAKE_MEDIA) as page:
            page.open(url)
            page.wait("afjaxDebug.screen === 'begin'")
            click(page, "start")
            page.wait("afjaxDebug.frames > 3", 60)
            click(page, "record")
            time.sleep(3)
            click(page, "record")
            page.wait("!document.getElementById('notice-do').hidden", 40)
            assert "signed as AI-generated" in page.run("document.getElementById('notice-text').textContent")
            click(page, "notice-do")
            until = time.monotonic() + 40
            while not (saved := list((tmp_path / "downloads").glob("*.mp4"))) and time.monotonic() < until:
                time.sleep(0.05)
            assert page.errors == [] and page.console == []
            return saved[0].read_bytes()

    async def work():
        async with serving(signer=signer) as server:
            saved = await asyncio.to_thread(drive, server.url)
        state, faults, text = validated(saved)
        assert state == "Valid" and faults == {"signingCredential.untrusted"} and SHOWN in text

    run(work(), 200)
