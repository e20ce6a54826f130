"""Pages that mean harm: what they send, how they read, and a neighbour who notices nothing."""

import asyncio
import contextlib
import gc
import json
import re
import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from afjax.serving.protocol import HEAD
from tests.serving.client import Page, address, camera, jpeg, mic, serving
from tests.serving.test_server import numbers, run

BEGIN = {"type": "begin", "portrait": "grey", "voice": "", "mic_rate": 48000, "camera": True}
LONG = (pytest.mark.slow, pytest.mark.timeout(7200))
BOMB = bytes.fromhex("89504e470d0a1a0a0000000d49484452") + (60000).to_bytes(4, "big") * 2 + bytes.fromhex("0802000000")


def mutated(count: int, seed: int = 0):
    """Messages of all kinds with some bytes changed, cut off or added, and some that are right but mean harm."""
    rng = np.random.default_rng(seed)
    texts = [
        BEGIN, {"type": "say", "text": "hello"}, {"type": "gesture", "name": "nod"}, {"type": "interrupt"},
        {"type": "expressiveness", "value": 1.0}, {"type": "look", "portrait": "light"}, {"type": "ping", "sent": 1},
        {"type": "shown", "frames": 3, "late": 0, "lag": 0.0},
    ]  # fmt: skip
    harmful = [
        HEAD.pack(1, 0, 9, 0, 1e6) + bytes(1920), HEAD.pack(1, 0, 0, 0, -5.0) + b"\xff\x7f" * 960,
        HEAD.pack(2, 0, 0, 5, 3.0) + b"\xff\xd8\xff" + bytes(100), HEAD.pack(3, 0, 0, 0, 0.0) + BOMB,
        HEAD.pack(2, 0, 0, 5, 3.0) + jpeg(9, 4000, 50), HEAD.pack(2, 0, 0, 5, 0.0) + jpeg()[:300],
        '{"type": "say", "text": "\\ud800"}', "[" * 7000, '{"type":' * 900,
    ]  # fmt: skip
    for _ in range(count):
        pick = rng.random()
        if pick < 0.15:
            yield harmful[rng.integers(len(harmful))]
            continue
        seed = json.dumps(texts[rng.integers(len(texts))]).encode() if pick < 0.5 else [mic(3), camera(4)][pick < 0.75]
        data = bytearray(seed)
        for _ in range(rng.integers(0, 5)):
            data[rng.integers(min(len(data), 40))] = rng.integers(256)
        data = data[: rng.integers(len(data) + 1)] if rng.random() < 0.2 else data
        yield data.decode("utf-8", "replace") if pick < 0.5 else bytes(data)


async def watch(lags: list[float]):
    """How late the event loop is."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + 0.02
        await asyncio.sleep(0.02)
        lags.append(loop.time() - due)


async def attack(server, left: list):
    """Sends them all, with a new socket whenever one is closed; -> resident memory, MB, at each of those."""
    held = []
    while left:
        held.append(resident())
        async with Page(server) as page:
            with contextlib.suppress(ConnectionError, RuntimeError):  # the server may have closed it
                await page.json(**BEGIN)
                while left and page.code is None:
                    await page.send(left.pop())
                    await asyncio.sleep(0.003)
    return held


def resident() -> float:
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


@pytest.mark.parametrize("count", [2000, pytest.param(100_000, marks=LONG)])
def test_a_neighbour_notices_nothing(caplog, count):
    """Mutated messages, silent connections and a reader who does not read, beside an honest call."""

    messages = list(mutated(count))  # takes seconds, in which the honest page would have to wait

    async def work():
        threads = threading.active_count()
        async with serving(sessions=3, headroom=1.0) as server:
            watching = asyncio.create_task(watch(lags := []))
            before = len(asyncio.all_tasks())
            host, port = address(server).split("/")[2].split(":")
            async with Page(server) as honest:
                await honest.begin()
                await honest.hears("ready")
                living = asyncio.create_task(honest.live(max(9.0, 0.0045 * count)))
                silent = [socket.create_connection((host, int(port))) for _ in range(100)]
                deaf = Page(server)
                await deaf.__aenter__()
                deaf._reading.cancel()
                await deaf.begin()
                held = await attack(server, messages)
                await living
                await honest.until(lambda p: len(p.pictures) > 200)
                assert len(held) > 5 and honest.code is None
                # a fifth of the way is warming up; the honest page of this process keeps what it gets, 0.5 MB for 1,000
                assert held[-1] - held[len(held) // 5] < 20 + 0.0008 * count
                stats = await honest.hears("stats")
                assert [one for one in honest.told if one["type"] in ("error", "cut")] == []
                assert numbers(honest.pictures) == list(range(len(honest.pictures)))
                assert stats["counts"]["corrupt"] == 0
                if max(lags) < 0.1:  # a machine that stands still for longer makes blocks late by itself
                    assert stats["counts"]["rebased"] == 0 and "rebase" not in honest.order
                    assert stats["late_blocks"] == 0
                await deaf.__aexit__()
                for one in silent:
                    one.close()
            await asyncio.sleep(0.5)
            gc.collect()
            watching.cancel()
            assert len(asyncio.all_tasks()) <= before and not server.studio.seats and not server._open
            assert server.studio._free == 3 and not server.studio.engine.taken
            assert server._silent == set()
        assert threading.active_count() <= threads + 1

    run(work(), max(120, 0.03 * count))
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


def test_a_page_that_does_not_read_is_cut_off(monkeypatch):
    from afjax.serving import outbox

    monkeypatch.setattr(outbox, "BYTES", 30_000)

    async def work():
        async with serving() as server:
            async with Page(server) as page:
                await page.begin()
                await page.hears("ready")
                seat = server.studio.seats[0]
                blocked = asyncio.Event()
                link_socket = next(iter(server._open))
                monkeypatch.setattr(type(link_socket), "send_bytes", lambda self, data: blocked.wait(), raising=True)
                await page.until(lambda p: not server.studio.seats, 10)
                assert seat.outbox.full and seat.outbox._pictures <= outbox.PICTURES
                await page.until(lambda p: p.code is not None)
                assert page.code == 1008

    run(work())


def test_a_flood_ends_its_socket_only():
    async def work():
        async with serving() as server, Page(server) as page:
            for _ in range(600):
                try:
                    await page.json("ping", sent=1)
                except (ConnectionError, RuntimeError):
                    break
            await page.until(lambda p: p.code is not None)
            assert page.code == 1008
            async with Page(server) as other:
                await other.begin()
                await other.hears("ready")

    run(work())


@pytest.mark.parametrize("fails", ["hear", "events", "spoken", "cut"])
def test_a_brain_that_fails_is_replaced(fails, monkeypatch, caplog):
    from tests.serving import stubs

    def broken(self, *arguments):
        raise RuntimeError("a fault of the brain")

    monkeypatch.setattr(stubs.Brain, fails, broken)

    async def work():
        async with serving() as server, Page(server) as page:
            await page.begin()
            await page.hears("ready")
            await page.json("say", text="one two three four five")
            await page.live(1.2)
            await page.json("interrupt")
            error = await page.hears("error")
            assert error["code"] == "brain" and "fault" not in error["text"]
            await page.live(0.5)
            assert page.code is None and len(page.pictures) > 10

    run(work())
    assert "a fault of the brain" in caplog.text
