"""`experiments.evaluate` on finished videos, with the tracker replaced by motion that is known."""

import numpy as np
import pytest

from afjax.codec.face.channels import CHANNELS
from afjax.errors import InputError
from afjax.media.writer import SOUND_RATE, VideoWriter
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
    monkeypatch.setattr(video_motion, "_tracks", lambda path, notes: {"motion": tracks[path.stem]})
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
    found = video_motion.pieces({"user": str(tmp_path / "users"), "generated": str(tmp_path / "made")}, 4.0)
    assert found.motion["user"].shape == (4, 100, len(CHANNELS)) and found.clip.tolist() == [0] * 4
    np.testing.assert_array_equal(found.motion["user"], found.motion["generated"])


def test_what_lies_beside_videos_is_not_looked_at(known, tmp_path):
    for folder in ("users", "made"):
        (tmp_path / folder / "more").mkdir(parents=True)
        for name in ("user.MP4", ".DS_Store", "._user.mp4", "Thumbs.db", "summary.json", "user.srt", "user.json"):
            (tmp_path / folder / name).touch()
    sources = {"user": str(tmp_path / "users"), "generated": str(tmp_path / "made")}
    found = video_motion.pieces(sources, 4.0)
    assert len(found.motion["user"]) == 4 and found.notes == ["4 pieces of 4 s"]
    (tmp_path / "users" / "alone.mov").touch()
    assert "1 videos" in video_motion.pieces(sources, 4.0).notes[0]
    (tmp_path / "users" / "user.webm").touch()
    with pytest.raises(InputError, match="user.MP4 and user.webm have one name"):
        video_motion.pieces(sources, 4.0)


def test_lengths_that_differ_are_told(known):
    known["copy"] = known["copy"][:350]
    found = video_motion.pieces({"user": "user.mp4", "generated": "copy.mp4"}, 4.0)
    assert found.notes[0] == "user: lengths differ, 14.00 of 16.00 s, from the start, are compared"


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


def test_lips_are_measured_on_the_sound_of_the_videos(known, monkeypatch):
    """Two conversations in which the mouth follows the voice; without sound, and that is said, there is no figure."""
    mouth = CHANNELS.index("jaw_open")
    loud = known["copy"][:, mouth] - known["copy"][:, mouth].min()
    features = np.random.default_rng(1).standard_normal((FRAMES, 4))
    heard = {"speaking": np.ones(FRAMES, bool), "envelope": loud, "features": features}
    monkeypatch.setattr(video_motion, "_tracks", lambda path, notes: {"motion": known[path.stem]} | heard)
    arrays, table, notes = tables.of_videos("user.mp4", "deaf.mp4", "copy.mp4", piece=8.0)
    assert {"user_features", "avatar_features", "user_speaking"} <= set(arrays)
    assert table["recorded"]["lip_envelope_corr"]["mean"] > 0.95 > table["model"]["lip_envelope_corr"]["mean"]
    assert "the avatar's speech is what is heard in the recorded videos" in notes
    assert "lip_envelope_corr" in tables.of_videos("user.mp4", "copy.mp4", piece=4.0)[1]["model"]


def test_pieces_of_one_conversation_have_no_other_user(known):
    _, table, notes = tables.of_videos("user.mp4", "deaf.mp4", "copy.mp4", piece=4.0)
    assert "shuffled" not in table and table["model"]["fd"]["low"] is None
    assert any("one conversation" in note for note in notes) and any("lips are not measured" in note for note in notes)


def test_sound_is_as_long_as_what_is_seen(tmp_path, monkeypatch):
    path = tmp_path / "talk.mp4"
    wave = np.where(np.arange(2 * SOUND_RATE) < SOUND_RATE, 0.3, 0.0) * np.sin(0.1 * np.arange(2 * SOUND_RATE))
    with VideoWriter(path, 64, 64) as writer:
        writer.sound(wave)
        writer.frames(np.zeros((50, 64, 64, 3), np.uint8))
    monkeypatch.setattr(video_motion, "_motion", lambda video, notes: np.zeros((video.frames, len(CHANNELS))))
    tracks = video_motion._tracks(path, [])
    assert {name: len(track) for name, track in tracks.items()} == dict.fromkeys(tracks, 50) and len(tracks) == 4
    assert tracks["speaking"][:24].all() and not tracks["speaking"][27:].any()
