"""From videos to the figures of real response, with a face of grey levels and an avatar that is known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from afjax.audio.feature_extractors import MelFeatures
from afjax.codec.base import Encoded
from afjax.codec.face.channels import CHANNELS, channel
from afjax.errors import InputError
from afjax.metrics import real_response
from experiments.evaluation import reaction

pytest.importorskip("av")
SMILE = channel("smile")


class Codec:
    """Reads a smile from the brightness of a picture."""

    channels, size = CHANNELS, 16

    def encode(self, frames, fps=25, causal=False):
        assert causal, "a user is tracked as a webcam is"
        motion = np.zeros((0, len(CHANNELS)), np.float32)
        for frame in frames:
            row = np.eye(len(CHANNELS), dtype=np.float32)[SMILE] * (float(frame.mean()) - 60) / 500
            motion = np.concatenate([motion, row[None]])
        return Encoded(motion, np.ones(len(motion), bool), np.ones(len(motion), np.float32))

    def identity(self, portrait, face=0):
        return None

    def render(self, identity, motion):
        return np.broadcast_to(np.uint8(90), (len(motion), 16, 16, 3))


class Generator:
    """Smiles 10 frames after its user, half as much, and has noise of its own."""

    def __init__(self):
        self.asked = []

    def clips(self, avatar_features, user_features, user_motion, seed, condition_set):
        self.asked.append((condition_set, seed, user_motion.shape, float(np.ptp(avatar_features, axis=(0, 1)).max())))
        rng = np.random.default_rng(seed)
        noise = 0.01 * rng.standard_normal(user_motion.shape).cumsum(axis=1)
        noise -= noise.mean(axis=1, keepdims=True)
        return 0.1 * noise + 0.5 * np.roll(user_motion, 10, axis=1)


def run(codec=None):
    return SimpleNamespace(
        folder=None,
        generator=Generator(),
        features=MelFeatures(),
        hears_silence=True,
        codec=lambda: codec or Codec(),
    )


@pytest.fixture
def smiling(tmp_path, write_video):
    """Function that writes a user who smiles at these seconds."""

    def write(name, smiles, seconds=9.0, sound=True):
        times = np.arange(round(25 * seconds))
        levels = 60 + 60 * sum((times >= 25 * at) & (times < 25 * at + 30) for at in smiles)
        noise = np.random.default_rng(0).standard_normal(round(seconds * 48_000)).astype(np.float32)
        wave = 0.2 * noise * (np.arange(len(noise)) // 48_000 % 2) if sound else None
        (tmp_path / name).parent.mkdir(exist_ok=True)
        return str(write_video(tmp_path / name, [int(level) for level in levels], sound=wave))

    return write


@pytest.fixture
def model(monkeypatch, tmp_path):
    made = run()
    monkeypatch.setattr(reaction.cli, "load_avatar", lambda _: made)
    labels = [{"clip": "a/one.mp4", "start": 2.0, "end": 3.2, "kind": "smile"}]
    labels += [{"clip": "a/one.mp4", "start": 4.4, "end": 30.0, "kind": "talk"}]
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    monkeypatch.setattr(reaction.episodes_of, "__defaults__", (tmp_path / "labels.json",))
    return made


def test_videos_are_seen_heard_answered_and_measured(model, smiling, tmp_path):
    videos = [smiling("a/one.mp4", [2, 6]), smiling("b/two.mp4", [3], sound=False)]
    found = reaction.of_videos("run", videos, 3, tmp_path / "r.png")
    assert [each[0] for each in model.generator.asked] == ["joint", "avatar", "avatar_and_user_motion", "avatar"]
    assert [each[1] for each in model.generator.asked] == [0, 0, 1, 1], "the same seeds with a user and without"
    assert {each[2] for each in model.generator.asked} == {(3, 225, len(CHANNELS))}
    assert max(each[3] for each in model.generator.asked) == 0, "the avatar is silent"
    assert found["channels"]["smile"]["raw"] == pytest.approx(0.5, abs=0.05)
    assert found["figures"]["smile_gain"]["mean"] == pytest.approx(0.5, abs=0.05)
    assert [(each["clip"], each["second"]) for each in found["episodes"]] == [("a/one.mp4", 2.0)]
    assert set(found["passed"]) == set(real_response.BARS) == set(found["bars"])
    assert "silent" in str(found["said"]["b/two.mp4"]) and "labelled" in str(found["said"]["b/two.mp4"])
    table = {row[0]: row[1:] for row in reaction.rows(found)}
    assert table["episodes"] == ("1.00", "", ">= 0.7", "pass") and table["own"][2] == "0.2 .. 0.8"
    assert table["blink"][3] == "not measured", "the user's lids never move"

    from PIL import Image

    width, height = Image.open(tmp_path / "r.png").size
    assert width == reaction.STRIP_COLUMNS * reaction.STRIP_SIDE and height > 4 * 2 * reaction.STRIP_SIDE


@pytest.mark.parametrize(
    ("videos", "workdir", "message"),
    [
        ([], "run", "--user_video is missing"),
        (["one", "one"], "run", "named twice"),
        (["short"], "run", "is 2.0 s long; clips of 3 s and more"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(model, smiling, videos, workdir, message):
    paths = [smiling(f"a/{name}.mp4", [1], 2.0 if name == "short" else 4.0) for name in videos]
    with pytest.raises(InputError, match=message):
        reaction.of_videos(workdir, paths, 2)


def test_motion_without_the_channels_is_refused(monkeypatch, smiling):
    codec = Codec()
    codec.channels = ("direction 0",)
    monkeypatch.setattr(reaction.cli, "load_avatar", lambda _: run(codec))
    with pytest.raises(InputError, match="has no smile; measure a model of the face codec"):
        reaction.of_videos("run", [smiling("a/one.mp4", [1], 4.0)], 2)


def labels():
    """Episodes by clip."""
    found = {}
    for each in json.loads(reaction.LABELS.read_text()):
        found.setdefault(each["clip"], []).append(each)
    return found


def test_labelled_episodes_are_in_order_and_of_known_kinds():
    for name, told in labels().items():
        assert all(each["kind"] in real_response.KINDS and each["start"] < each["end"] for each in told), name
        assert all(a["end"] <= b["start"] for a, b in zip(told, told[1:], strict=False)), name
    assert reaction.episodes_of("liveportrait/d20.mp4", 100) == (real_response.Episode(0, 100, "talk"),)
    assert reaction.episodes_of("nobody/knows.mp4", 100) is None


def test_episodes_agree_with_what_was_seen_in_single_frames():
    """Labels of the tracker's test: 0 none, 1 slight, 2 clear, 3 a laugh, of every `step`-th frame."""
    from pathlib import Path

    frames = json.loads((Path(__file__).parents[1] / "codec" / "labels.json").read_text())
    for name, told in labels().items():
        if name not in frames:
            continue
        seen = {n * frames[name]["step"] / 25: value for n, value in enumerate(frames[name]["smile"])}
        for each in told:
            inside = [value for at, value in seen.items() if each["start"] + 0.1 <= at < each["end"] - 0.1]
            if each["kind"] in real_response.SMILES:
                assert np.mean(inside) >= 1.5, each
            if each["kind"] == "talk":
                assert max(inside) <= 1 and np.mean(inside) <= 0.25, (each, inside)
        clear = [at for at, value in seen.items() if value >= 2]
        assert all(any(e["start"] <= at < e["end"] and e["kind"] != "talk" for e in told) for at in clear), name


