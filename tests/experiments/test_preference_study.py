"""The page of a preference study: what it holds, what it hides, and a participant's way through it in a browser."""

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from skimage.data import astronaut

import afjax
from afjax.errors import InputError
from afjax.media.video import probe
from afjax.metrics.preference_votes import QUESTIONS
from experiments.preferences import answers, study_page, study_videos
from tests import browser

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["clip_one.mp4", "clip_two.mp4", "clip_three.mp4"]


@pytest.fixture(scope="module")
def systems(tmp_path_factory, write_video):
    """Folders of two systems: three common clips of 0.4 s, and one that only the second has."""
    folder = tmp_path_factory.mktemp("systems")
    for shade, system in ((60, "ours"), (180, "theirs")):
        (folder / system).mkdir()
        for n, name in enumerate(NAMES):
            write_video(folder / system / name, [shade + 10 * n] * 10)
    write_video(folder / "theirs" / "single.mp4", [0] * 5)
    return folder / "ours", folder / "theirs"


@pytest.fixture(scope="module")
def site(systems, tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "site"
    key, remarks = study_page.make(*systems, out, seed=5, note="Look at </script> the right.")
    assert remarks == ["single.mp4 is in one folder only and left out"]
    assert json.loads((out.parent / "key.json").read_text()) == key
    return out


def study_of(site):
    text = (site / "index.html").read_text()
    return json.loads(re.search(r'<script type="application/json" id="study">(.*?)</script>', text, re.S)[1])


def test_every_pair_is_there_and_the_key_fits(site, systems):
    key, study = json.loads((site.parent / "key.json").read_text()), study_of(site)
    assert study["study"] == key["study"] and [q["id"] for q in study["questions"]] == list(QUESTIONS)
    assert sorted(pair["name"] for pair in key["pairs"].values()) == sorted(NAMES)
    assert {pair["id"]: set(pair["videos"]) for pair in study["pairs"]} == {
        pair: {sides["a"], sides["b"]} for pair, sides in key["pairs"].items()
    }
    for sides in key["pairs"].values():
        for system, side in zip(systems, "ab", strict=True):
            assert (site / "videos" / f"{sides[side]}.mp4").read_bytes() == (system / sides["name"]).read_bytes()


def test_the_site_does_not_tell(site, systems):
    files = sorted(str(file.relative_to(site)) for file in site.rglob("*") if file.is_file())
    videos = [f"videos/{video}.mp4" for pair in study_of(site)["pairs"] for video in pair["videos"]]
    assert files == sorted(["index.html", *videos])
    text = (site / "index.html").read_text()
    for word in ("clip_", "ours", "theirs", "key.json", "single", str(systems[0].parent)):
        assert not re.search(rf"\b{re.escape(word)}", text), word
    assert "@STUDY@" not in text and not re.search(r"https?:|//[a-z]+\.|url\(|@import", text)


def test_no_place_in_the_page_belongs_to_a_system():
    """Over many seeds A's video is first in half of the pairs, and a name's pair is anywhere."""
    first, place = 0, set()
    for seed in range(200):
        _, pairs = study_page.sample_pairs(["x", "y", "z"], seed)
        first += sum(pair.a < pair.b for pair in pairs)
        place.add([pair.name for pair in pairs].index("x"))
        assert [pair.id for pair in pairs] == sorted(pair.id for pair in pairs)
    assert 250 <= first <= 350 and place == {0, 1, 2}


def test_same_seed_same_study():
    assert study_page.sample_pairs(NAMES, 1) == study_page.sample_pairs(NAMES, 1)
    one, other = (study_page.sample_pairs(NAMES, seed) for seed in (1, 2))
    assert one[0] != other[0] and not {p.id for p in one[1]} & {p.id for p in other[1]}


def test_mistakes(systems, tmp_path):
    ours, theirs = systems
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "key.json").write_text("{}")
    out, key = tmp_path / "site", tmp_path / "other.json"
    for arguments, said in [
        ((tmp_path / "none", theirs, out, key), "none: no such folder"),
        ((ours, ours, out, key), "same folder"),
        ((ours, empty, out, key), r"no .mp4 name is in both .*\(3 videos\) and .*\(0 videos\)"),
        ((ours, theirs, out), "key.json: it exists already"),
        ((ours, theirs, out, out / "key.json"), "the key would lie in the site"),
        ((ours, theirs, ours, key), "it exists already"),
    ]:
        with pytest.raises(InputError, match=said):
            study_page.make(*arguments)
    assert sorted(os.listdir(tmp_path)) == ["empty", "key.json"]


