"""Rendering goes on where it was stopped, to the same videos; the model and the codec are replaced by arithmetic."""

from types import SimpleNamespace

import numpy as np
import pytest

from afjax.codec.base import Encoded
from afjax.codec.face.codec import FaceCodec
from afjax.errors import InputError
from data_pipeline.schema import Conversation
from experiments.evaluation import recordings, rendering
from experiments.evaluation.protocols import PROTOCOLS
from experiments.evaluation.rendering import begun, render_held_out

pytest.importorskip("av")
pytest.importorskip("soxr")
FRAMES, CLIPS = 10, rendering.BATCH + 2


class GreyCodec:
    """Frames of one grey level, the portrait's plus the motion; the motion of a portrait is its level."""

    channels, size = ("level",), 64

    def identity(self, portrait, face=0):
        if portrait.mean() < 20:
            raise InputError("no face found in the portrait")
        return float(portrait.mean())

    def reference_motion(self, identity):
        return np.array([identity], np.float32)

    def render(self, identity, motion):
        if GreyCodec.limit is not None:
            GreyCodec.limit -= 1
            if GreyCodec.limit < 0:
                raise KeyboardInterrupt
        level = np.clip(motion[:, 0], 0, 255)
        return np.broadcast_to(level[:, None, None, None], (len(motion), 64, 64, 3)).astype(np.uint8)

    limit = None


class Counting:
    """Motion of a clip: its portrait, plus its number, plus who is heard."""

    def on_devices(self, devices):
        return self

    def clips(self, avatar, user, motion, seed, condition_set, reference_motion, numbers):
        heard = 0.0 if condition_set == "avatar" else user[..., 0].mean(axis=1)
        made = np.asarray(reference_motion)[:, 0] + numbers + heard
        return np.broadcast_to(made[:, None, None], (*motion.shape[:2], 1))


@pytest.fixture
def model():
    config = SimpleNamespace(model=SimpleNamespace(motion_dim=1, audio_dim=2))
    GreyCodec.limit = None
    return SimpleNamespace(config=config, generator=Counting(), codec=lambda size=0: GreyCodec())


@pytest.fixture
def clips():
    none = np.zeros(0, np.int32)

    def conversation(number):
        motion = np.full((FRAMES, 1), number, np.float32)
        sound = np.full(FRAMES * 640, 100 * number, np.int16)
        features = np.full((FRAMES, 2), 3.0, np.float16)
        quiet = np.zeros(FRAMES, bool)
        names = f"a{number // 2}", f"u{number // 2}"
        return Conversation(motion, motion, features, features, quiet, quiet, none, none, none.astype(bool), none,
                            number, *names, avatar_wave=sound, user_wave=sound)  # fmt: skip

    return [conversation(number) for number in range(CLIPS)]


@pytest.fixture
def greys(monkeypatch):
    """Drawn people are as grey as their number."""
    monkeypatch.setattr(rendering, "painted", lambda codec, n: np.full((64, 64, 3), 100 + n, np.uint8))


def levels(folder):
    from afjax.media.video import probe, read_frames

    return {path.stem: round(next(read_frames(probe(path))).mean()) for path in sorted(folder.glob("*.mp4"))}


def test_every_row_shows_its_own_motion_on_its_own_portrait(model, clips, greys, tmp_path):
    videos = render_held_out(model, clips, tmp_path, {"talking_only": model})
    assert list(videos.rows) == ["user", "recorded", "model", "talking_only"] and len(videos.people) == CLIPS
    assert videos.people["eval-00003"] == ("a1", "u1") and videos.rows["user"]["eval-00001"].is_file()
    made = {row: levels(tmp_path / "videos" / row) for row in videos.rows}
    for n in range(CLIPS):
        name = f"eval-{n:05d}"
        assert made["model"][name] == pytest.approx(100 + n + n + 3, abs=2)
        assert made["talking_only"][name] == pytest.approx(100 + n + n, abs=2)
        assert made["recorded"][name] == pytest.approx(100 + n + n, abs=2)
        assert made["user"][name] == pytest.approx(100 + CLIPS + n, abs=2)  # about their mean
    assert any("no recordings given" in note for note in videos.notes)