@pytest.mark.slow
def test_before_real_users_people_pass_and_copiers_fail(clips):
    """One who leaves smiles under .04 alone, which talking makes of itself, and one who answers them as well."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import lfilter

    from afjax.codec.face.codec import FaceCodec
    from afjax.media.video import probe
    from experiments.talk.inputs import track_user

    names = [name for name in labels() if (clips / name).is_file()]
    if len(names) < 3:
        pytest.skip("too few of the labelled clips")
    at, tracks = [channel(name) for name in real_response.CHANNELS], {}
    for name in names:
        video = probe(clips / name)
        tracks[name] = track_user(FaceCodec(), video, video.frames, [])[0][:, at].astype(float)

    def failed(answer):
        made = []
        for n, (name, user) in enumerate(tracks.items()):
            noise = np.random.default_rng(n).standard_normal((16, len(user) + 200, len(at)))
            own = gaussian_filter1d(noise, 15, axis=1)[:, 100:-100]
            own *= 0.035 / own.std()
            here = np.zeros_like(user)
            here[:, 0] = answer(user[:, 0])
            told = reaction.episodes_of(name, len(user))
            made.append(real_response.Clip(name, user, own + here, own, np.ones(len(user), bool), told))
        measured = real_response.measure(made)
        return {name for name, good in real_response.verdicts(measured["figures"]).items() if not good}

    def person(smile):
        return 0.7 * lfilter([0.18], [1, -0.82], np.pad(smile, (6, 0))[:-6])

    assert not failed(lambda smile: person(np.maximum(smile - 0.04, 0)))
    assert failed(person) == {"talk_gain"}
    assert failed(lambda smile: 0.6 * np.pad(smile, (10, 0))[:-10]) >= {"talk_gain", "fast_over_slow"}