def test_videos_that_browsers_do_not_play(systems, tmp_path, write_video):
    import av

    for name, said in (("text.mp4", "not a readable video"), ("old.mp4", "mpeg4 yuv420p does not play")):
        for system in ("a", "b"):
            (tmp_path / name / system).mkdir(parents=True)
            path = tmp_path / name / system / name
            path.write_text("no video")
            if name == "old.mp4":
                with av.open(str(path), "w") as container:
                    stream = container.add_stream("mpeg4", rate=25)
                    stream.width = stream.height = 64
                    container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
                    container.mux(stream.encode(None))
        with pytest.raises(InputError, match=said):
            study_page.make(tmp_path / name / "a", tmp_path / name / "b", tmp_path / "site")
    assert sorted(os.listdir(tmp_path)) == ["old.mp4", "text.mp4"]


def test_what_tells_the_systems_apart_is_said(tmp_path, write_video):
    import numpy as np

    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    write_video(tmp_path / "a" / "x.mp4", [9] * 10)
    write_video(tmp_path / "b" / "x.mp4", [np.zeros((64, 64, 3), np.uint8)] * 20, sound=np.zeros(4800, np.float32))
    assert study_page.telling("x.mp4", tmp_path / "a", tmp_path / "b") == [
        "x.mp4: 96 x 64 px in A, 64 x 64 in B",
        "x.mp4: 0.40 s in A, 0.80 s in B",
        "x.mp4: only B has sound",
    ]


