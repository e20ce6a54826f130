"""The server over real loopback sockets: a whole call, and all who are refused."""

import asyncio
import contextlib
import dataclasses
import io
import json
import socket
import time

import aiohttp
import numpy as np
import pytest
from PIL import Image

from afjax.errors import InputError
from afjax.serving import protocol
from afjax.serving.protocol import HEAD
from afjax.serving.server import HEADERS, Server
from tests.serving.client import Page, address, camera, jpeg, mic, serving


def run(work, seconds=40):
    async def limited():
        async with asyncio.timeout(seconds):
            await work

    asyncio.run(limited())


def numbers(found, generation=0):
    return [number for g, number, _ in found if g == generation]


def test_a_call_from_hello_to_end():
    async def work():
        async with serving() as server:
            async with Page(server) as page:
                hello = await page.hears("hello")
                assert hello["version"] == "afjax.live.1" and hello["generated"] is True
                assert (hello["fps"], hello["block"], hello["size"]) == (25, 5, 16)
                assert hello["portraits"] == ["grey", "light"] and hello["voices"] == ["tone"]
                assert hello["guided"] is False
                await page.json("ping", sent=12.5)
                pong = await page.hears("pong")
                assert pong["sent"] == 12.5 and 0 <= pong["received"] <= pong["answered"]
                await page.begin()
                ready = await page.hears("ready")
                assert ready["generation"] == 0 and 0.2 < ready["offset"] < 1
                living = asyncio.create_task(page.live(2.6))
                await asyncio.sleep(0.4)
                await page.json("say", text="one two")
                await living
                await page.json("gesture", name="nod")
                caption = await page.hears("caption")
                await page.until(lambda p: p.pictures and p.pictures[-1][1] >= 55)
                stats = await page.hears("stats")
                await page.json("end")
                await page.until(lambda p: p.code is not None)
            pictures, sounds = numbers(page.pictures), numbers(page.sound)
            assert pictures == list(range(len(pictures))) and sounds == list(range(0, 5 * len(sounds), 5))
            assert all(len(payload) == 5 * 1280 for _, _, payload in page.sound)
            assert all(Image.open(io.BytesIO(payload)).size == (16, 16) for _, _, payload in page.pictures)
            assert page.order.index("ready") < page.order.index((protocol.SOUND, 0, 0))
            assert page.order.index((protocol.SOUND, 0, 5)) < page.order.index((protocol.PICTURE, 0, 5))
            loud = [number for _, number, payload in page.sound if any(payload)]
            assert caption["who"] == "avatar" and caption["words"][0] == ["one", loud[0], loud[0] + 24]
            assert stats["counts"]["corrupt"] == 0 and stats["counts"]["seen"] > 0 and stats["reaction_ms"] > 0
            assert stats["blocks"] > 0 and stats["compute_ms"]["p95"] > 0
            mouths = [np.asarray(Image.open(io.BytesIO(payload))).mean() for _, _, payload in page.pictures]
            assert max(mouths[: loud[0]]) < 5 and max(mouths[loud[0] :]) > 60 and page.code == 1000
            await asyncio.sleep(0.05)
            assert not server.studio.seats and not server.studio.engine.taken

    run(work())


def test_a_cut_over_the_wire():
    async def work():
        async with serving(headroom=0.5) as server, Page(server) as page:
            await page.begin()
            await page.hears("ready")
            living = asyncio.create_task(page.live(4.0))
            await page.json("say", text="a b c d e f g h")
            await asyncio.sleep(1.8)
            await page.json("interrupt")
            cut = await page.hears("cut")
            place = page.order.index("cut")
            await living
            await page.until(lambda p: max(numbers(p.pictures, 1), default=0) > cut["frame"] + 20)
            after = [one for one in page.order[place + 1 :] if isinstance(one, tuple)]
            assert all(generation == 1 for _, generation, _ in after)  # nothing of an older generation
            assert numbers(page.pictures, 1)[0] == cut["frame"] and cut["generation"] == 1
            assert numbers(page.pictures, 1) == list(range(cut["frame"], cut["frame"] + len(numbers(page.pictures, 1))))
            assert not any(any(payload) for generation, _, payload in page.sound if generation == 1)
            brain = server.studio.seats[0]._brain
            assert 0.5 < cut["heard"] < 2 and brain.cuts == [pytest.approx(cut["heard"], abs=1e-3)]
            mouths = [np.asarray(Image.open(io.BytesIO(p))).mean() for g, _, p in page.pictures if g == 1]
            assert max(mouths[4:]) < 10
            await page.json("interrupt")  # nothing to cut: no new generation
            await asyncio.sleep(0.2)
            assert not [one for one in page.told if one["type"] == "cut"] and brain.cuts[1:] == [0.0]

    run(work())