def test_a_stopped_rendering_goes_on_to_the_same_videos(model, clips, greys, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    render_held_out(model, clips, whole)
    for limit in (3, 10, 6):
        GreyCodec.limit = limit
        with pytest.raises(KeyboardInterrupt):
            render_held_out(model, clips, stopped)
        assert not [path for path in stopped.rglob("*") if "partial" in path.name]
    before = {path: path.stat().st_mtime_ns for path in stopped.rglob("*.mp4")}
    assert 0 < len(before) < 3 * CLIPS
    GreyCodec.limit = None
    render_held_out(model, clips, stopped)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    files = sorted(path.relative_to(whole) for path in whole.rglob("*.mp4"))
    assert len(files) == 3 * CLIPS
    assert all((whole / file).read_bytes() == (stopped / file).read_bytes() for file in files)


def test_a_clip_whose_portrait_is_missing_is_left_out(model, clips, tmp_path):
    portraits = {f"eval-{n:05d}": np.full((64, 64, 3), 90, np.uint8) for n in range(2)}
    videos = render_held_out(model, clips[:3], tmp_path, portraits=portraits)
    assert list(videos.people) == ["eval-00000", "eval-00001"] and "1 of 3 clips are left out" in videos.notes[0]
    assert set(levels(tmp_path / "videos" / "model")) == set(videos.people)


def test_another_model_is_refused(tmp_path):
    begun(tmp_path, {"model": "a", "size": 64})
    begun(tmp_path, {"model": "a", "size": 64})
    with pytest.raises(InputError, match=r"its videos are of another model \(a, not b\); choose another --out"):
        begun(tmp_path, {"model": "b", "size": 64})


def test_clips_without_sound_are_refused(model, clips, tmp_path):
    object.__setattr__(clips[0], "avatar_wave", None)
    with pytest.raises(InputError, match="hold no sound"):
        render_held_out(model, clips, tmp_path)


@pytest.fixture
def faces(monkeypatch):
    """A face everywhere, and a square that is the whole picture."""

    class Tracker:
        def step(self, frame):
            return SimpleNamespace(mesh=np.array([[16.0, 16.0, 0.0], [48.0, 48.0, 0.0]]))

    monkeypatch.setattr(recordings, "FaceTracker", Tracker)
    monkeypatch.setattr(FaceCodec, "encode", lambda *_, **__: Encoded(np.zeros((1, 15)), np.ones(1), np.ones(1)))


@pytest.mark.parametrize("protocol", ["hdtf", "vico"])
def test_recorded_videos_are_given_to_the_model_as_the_protocol_says(
    model, faces, write_video, monkeypatch, tmp_path, protocol
):
    """The first frame is too dark for a portrait: that is taken from the sixth."""
    given = []

    def generate(frames, motion, heard, voice, seed, reference_motion):
        given.append((frames, motion, heard, voice, seed, reference_motion))
        return np.full((frames, 1), 150.0, np.float32)

    model.generate = generate
    monkeypatch.setattr(recordings, "track_user", lambda codec, video, frames, notes: (np.ones((frames, 1)), {}))
    for folder in ("people", "users"):
        (tmp_path / folder).mkdir()
        for n, name in enumerate(("one", "two")):
            sound = np.full(48_000, 0.1 * (n + 1), np.float32)
            pictures = [np.full((64, 64, 3), level, np.uint8) for level in [5] * 5 + [80] * 25]
            write_video(tmp_path / folder / f"{name}.mp4", pictures, sound=sound)
    paths = str(tmp_path / "people"), str(tmp_path / "users") if protocol == "vico" else ""
    videos = recordings.render_from_videos(model, *paths, tmp_path / "out", PROTOCOLS[protocol])
    assert set(videos.rows) == {"recorded", "model"} | ({"user"} if protocol == "vico" else set())
    assert list(videos.people) == ["one", "two"] and given[0][4] != given[1][4]
    frames, motion, heard, voice, _, reference_motion = given[0]
    assert frames == 30 and reference_motion[0] == pytest.approx(80, abs=2)
    if protocol == "hdtf":
        assert motion is None and heard is None and len(voice) == 30 * 640
    else:
        assert motion.shape == (30, 1) and len(heard) == 30 * 640 and voice is None
    assert set(levels(tmp_path / "out" / "videos" / "model").values()) == {150}
    recordings.render_from_videos(model, *paths, tmp_path / "out", PROTOCOLS[protocol])
    assert len(given) == 2  # all is there


def test_talkers_without_sound_and_people_in_the_dark_are_refused(model, faces, write_video, tmp_path):
    mute = write_video(tmp_path / "mute.mp4", [80] * 20)
    with pytest.raises(InputError, match="mute.mp4: it has no sound, which is to be the avatar's voice"):
        recordings.render_from_videos(model, str(mute), "", tmp_path / "out", PROTOCOLS["hdtf"])
    dark = write_video(tmp_path / "dark.mp4", [5] * 20, sound=np.full(48_000, 0.1, np.float32))
    with pytest.raises(InputError, match="dark.mp4: none of its first frames can be a portrait"):
        recordings.render_from_videos(model, str(dark), "", tmp_path / "out", PROTOCOLS["hdtf"])
    assert not list((tmp_path / "out").rglob("*.mp4"))
