"""The page by WebRTC in Chromium and in Firefox, to a server with a model of a few numbers in a process of its own."""

import re

import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("aiortc")

from tests.serving.fake_server import FakeServer  # noqa: E402
from tests.serving.stub_server import served  # noqa: E402

MIDDLE = (
    "(() => { const c = document.getElementById('avatar');"
    "return c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data[0]; })()"
)


def address(url: str) -> str:
    return url.replace("/#", "/?webrtc#")


def seen(page) -> int:
    return int(re.search(r"seen(\d+)", page.run("document.getElementById('numbers').textContent") or "seen0")[1])


def goes_on(page, before: int):
    page.wait(f"Number(/seen(\\d+)/.exec(document.getElementById('numbers').textContent)[1]) > {before} + 3", 60)


def say(page, text):
    page.run(f"document.getElementById('say').value = '{text}'")
    page.run("document.getElementById('say-form').requestSubmit()")


@pytest.mark.slow
def test_the_page_by_webrtc_sees_hears_and_is_heard(window, tmp_path):
    with served() as server, window(tmp_path) as page:
        page.open(address(server.url))
        page.wait("afjaxDebug.screen === 'begin'", 60)
        page.run("document.getElementById('start').click()")
        page.wait("afjaxDebug.frames > 5 && document.getElementById('avatar').width === 128", 60)
        page.wait("afjaxDebug.rtt !== null", 30)  # the data channel answers
        page.press("d", 68)
        page.wait("/seen[1-9]/.test(document.getElementById('numbers').textContent)", 60)  # the camera has come
        before = seen(page)
        say(page, "one two three four five")
        page.wait("afjaxDebug.level > 0.1", 60)
        page.wait(f"{MIDDLE} > 60", 60)
        page.wait("document.querySelector('.line.avatar') !== null", 30)
        page.press("Escape", 27)
        page.wait("afjaxDebug.cuts === 1 && afjaxDebug.level < 1e-3", 30)
        page.wait(f"{MIDDLE} < 40", 60)
        goes_on(page, before)
        page.press("c", 67)  # the camera off and on again, on the same connection
        page.wait("document.getElementById('camera').getAttribute('aria-pressed') === 'true'")
        page.press("c", 67)
        page.wait("document.getElementById('camera').getAttribute('aria-pressed') === 'false'")
        before = seen(page)
        goes_on(page, before)
        say(page, "six")  # what comes after a cut is heard
        page.wait("afjaxDebug.level > 0.1", 60)
        page.open("about:blank")
        page.open(address(server.url))  # loaded again in the call: the one slot is free
        page.wait("afjaxDebug.screen === 'begin'", 30)
        page.run("document.getElementById('start').click()")
        page.wait("afjaxDebug.frames > 3", 60)
        page.run("document.getElementById('end').click()")
        page.wait("afjaxDebug.screen === 'done'")
        assert page.errors == [] and page.console == []
        assert not any("stun" in url or server.token in url.split("#")[0] for url in page.requests)


@pytest.mark.slow
def test_a_server_without_webrtc_is_said(window, tmp_path):
    with FakeServer() as fake, window(tmp_path, "none") as page:
        page.open(address(fake.url))
        page.wait("document.getElementById('wait-title').textContent === 'No way to the server'", 30)
