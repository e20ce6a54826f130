"""The page in Chromium and in Firefox, against a server that speaks the protocol without an avatar."""

import base64
import io
import json
import time

import numpy as np
import pytest

from tests.serving.fake_server import OFFSET, SHADES, FakeServer, head, picture, tone

ESCAPE, M, C, D = ("Escape", 27), ("m", 77), ("c", 67), ("d", 68)


@pytest.fixture
def fake():
    pytest.importorskip("aiohttp")
    pytest.importorskip("PIL")
    with FakeServer() as server:
        yield server


def start(page, fake, camera=False, mic=False):
    page.open(fake.url)
    page.wait("afjaxDebug.screen === 'begin'")
    for name, wanted in (("use-camera", camera), ("use-mic", mic)):
        page.run(f"document.getElementById('{name}').checked = {json.dumps(wanted)}")
    page.run("document.getElementById('start').click()")
    page.wait("afjaxDebug.frames > 3", 60)


def wait(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.03)


def click(page, name):
    page.run(f"document.getElementById('{name}').click()")


def clean(page):
    assert page.errors == [] and page.console == []


def test_typing_says_it_without_camera_and_microphone(fake, window, tmp_path):
    with window(tmp_path, "none") as page:
        start(page, fake)
        begin = fake.of("begin")[0]
        assert begin == {"type": "begin", "portrait": "ada.jpg", "voice": "Clara", "mic_rate": 0, "camera": False}
        page.run("document.getElementById('say').value = '  Good morning!  '")
        page.run("document.getElementById('say-form').requestSubmit()")
        wait(lambda: fake.of("say"))
        assert fake.of("say") == [{"type": "say", "text": "Good morning!"}]
        assert page.run("document.getElementById('log').textContent") == "Good morning!"
        click(page, "end")
        wait(lambda: fake.of("end"))
        assert not fake.of(1) and not fake.of(2)
        assert all(url.startswith(fake.url.split("#")[0]) or url.startswith("ws://127.0.0.1") for url in page.requests)
        assert not any(fake.token in url.split("#")[0] for url in page.requests)
        clean(page)


WATCH = """(async (seconds) => {
  const seen = [], until = performance.now() + 1000 * seconds;
  while (performance.now() < until) {
    await new Promise(requestAnimationFrame);
    const d = afjaxDebug, entry = [d.lastFrame, d.lastGeneration, d.clock];
    if (!seen.length || seen.at(-1)[0] !== entry[0] || seen.at(-1)[1] !== entry[1]) seen.push(entry);
  }
  return seen;
})(%s)"""


@pytest.mark.slow
def test_pictures_are_drawn_in_order_and_not_before_their_time(fake, window, tmp_path):
    with window(tmp_path) as page:
        start(page, fake)
        seen = np.array(page.run(WATCH % 4))
        frames, clock = seen[:, 0], seen[:, 2]
        assert len(frames) > 3 and (np.diff(frames) > 0).all()
        assert (frames <= (clock - OFFSET) * 25 + 1).all()
        wait(lambda: fake.of("shown"))
        assert set(fake.of("shown")[-1]) == {"type", "frames", "late", "lag"}
        clean(page)


CUT = """(async () => {
  const pause = () => new Promise((done) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(0);
  });
  const until = performance.now() + 15000, cuts = afjaxDebug.cuts;
  while (performance.now() < until && afjaxDebug.cuts === cuts) await pause();
  while (performance.now() < until && afjaxDebug.cutMs === null) await pause();
  return [afjaxDebug.cutMs, afjaxDebug.level];
})()"""