def test_command(systems, tmp_path):
    command = [sys.executable, "-m", "experiments.preference_study", "--a", systems[0], "--b", systems[1]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command += ["--out", tmp_path / "site"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and "single.mp4 is in one folder only" in done.stdout
    assert sorted(os.listdir(tmp_path)) == ["key.json", "site"]


@pytest.mark.slow
def test_models_videos_are_made_from_clips_of_users(tmp_path, write_video):
    clip = write_video(tmp_path / "someone.mp4", [astronaut()] * 30)
    folders, odd = study_videos.render(("listener", "listener_fast"), [str(clip)], tmp_path / "videos")
    assert [remark.split(":")[0] for remark in odd] == ["someone"] * len(odd) and odd
    assert [folder.relative_to(tmp_path).as_posix() for folder in folders] == [
        "videos/a_listener",
        "videos/b_listener_fast",
    ]
    key, remarks = study_page.make(*folders, tmp_path / "site")
    assert remarks == [] and [pair["name"] for pair in key["pairs"].values()] == ["someone.mp4"]
    ours, theirs = (probe(folder / "someone.mp4") for folder in folders)
    assert (ours.frames, ours.width) == (theirs.frames, theirs.width) == (30, 2 * ours.height)
    assert (folders[0] / "someone.mp4").read_bytes() != (folders[1] / "someone.mp4").read_bytes()


def test_clips_and_models_that_do_not_fit(tmp_path, write_video):
    (tmp_path / "other").mkdir()
    (tmp_path / "there").mkdir()
    shipped = afjax.load("listener").folder
    clip, other = (str(write_video(tmp_path / name, [90] * 3)) for name in ("user.mp4", "other/user.mp4"))
    with pytest.raises(InputError, match=r"exist already; name its folders by --a and --b"):
        study_videos.render(("listener", "listener_fast"), [clip], tmp_path / "there")
    for models, clips, said in [
        (("listener", f"{shipped.parent}/./listener/"), [clip], "the same model"),
        (("listener", "listener_fast"), [clip, other], "two clips have this name"),
        (("listener", "listener_fast"), [clip, str(tmp_path / "none.mp4")], "none.mp4: no such file"),
        (("listener", str(tmp_path / "nobody")), [clip], "no model of this name"),
    ]:
        with pytest.raises(InputError, match=said):
            study_videos.render(models, clips, tmp_path / "videos")
    assert not (tmp_path / "videos").exists()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    if not browser.find():
        pytest.skip("no Chromium")
    with contextlib.ExitStack() as stack:
        try:
            window = stack.enter_context(browser.Browser(tmp_path_factory.mktemp("browser")))
        except OSError as error:
            pytest.skip(f"Chromium does not start: {error}")
        yield window


@pytest.fixture
def visit(chromium, site):
    """Function that opens the page as a participant who was never here; -> the browser."""

    def open_page(participant, folder=site):
        address = (folder / "index.html").as_uri()
        chromium.open(address)
        chromium.run("localStorage.clear()")
        chromium.requests.clear()
        chromium.open(f"{address}?participant={participant}")
        return chromium

    yield open_page
    assert not chromium.errors, chromium.errors


def click(page, button):
    page.run(f"document.getElementById('{button}').click()")


def watch(page):
    assert page.run("document.getElementById('all').disabled")
    click(page, "play")
    page.wait("!document.getElementById('all').disabled")


def answer(page, choices):
    for asked, choice in choices.items():
        page.run(f"document.querySelector('input[name={asked}][value={choice}]').click()")


def test_a_participants_way(visit, site, tmp_path):
    """Chooses A overall, ties else, reloads in the middle; what is downloaded says so."""
    key = answers.read_key(site.parent / "key.json")
    of_a = {a for _, a, _ in key.pairs.values()}
    page = visit("anna")
    assert page.run("document.getElementById('pair').hidden")
    notes = page.run("[...document.querySelectorAll('.note')].map((place) => place.textContent)")
    assert notes == ["Look at </script> the right."] * 2
    page.run("document.getElementById('begin').requestSubmit()")
    for k in range(len(NAMES)):
        page.wait(f"document.getElementById('pair-title').textContent === 'Pair {k + 1} of 3'")
        watch(page)
        side = "left" if page.run("trials[at].left") in of_a else "right"
        wanted = dict.fromkeys(QUESTIONS, "tie") | {"overall": side}
        assert page.run("document.getElementById('next').disabled")
        if k == 1:
            answer(page, {"reactiveness": "tie"})
            shown = page.run("trials[at]")
            page.reload()
            assert page.run("trials[at]") == shown and not page.run("document.getElementById('all').disabled")
            assert page.run("document.querySelector('input[name=reactiveness]:checked').value") == "tie"
        answer(page, wanted)
        page.run("document.getElementById('answers').requestSubmit()")
    assert not page.run("document.getElementById('end').hidden")
    click(page, "download")
    file = page.folder / "downloads" / "answers-anna.json"
    page.wait("!document.getElementById('another').disabled")
    for _ in range(200):
        if file.exists():
            break
        page.run("new Promise((done) => setTimeout(done, 20))")
    assert json.loads(file.read_text()) == json.loads(page.run("document.getElementById('text').value"))
    found = answers.measure([answers.read_answers(file, key)], key)
    assert found["questions"]["overall"]["counts"] == {"a": 3, "tie": 0, "b": 0} and found["missing"] == 0
    assert found["questions"]["motion_richness"]["counts"] == {"a": 0, "tie": 3, "b": 0}
    ours = site.as_uri()
    assert all(url.startswith((ours, "data:", f"blob:{ours[:7]}", "blob:null")) for url in page.requests), page.requests


def test_order_and_sides_are_the_participants_own(visit):
    page = visit("anna")
    assert page.run("JSON.stringify(order('p1')) === JSON.stringify(order('p1'))")
    orders = page.run("Array.from({ length: 400 }, (_, k) => order(`p${k}`))")
    listed = {pair["id"]: pair["videos"] for pair in page.run("study.pairs")}
    assert len({tuple(trial["pair"] for trial in trials) for trials in orders}) == 6
    for pair, videos in listed.items():
        shown = [trial for trials in orders for trial in trials if trial["pair"] == pair]
        assert all({trial["left"], trial["right"]} == set(videos) for trial in shown) and len(shown) == 400
        assert 0.4 < sum(trial["left"] == videos[0] for trial in shown) / 400 < 0.6
        places = [[trial["pair"] for trial in trials].index(pair) for trials in orders]
        assert all(0.24 < places.count(k) / 400 < 0.43 for k in range(3))


def test_a_pair_by_keyboard(visit):
    page = visit("ben")
    page.run("document.getElementById('code').focus()")
    page.press("Enter", 13)
    page.wait("document.activeElement.id === 'pair-title'")
    page.press("Tab", 9)
    assert page.run("document.activeElement.id") == "play"
    page.press(" ", 32)
    page.wait("!document.getElementById('all').disabled")
    page.press("Tab", 9)
    for _ in QUESTIONS:
        page.press("Tab", 9)
        page.press("ArrowRight", 39)
    assert page.run("given(trials[at])") == dict.fromkeys(QUESTIONS, "tie")
    page.press("Enter", 13)
    assert page.run("document.getElementById('pair-title').textContent") == "Pair 2 of 3"


def test_leaping_to_the_end_is_not_watching(visit):
    page = visit("cem")
    page.run("load('cem')")
    page.wait("videos.every((video) => video.readyState >= 3)")
    page.run("videos.forEach((video) => { video.currentTime = 0.39; video.play(); })")
    page.wait("videos.every((video) => video.ended)")
    assert page.run("document.getElementById('all').disabled")
    click(page, "replay")
    page.wait("!document.getElementById('all').disabled")


def test_the_right_video_follows_the_left(visit, tmp_path, write_video):
    for system in ("a", "b"):
        (tmp_path / system).mkdir()
        write_video(tmp_path / system / "x.mp4", [100] * 75)
    study_page.make(tmp_path / "a", tmp_path / "b", tmp_path / "site")
    page = visit("finn", tmp_path / "site")
    page.run("load('finn')")
    click(page, "play")
    page.wait("videos.every((video) => video.currentTime > 0)")
    page.run("videos[1].currentTime = 2.5")
    page.wait("videos[1].currentTime < 2 && Math.abs(videos[0].currentTime - videos[1].currentTime) < 0.2")
    assert not page.run("videos.some((video) => video.ended)")


def test_a_missing_video_is_said(visit, systems, tmp_path):
    study_page.make(*systems, tmp_path / "site", seed=1)
    for file in (tmp_path / "site" / "videos").iterdir():
        file.unlink()
    page = visit("dora", tmp_path / "site")
    page.run("load('dora')")
    page.wait("document.getElementById('status').textContent.includes(\"can't be played\")")
    assert page.run("document.getElementById('all').disabled")


def test_everything_has_a_name_and_fits_a_phone(visit):
    page = visit("ela")
    page.resize(360, 740, phone=True)
    for scene in ("showStart('ela')", "load('ela')", "showEnd()"):
        page.run(scene)
        assert page.run("document.documentElement.scrollWidth") <= 360, scene
        nodes = page.send("Accessibility.getFullAXTree")["nodes"]
        roles = {"button", "textbox", "radio", "group", "radiogroup", "progressbar", "Video", "region"}
        named = [node for node in nodes if not node["ignored"] and node["role"]["value"] in roles]
        assert named and all(node["name"]["value"] for node in named), scene
    page.resize(1200, 800)
