"""From folders of finished videos and of tracks to the table of papers' metrics; videos are replaced by features."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from afjax.errors import InputError
from experiments.evaluation import published_table
from experiments.evaluation.protocols import PROTOCOLS
from experiments.evaluation.published_table import finished, measure, read_tracks, reader_of, write
from experiments.evaluation.video_features import Seen

NAMES = [f"clip{n}" for n in range(7)]


class Known:
    """Features of a video by its name; those of `model` are the recorded ones, moved by 3 and 4 in two of them."""

    def __call__(self, path):
        rng = np.random.default_rng(NAMES.index(path.stem))
        thumbs, moved = rng.random((40, 192)), np.zeros(192)
        if path.parent.name == "model":
            moved[:2] = 3.0, 4.0
        tracks = {"thumbnail": thumbs + moved, "opening": rng.random(40), "found": np.ones(40, bool)}
        if path.parent.name != "mute":
            tracks |= {"envelope": tracks["opening"], "speaking": np.ones(40, bool), "features": rng.random((40, 84))}
        return Seen(path, tracks, {"dlib": np.ones((2, 4))}, (f"{path.stem}: seen",))

    def without_networks(self):
        return self

    def portrait(self, picture):
        return {"dlib": np.r_[np.ones(3), -3.0]}


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Empty files, which nobody reads: `users`, `recorded`, `model` and `mute`."""
    for folder in ("users", "recorded", "model", "mute"):
        (tmp_path / folder).mkdir()
        for name in NAMES:
            (tmp_path / folder / f"{name}.mp4").touch()
    monkeypatch.setattr(published_table, "probe", lambda path: SimpleNamespace(frames=60))
    monkeypatch.setattr(published_table, "read_frames", lambda *_: iter([np.zeros((64, 64, 3), np.uint8)]))
    return tmp_path


def sources(folder, **more):
    found = {"user": "users", "recorded": "recorded", "model": "model"} | more
    return {role: str(folder / name) for role, name in found.items() if name}


def save_tracks(folder, row, tracks):
    (folder / row).mkdir(parents=True)
    for name, track in zip(NAMES, tracks, strict=True):
        np.savez(folder / row / f"{name}.npz", exp=track[:, :50], pose=track[:, 50:])


def noise(seed):
    return list(np.random.default_rng(seed).normal(size=(len(NAMES), 60, 56)))


def test_pictures_and_tracks_make_one_table(folders):
    tracks = folders / "tracks"
    for row, seed in (("user", 0), ("recorded", 1), ("model", 1)):
        save_tracks(tracks, row, noise(seed))
    protocol = PROTOCOLS["dyadic"]
    found = measure(finished(sources(folders)), protocol, Known(), [], str(tracks))
    assert set(found.table) == {"recorded", "model", "shuffled"}
    ours = found.table["model"]
    assert ours["FD-thumbnail"]["mean"] == pytest.approx(25.0) and ours["rPCC-Exp"]["mean"] == 0.0
    assert ours["CSIM-dlib"]["mean"] == pytest.approx(0.0) and ours["sync-lag-opening"]["mean"] == 0.0
    assert ours["FD-Pose"]["mean"] < 1e-6 < found.table["shuffled"]["rPCC-Exp"]["mean"]
    assert {"FID", "FVD", "CSIM", "LSE-D", "LSE-C"} <= set(found.missing) and "rPCC-Exp" not in found.missing
    assert found.missing["R-DGG"].startswith("fewer than 60 stretches")
    write(folders / "out", found, protocol, {})
    stored = json.loads((folders / "out" / "published.json").read_text())
    assert stored["metrics"]["model"]["FD-thumbnail"]["rows"] == 40 * len(NAMES)
    assert stored["missing"]["FID"] == "no inception.onnx among the networks"
    lines = (folders / "out" / "published.txt").read_text().splitlines()
    assert any(line.startswith("FID ") and line.endswith("no inception.onnx among the networks") for line in lines)


def test_tracks_of_another_rate_are_told(folders):
    for row in ("user", "recorded", "model"):
        save_tracks(folders / "tracks", row, noise(1))
    np.savez(folders / "tracks" / "model" / "clip2.npz", exp=np.zeros((72, 50)), pose=np.zeros((72, 6)))
    notes = measure(finished(sources(folders)), PROTOCOLS["vico"], Known(), [], str(folders / "tracks")).notes
    assert notes == ["model/clip2: 72 frames of tracks, 60 of the video at 25 a second"]


