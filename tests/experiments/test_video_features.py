"""What is read of finished videos, with real files and ONNX networks; the face that is tracked stands still."""

import numpy as np
import pytest

from afjax.codec.base import Encoded
from afjax.codec.face.channels import CHANNELS
from afjax.codec.face.track.mesh import FaceLandmarks
from afjax.errors import InputError
from afjax.metrics.pretrained import networks, syncnet
from experiments.evaluation import video_features
from experiments.evaluation.tiny_networks import CELLS, write_linear, write_tiny
from experiments.evaluation.video_features import VideoReader

FRAMES, LATE = 60, 4
RATE = 48_000


class StillFace:
    """Finds the same face in every frame, with a mouth as open as the frame is bright; none in black ones."""

    def encode(self, frames, seen):
        found = []
        for frame in frames:
            bright = float(frame.mean()) / 255
            found.append(bright > 0.1)
            seen(self.landmarks(bright) if bright > 0.1 else None)
        if not any(found):
            raise InputError(f"no face found in {len(found)} frames")
        motion = np.zeros((len(found), len(CHANNELS)), np.float32)
        return Encoded(motion, np.array(found), np.ones(len(found), np.float32))

    @staticmethod
    def landmarks(opening):
        mesh = np.full((468, 3), 45.0, np.float32)
        mesh[0, :2], mesh[10, :2] = (35.0, 25.0), (55.0, 40.0)
        mesh[33, :2], mesh[263, :2] = (38.0, 28.0), (52.0, 28.0)
        mesh[1, :2], mesh[61, :2], mesh[291, :2] = (45.0, 32.0), (40.0, 37.0), (50.0, 37.0)
        mesh[13, :2], mesh[14, :2] = (45.0, 36.0), (45.0, 36.0 + 14.0 * opening)
        iris = np.zeros((2, 5, 2), np.float32)
        iris[:, 0] = (41.0, 28.0), (49.0, 28.0)
        return FaceLandmarks(mesh, np.zeros((2, 71, 3), np.float32), iris, 1.0)