@pytest.mark.slow
def test_a_cut_is_silent_within_60_ms_and_nothing_older_is_seen(fake, window, tmp_path):
    with window(tmp_path) as page:
        start(page, fake)
        page.wait("afjaxDebug.level > 0.05", 60)
        page.press(*ESCAPE)
        silent_ms, level = page.run(CUT)
        assert fake.of("interrupt")
        assert silent_ms <= 60 and level < 1e-3
        page.wait("afjaxDebug.lastGeneration === 1", 30)
        old = fake.frame
        for n in range(old, old + 30):  # a server that goes on with the old
            fake.tell(head(18, 0, n) + picture(n, 0))
            fake.tell(head(17, 0, n) + tone(n, 1))
        seen = page.run(WATCH % 2)
        assert {generation for _, generation, _ in seen} == {1}
        assert page.run("afjaxDebug.level") < 1e-3
        pixel = page.run(
            "[...document.getElementById('avatar').getContext('2d').getImageData(128, 128, 1, 1).data].slice(0, 3)"
        )
        assert np.abs(np.array(pixel) - SHADES[1]).max() < 30
        clean(page)


@pytest.mark.slow
def test_words_appear_when_they_are_said_and_end_at_a_cut(fake, window, tmp_path):
    with window(tmp_path) as page:
        start(page, fake)
        first = page.run("afjaxDebug.lastFrame")
        words = [["One", first - 2, first], ["two", first, first + 1], ["never", first + 5000, first + 5010]]
        fake.tell({"type": "caption", "generation": 0, "who": "avatar", "words": words})
        fake.tell({"type": "caption", "generation": 0, "who": "user", "words": [["<b>Hi</b>", 0, 5]]})
        page.wait("document.querySelectorAll('.line').length === 2")
        page.wait("document.querySelector('.line.avatar').textContent === 'One two'")
        assert page.run("document.querySelector('.line.user').textContent") == "<b>Hi</b>"
        fake.cut()
        page.wait("document.querySelector('.line.avatar.cut') !== null")
        assert page.run("document.querySelector('.line.avatar').textContent") == "One two"
        clean(page)


@pytest.mark.slow
def test_keys_camera_and_microphone(fake, window, tmp_path):
    with window(tmp_path) as page:
        start(page, fake, camera=True, mic=True)
        begin = fake.of("begin")[0]
        assert begin["camera"] is True and begin["mic_rate"] in (44100, 48000)
        wait(lambda: len(fake.of(1)) > 20 and len(fake.of(2)) > 1, 60)
        mics, pictures = fake.of(1), fake.of(2)
        assert [number for _, _, number, _, _ in mics] == list(range(len(mics)))
        assert {m[4] for m in mics} == {2 * round(begin["mic_rate"] / 50)}
        gaps = np.diff([m[3] for m in mics])
        assert np.median(gaps) == pytest.approx(0.02, abs=1e-3)
        assert all(0 < p[4] < 300_000 for p in pictures)
        page.press(*M)
        page.wait("document.getElementById('mute').getAttribute('aria-pressed') === 'true'")
        page.press(*C)
        page.wait("document.getElementById('camera').getAttribute('aria-pressed') === 'true'")
        page.press(*D)
        page.wait("!document.getElementById('figures').hidden")
        assert page.run("document.querySelectorAll('#waterfall li').length") == 8
        page.press(*ESCAPE)
        wait(lambda: fake.of("interrupt"))
        page.run("document.getElementById('say').focus()")
        page.press(*M)
        assert page.run("document.getElementById('mute').getAttribute('aria-pressed')") == "true"
        clean(page)