def test_each_protocol_has_its_own_figures(folders):
    tracks = folders / "tracks"
    for row in ("user", "recorded", "model"):
        save_tracks(tracks, row, noise(3))
    talking = measure(finished(sources(folders, user="")), PROTOCOLS["hdtf"], Known(), [], str(tracks))
    assert set(talking.missing) == {"FID", "FVD", "CSIM", "LSE-D", "LSE-C"}
    assert not {"rPCC-Exp", "Var", "FD-Exp"} & set(talking.table["model"])
    listening = measure(finished(sources(folders)), PROTOCOLS["vico"], Known(), [], str(tracks))
    assert {"FD-Exp", "Var-Pose", "SID-Exp", "rPCC-Pose (corpus)"} <= set(listening.table["model"])
    assert not {"FD-thumbnail", "CSIM-dlib", "Var"} & set(listening.table["model"])
    without = measure(finished(sources(folders)), PROTOCOLS["vico"], Known(), [])
    assert set(without.missing.values()) == {published_table.NO_TRACKS}


def test_people_make_groups(folders):
    table = folders / "people.csv"
    table.write_text(
        "name,avatar,user\n" + "".join(f"{name},ann{n // 2},bob{n // 2}\n" for n, name in enumerate(NAMES))
    )
    videos = finished(sources(folders), str(table))
    assert videos.people["clip3"] == ("ann1", "bob1")
    few = measure(videos, PROTOCOLS["dyadic"], Known(), []).table["model"]["FD-thumbnail"]
    assert few["low"] is None and few["mean"] == pytest.approx(25.0)  # four groups
    table.write_text("name,avatar,user\nclip0,ann,bob\n")
    with pytest.raises(InputError, match="clip1 is not in it"):
        finished(sources(folders), str(table))
    table.write_text("video,avatar\nclip0,ann\n")
    with pytest.raises(InputError, match="the columns name, avatar, user"):
        finished(sources(folders), str(table))
    with pytest.raises(InputError, match="No such file"):
        finished(sources(folders), str(folders / "none.csv"))


def test_videos_without_sound_have_no_lip_sync(folders):
    found = measure(finished(sources(folders, recorded="mute", model="mute")), PROTOCOLS["hdtf"], Known(), [])
    assert found.missing["LSE-D"] == "the videos have no sound"
    assert not [name for name in found.table["model"] if name.startswith("sync")]


def test_listeners_without_sound_are_silent_and_users_without_sound_unknown(folders):
    tracks = folders / "tracks"
    for row in ("user", "recorded"):
        save_tracks(tracks, row, noise(3))
    videos = finished(sources(folders, recorded="mute", model="mute"))
    said = measure(videos, PROTOCOLS["vico"], Known(), [], str(tracks)).missing["R-DGG"]
    assert said.startswith("fewer than 60")
    videos = finished(sources(folders, user="mute"))
    assert measure(videos, PROTOCOLS["vico"], Known(), [], str(tracks)).missing["R-DGG"] == "the videos have no sound"


def test_folders_that_do_not_fit_are_refused(folders):
    (folders / "empty").mkdir()
    with pytest.raises(InputError, match="no video has the same name"):
        finished(sources(folders, model="empty"))
    with pytest.raises(InputError, match="no such folder"):
        finished(sources(folders), portraits=str(folders / "faces"))
    with pytest.raises(InputError, match="no picture named clip0; a portrait for every video"):
        measure(finished(sources(folders), portraits=str(folders / "empty")), PROTOCOLS["hdtf"], Known(), [])
    with pytest.raises(InputError, match="no network in it"):
        reader_of(PROTOCOLS["hdtf"], str(folders / "empty"), folders / "cache")
    for tracks, message in (("none", "no such folder"), ("empty", "no tracks of recorded or model")):
        with pytest.raises(InputError, match=message):
            measure(finished(sources(folders)), PROTOCOLS["vico"], Known(), [], str(folders / tracks))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"exp": np.zeros((9, 53)), "pose": np.zeros((9, 6))}, r"exp has shape \(9, 53\), not \[T, 50\]"),
        ({"exp": np.zeros((9, 50)), "pose": np.zeros((8, 6))}, r"pose has shape \(8, 6\)"),
        ({"exp": np.zeros((9, 50))}, "it has no arrays named exp and pose"),
        ({"exp": np.full((9, 50), np.inf), "pose": np.zeros((9, 6))}, "exp has values that are not finite"),
    ],
)
def test_tracks_that_are_none_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=f"a.npz: {message}"):
        read_tracks(tmp_path / "a.npz")


def test_files_that_hold_no_tracks(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no readable npz"):
        read_tracks(tmp_path / "a.npz")
    with pytest.raises(InputError, match="no such file"):
        read_tracks(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", exp=np.array([{}]), pose=np.zeros((1, 6)))  # pickled
    with pytest.raises(InputError, match="no readable npz"):
        read_tracks(tmp_path / "c.npz")