@pytest.fixture(scope="module")
def talk(tmp_path_factory, write_video):
    """Brightness `[t]` and a video whose frames are as bright as its sound is loud, LATE frames later."""
    pytest.importorskip("av")
    pytest.importorskip("soxr")
    bright = np.random.default_rng(0).uniform(60, 200, FRAMES).round()
    loud = 0.02 * np.exp((np.r_[bright[LATE:], np.full(LATE, 130.0)] - 130) / 40)
    tone = np.sin(2 * np.pi * 1000 * np.arange(FRAMES * RATE // 25) / RATE)
    wave = (np.repeat(loud, RATE // 25) * tone).astype(np.float32)
    return bright, write_video(tmp_path_factory.mktemp("talk") / "talk.mp4", bright.tolist(), sound=wave)


@pytest.fixture
def still(monkeypatch):
    monkeypatch.setattr(video_features, "FaceCodec", StillFace)


@pytest.fixture(scope="module")
def listening(tmp_path_factory):
    """SyncNet's two halves: changes of brightness from frame to frame, and of loudness from 40 ms to 40 ms."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("networks")
    lips, sound = np.zeros((3, 5, 4, 4, 1024)), np.zeros((13, 20, 1024))
    for step in range(4):
        lips[:, step, :, :, step], lips[:, step + 1, :, :, step] = -1 / 48, 1 / 48
        loud = 20 / 4  # of log energy, which is twice that of the amplitude
        sound[0, 4 * step : 4 * step + 4, step], sound[0, 4 * step + 4 : 4 * step + 8, step] = -loud, loud
    write_linear(folder / "syncnet_lips.onnx", "syncnet_lips", CELLS["syncnet_lips"], lips.reshape(-1, 1024))
    write_linear(folder / "syncnet_sound.onnx", "syncnet_sound", (1, 1), sound.reshape(-1, 1024))
    return networks.load_folder(folder)


def test_sound_that_is_early_is_found_by_the_networks_and_by_the_stand_in(talk, still, listening, tmp_path):
    bright, path = talk
    seen = VideoReader(tmp_path, listening)(path)
    assert seen.features["syncnet_lips"].shape == seen.features["syncnet_sound"].shape == (FRAMES - 5, 1024)
    np.testing.assert_allclose(seen.features["syncnet_lips"][:, 0], np.diff(bright)[: FRAMES - 5], atol=3)
    found = syncnet.sync(seen.features["syncnet_lips"], seen.features["syncnet_sound"])
    assert found.lag == LATE and found.confidence > 0
    windows = [video_features.stand_ins.sync_windows(seen.tracks[name]) for name in ("opening", "envelope")]
    assert syncnet.sync(*windows).lag == LATE
    np.testing.assert_allclose(seen.tracks["opening"], bright / 255, atol=0.02)


def test_what_was_read_is_not_read_again(talk, still, tmp_path, monkeypatch):
    folder = write_tiny(tmp_path / "networks")
    pytest.importorskip("onnxruntime")
    loaded = networks.load_folder(folder)
    calls = []

    class Counted:
        def __init__(self, kind):
            self.kind = kind

        def __call__(self, batch):
            calls.append(self.kind)
            return loaded[self.kind](batch)

    counted = {kind: Counted(kind) for kind in ("inception", "i3d", "arcface")}
    known = dict.fromkeys(counted, "a" * 64)
    first = VideoReader(tmp_path / "cache", counted, known)(talk[1])
    shapes = {kind: rows.shape for kind, rows in first.features.items()}
    assert shapes == {"inception": (FRAMES, 2048), "i3d": (3, 400), "arcface": (FRAMES, 512)}
    done = len(calls)
    monkeypatch.setattr(StillFace, "encode", None)
    again = VideoReader(tmp_path / "cache", counted, known)(talk[1])
    assert len(calls) == done and again.tracks.keys() == first.tracks.keys()
    for kind, rows in first.features.items():
        np.testing.assert_array_equal(again.features[kind], rows)
    VideoReader(tmp_path / "cache", counted, known | {"i3d": "b" * 64})(talk[1])
    assert set(calls[done:]) == {"i3d"} and not list((tmp_path / "cache").rglob("*.partial*"))


def test_a_video_without_sound_and_frames_without_a_face(still, listening, write_video, tmp_path):
    path = write_video(tmp_path / "mute.mp4", [0, 0, *[150] * 20])
    seen = VideoReader(tmp_path / "cache", listening)(path)
    assert not seen.has_sound and not seen.features and seen.tracks["found"].tolist() == [False] * 2 + [True] * 20
    assert seen.notes == ("mute.mp4: the face is found in 20 of 22 frames", "mute.mp4: it has no sound")
    assert np.isfinite(seen.tracks["box"]).all()


def test_a_system_that_shows_no_face_is_measured_all_the_same(still, write_video, tmp_path):
    """It is nobody: an embedding of 0, no lips."""
    pytest.importorskip("onnxruntime")
    loaded = networks.load_folder(write_tiny(tmp_path / "networks"))
    path = write_video(tmp_path / "dark.mp4", [10] * 20, sound=np.full(48_000, 0.1, np.float32))
    seen = VideoReader(tmp_path / "cache", loaded)(path)
    assert set(seen.features) == {"inception", "i3d", "arcface"} and not seen.features["arcface"].any()
    assert not seen.tracks["found"].any() and not seen.tracks["motion"].any() and seen.has_sound
    assert seen.notes == ("dark.mp4: the face is found in 0 of 20 frames",)


def test_what_is_no_video_is_refused(tmp_path):
    pytest.importorskip("av")
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(InputError, match="a.mp4: not a readable video"):
        VideoReader(tmp_path / "cache")(tmp_path / "a.mp4")
    assert not (tmp_path / "cache").exists()