def test_portraits_voices_and_what_this_model_lacks():
    async def work():
        async with serving() as server:
            async with Page(server) as page:
                await page.begin(portrait="", mic_rate=0, camera=False)
                black, own = jpeg(0, 80, 80), jpeg(99, 80, 80, "PNG")
                await page.send(HEAD.pack(3, 0, 0, 0, 0.0) + black)
                assert "no face" in (await page.hears("error"))["text"]
                await page.send(HEAD.pack(3, 0, 0, 0, 0.0) + own)
                assert (await page.hears("ready"))["offset"] > 0.2
                seat = server.studio.seats[0]
                assert seat.identity == pytest.approx(99, abs=1)
                await page.json("look", portrait="light")
                await page.until(lambda p: seat.identity == 200)
                for type, fields, code in [
                    ("look", {"portrait": "nobody"}, "portrait"), ("gesture", {"name": "dance"}, "unsupported"),
                    ("expressiveness", {"value": 1.5}, "unsupported"), ("voice", {"name": "tone"}, "unsupported"),
                    ("begin", {"portrait": "grey", "voice": "", "mic_rate": 0, "camera": False}, "order"),
                ]:  # fmt: skip
                    await page.json(type, **fields)
                    assert (await page.hears("error"))["code"] == code
                await page.send(HEAD.pack(3, 0, 0, 0, 0.0) + jpeg(99, 5000, 4000, "PNG"))
                assert "16 megapixels" in (await page.hears("error"))["text"]
                await page.send(mic(0))
                assert (await page.hears("error"))["code"] == "mic"
                await page.send(camera(0, data=jpeg(99, 1300, 700)))
                assert "1280 x 720" in (await page.hears("error"))["text"]
                await page.until(lambda p: len(p.pictures) > 5)  # it goes on without camera and microphone
            async with Page(server) as page:
                await page.begin(portrait="nobody")
                assert (await page.hears("error"))["code"] == "portrait"
                await page.begin()
                await page.hears("ready")

    run(work())


def test_expressiveness_is_in_units_of_the_model_s_own_guidance():
    async def work():
        async with serving() as server:
            engine, asked = server.studio.engine, []
            sampler = dataclasses.replace(engine.config.sampler, guidance_avatar=-0.4, guidance_joint=1.4)
            engine.config = dataclasses.replace(engine.config, sampler=sampler)
            engine.has_guidance, engine.set_guidance_scale = True, lambda slot, scale: asked.append(scale)
            async with Page(server) as page:
                await page.begin(mic_rate=0, camera=False)
                await page.hears("ready")
                await page.json("expressiveness", value=0.5)
                await page.until(lambda p: asked)
            assert asked == [pytest.approx(1.2)]

    run(work())


