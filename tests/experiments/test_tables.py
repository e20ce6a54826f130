"""`experiments.evaluate` on finished videos, with the tracker replaced by motion that is known."""

import numpy as np
import pytest

from afjax.codec.face.channels import CHANNELS
from afjax.errors import InputError
from experiments.evaluation import tables, video_motion

FRAMES, LAG = 400, 12


@pytest.fixture
def known(monkeypatch):
    """Files by name of motion: a user, a listener who copies them `LAG` frames later, and one who does not."""
    rng = np.random.default_rng(0)
    smooth = np.ones(9) / 9

    def motion():
        white = rng.standard_normal((FRAMES, len(CHANNELS)))
        return np.stack([np.convolve(column, smooth, "same") for column in white.T], 1).astype(np.float32)

    user = motion()
    tracks = {"user": user, "copy": np.roll(user, LAG, axis=0), "deaf": motion()}
    monkeypatch.setattr(video_motion, "_motion", lambda path, notes: tracks[path.stem])
    return tracks


def test_a_copy_is_seen_to_react_at_its_lag_and_a_deaf_one_not(known):
    _, table, notes = tables.of_videos("user.mp4", "deaf.mp4", "copy.mp4", piece=8.0)
    assert "2 pieces of 8 s" in notes
    assert table["recorded"]["response_peak_smile"]["mean"] > 0.9
    assert table["recorded"]["response_lag_ms_smile"]["mean"] == LAG * 40
    assert abs(table["model"]["response_peak_smile"]["mean"]) < 0.5 and table["model"]["fd"]["mean"] > 0


def test_without_a_recorded_video_only_the_motion_itself_is_measured(known):
    _, table, notes = tables.of_videos("user.mp4", "copy.mp4", piece=4.0)
    assert table["model"]["response_lag_ms_smile"]["mean"] == LAG * 40
    assert not {"fd", "rpcc_pose", "lip_corr", "jitter_inside"} & set(table["model"])
    assert any("without recorded videos" in note for note in notes)


def test_folders_are_paired_by_name(known, tmp_path):
    for folder, names in (("users", ("user", "alone")), ("made", ("user", "other"))):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"{name}.mp4").touch()
    tracks, _ = video_motion.pieces({"user": str(tmp_path / "users"), "generated": str(tmp_path / "made")}, 4.0)
    assert tracks["user"].shape == (4, 100, len(CHANNELS))
    np.testing.assert_array_equal(tracks["user"], tracks["generated"])


def test_what_lies_beside_videos_is_not_looked_at(known, tmp_path):
    for folder in ("users", "made"):
        (tmp_path / folder / "more").mkdir(parents=True)
        for name in ("user.MP4", ".DS_Store", "._user.mp4", "Thumbs.db", "summary.json", "user.srt", "user.json"):
            (tmp_path / folder / name).touch()
    sources = {"user": str(tmp_path / "users"), "generated": str(tmp_path / "made")}
    tracks, notes = video_motion.pieces(sources, 4.0)
    assert len(tracks["user"]) == 4 and notes == ["4 pieces of 4 s"]
    (tmp_path / "users" / "alone.mov").touch()
    assert "1 videos" in video_motion.pieces(sources, 4.0)[1][0]
    (tmp_path / "users" / "user.webm").touch()
    with pytest.raises(InputError, match="user.MP4 and user.webm have one name"):
        video_motion.pieces(sources, 4.0)


def test_lengths_that_differ_are_told(known):
    known["copy"] = known["copy"][:350]
    _, notes = video_motion.pieces({"user": "user.mp4", "generated": "copy.mp4"}, 4.0)
    assert notes[0] == "user: lengths differ, 14.00 of 16.00 s, from the start, are compared"


@pytest.mark.parametrize(
    ("sources", "piece", "message"),
    [
        ({"user": "user.mp4", "generated": "deaf.mp4"}, 10.0, "1 pieces of 10 s"),
        ({"user": "user.mp4", "generated": "."}, 4.0, "is a file, the others are folders"),
    ],
)
def test_what_does_not_fit_is_refused(known, tmp_path, monkeypatch, sources, piece, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        video_motion.pieces(sources, piece)