@pytest.mark.slow
def test_face_voice_gestures_and_a_picture_of_ones_own(fake, window, tmp_path):
    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (2000, 1000), (90, 120, 200)).save(data, "PNG")
    text = base64.b64encode(data.getvalue()).decode()
    with window(tmp_path) as page:
        start(page, fake)
        click(page, "open-looks")
        page.run("document.querySelector('#looks-portraits input[value=\"grace.jpg\"]').click()")
        page.run("document.querySelector('[data-gesture=nod]').click()")
        for name, value in (("looks-voice", "Martin"), ("expressive", "1.5")):
            page.run(
                f"(() => {{ const e = document.getElementById('{name}'); e.value = '{value}';"
                "e.dispatchEvent(new Event('input')); e.dispatchEvent(new Event('change')); })()"
            )
        wait(lambda: fake.of("voice") and fake.of("expressiveness"))
        assert fake.of("look") == [{"type": "look", "portrait": "grace.jpg"}]
        assert fake.of("gesture") == [{"type": "gesture", "name": "nod"}]
        assert fake.of("voice") == [{"type": "voice", "name": "Martin"}]
        assert fake.of("expressiveness") == [{"type": "expressiveness", "value": 1.5}]
        page.run("document.querySelector('#looks-portraits button').click()")
        page.run(
            f"(() => {{ const bytes = Uint8Array.from(atob('{text}'), (c) => c.charCodeAt(0));"
            "const input = document.getElementById('file'), all = new DataTransfer();"
            "all.items.add(new File([bytes], 'me.png')); input.files = all.files;"
            "input.dispatchEvent(new Event('change')); })()"
        )
        page.wait("!document.getElementById('looks-consent-row').hidden", 30)
        time.sleep(0.3)
        assert not fake.of(3)  # not before the consent
        click(page, "looks-consent")
        wait(lambda: fake.of(3))
        assert 500 < fake.of(3)[0][4] < 300_000
        clean(page)


@pytest.mark.slow
def test_a_lost_connection_comes_back_and_a_full_house_is_told(fake, window, tmp_path):
    with window(tmp_path) as page:
        start(page, fake)
        fake.drop()
        wait(lambda: len(fake.of("begin")) == 2, 40)
        page.wait("document.getElementById('notice').hidden")
        click(page, "end")
        page.wait("afjaxDebug.screen === 'done'")
        fake.busy = True
        click(page, "another")
        page.wait("document.getElementById('wait-title').textContent === 'All seats are taken'")
        fake.busy = False
        click(page, "again")
        page.wait("afjaxDebug.screen === 'begin'")


@pytest.mark.slow
def test_a_recording_is_saved_by_a_click_only(fake, window, tmp_path):
    with window(tmp_path) as page:
        start(page, fake, camera=True)
        click(page, "record")
        time.sleep(2)
        click(page, "record")
        page.wait("!document.getElementById('notice-do').hidden", 40)
        assert not list((tmp_path / "downloads").glob("*"))
        click(page, "notice-do")
        wait(lambda: list((tmp_path / "downloads").glob("*ai-generated*")), 40)
        clean(page)


@pytest.mark.slow
def test_a_camera_that_may_not_be_used_is_one_line(fake, window, tmp_path):
    with window(tmp_path, "denied") as page:
        start(page, fake, camera=True, mic=True)
        assert fake.of("begin")[0]["camera"] is False and fake.of("begin")[0]["mic_rate"] == 0
        assert "Neither camera nor microphone" in page.run("document.getElementById('notice-text').textContent")
        clean(page)


@pytest.mark.slow
def test_a_browser_without_a_loudspeaker_says_so(fake, window, tmp_path):
    with window(tmp_path) as page:
        page.open(fake.url)
        page.wait("afjaxDebug.screen === 'begin'")
        page.run("void (AudioContext.prototype.resume = () => new Promise(() => {}))")
        page.run("void Object.defineProperty(AudioContext.prototype, 'state', { get: () => 'suspended' })")
        page.run("document.getElementById('start').click()")
        page.wait("document.getElementById('wait-title').textContent === 'No sound has started'")
        click(page, "again")
        page.wait("afjaxDebug.screen === 'begin' && !document.getElementById('start').disabled")
        clean(page)


@pytest.mark.slow
def test_a_phone_has_no_sideways_scroll(fake, window, tmp_path):
    with window(tmp_path) as page:
        page.resize(360, 740, phone=True)
        page.open(fake.url)
        page.wait("afjaxDebug.screen === 'begin'")
        assert page.run("document.documentElement.scrollWidth") <= 360
        start(page, fake)
        assert page.run("document.documentElement.scrollWidth") <= 360