def test_who_is_refused_before_the_socket_is_accepted():
    async def work():
        async with serving() as server:
            url = address(server)
            port = url.rstrip("/").rsplit(":", 1)[1]
            wrong = [
                {"origin": "http://evil.example"}, {"origin": ""}, {"origin": "null"}, {"origin": "http://127.0.0.1:1"},
                {"origin": url.rstrip("/") + ".evil"}, {"Host": f"evil.example:{port}"}, {"token": "x" * 32},
                {"token": ""},
            ]  # fmt: skip
            for case in wrong:
                with pytest.raises(aiohttp.WSServerHandshakeError) as error:
                    async with Page(server, **case):
                        pass
                assert error.value.status == 403, case
            assert not server._open
            async with aiohttp.ClientSession() as client:
                async with client.get(url, headers={"Host": "evil.example"}) as answer:
                    assert answer.status == 403
                async with client.get(url.replace("127.0.0.1", "localhost") + "health") as answer:
                    assert (await answer.json())["sessions"] == 1
                    for name, value in HEADERS.items():
                        assert answer.headers[name] == value
                for path, status in [("", 200), ("portraits/grey", 200), ("portraits/no", 404), ("static/no.js", 404),
                                     ("static/%2e%2e%2fserver.py", 404), ("static/..%2f__init__.py", 404),
                                     ("live", 403), ("nothing", 404)]:  # fmt: skip
                    async with client.get(url + path) as answer:
                        assert answer.status == status, path
                        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
                        assert "Traceback" not in await answer.text(errors="replace")
            async with Page(server) as page:
                await page.hears("hello")

    run(work())


def test_a_page_that_is_loaded_again_waits_for_the_slot_it_has_left():
    async def work():
        async with serving() as server:
            engine = server.studio.engine
            leave = engine.leave
            engine.leave = lambda slot: (time.sleep(0.4), leave(slot))
            async with Page(server) as page:
                await page.begin()
                await page.hears("ready")
                async with Page(server) as again:
                    await asyncio.sleep(0.1)
                    assert not again.told
                    await page.json("end")
                    await again.hears("hello")
                    await again.begin()
                    await again.hears("ready")

    run(work())


def test_busy_silent_and_too_large():
    async def work():
        async with serving(sessions=2) as server:
            async with Page(server) as page:
                await page.begin()
                await page.hears("ready")
                async with Page(server) as waits, Page(server) as other:
                    await waits.hears("hello")
                    await other.begin()
                    await other.hears("ready")
                    await waits.begin()  # whose slot has been taken since its hello
                    async with Page(server) as late:  # who does not even hear one
                        for one in (waits, late):
                            await one.hears("busy")
                            await one.until(lambda p: p.code is not None)
                            assert one.code == 1013
                        assert "hello" not in late.order
                for data in [
                    bytes(protocol.LIMITS.portrait + 17), HEAD.pack(2, 0, 0, 0, 0.0) + bytes(300_001),
                    HEAD.pack(1, 0, 0, 0, 0.0) + bytes(20_002), json.dumps({"type": "end", "x": "y" * 9000}),
                ]:  # fmt: skip
                    async with Page(server) as other:
                        await other.hears("hello")
                        with contextlib.suppress(ConnectionError):  # the server is gone before all is sent
                            await other.send(data)
                        await other.until(lambda p: p.code is not None)
                        assert other.code in ((1009, 1006) if len(data) > 1 << 20 else (1009,))
                start = asyncio.get_running_loop().time()
                host, port = address(server).split("/")[2].split(":")
                half = socket.create_connection((host, int(port)))
                half.setblocking(False)
                half.send(b"GET / HTTP/1.1\r\nHost: ")
                async with Page(server) as silent:
                    await silent.until(lambda p: p.code is not None)
                assert silent.code == 1008 and 2.9 < asyncio.get_running_loop().time() - start < 6
                await asyncio.sleep(0.3)
                try:
                    assert half.recv(1) == b""
                except ConnectionResetError:
                    pass
                half.close()
                assert page.code is None and len(page.pictures) > 20
            async with Page(server) as other:  # the slot is free again
                await other.begin()
                await other.hears("ready")

    run(work())


def test_hosts_tokens_and_origins_that_can_not_be():
    studio = object.__new__(type("Studio", (), {}))
    for wrong in ({"token": "short"}, {"token": "x" * 20 + "/"}, {"host": "0.0.0.0"}, {"origins": ["evil"]},
                  {"origins": ["https://a.example/path"]}):  # fmt: skip
        with pytest.raises(InputError):
            Server(studio, **wrong)
    assert len(Server(studio).token) >= 32 and Server(studio, "0.0.0.0", origins=["https://a.example"])
