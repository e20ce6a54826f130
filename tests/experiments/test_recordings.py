"""Held-out clips are cut out of the recordings that they were made of; nobody is tracked here."""

import json

import numpy as np
import pytest

from afjax.errors import InputError
from data_pipeline.schema import Conversation
from experiments.evaluation import recordings

pytest.importorskip("av")
pytest.importorskip("soxr")
LENGTH = 10
SQUARES = {"avatar": {"left": 0, "top": 0, "side": 64}, "user": {"left": 0, "top": 0, "side": 64}}


class Codec:
    """Takes no picture that is darker than 45 as a portrait."""

    size = 64

    def identity(self, picture, face=0):
        if picture.mean() < 45:
            raise InputError("the portrait's eyes are closed")


def picture(n):
    """Frame n of a recording: the avatar left, as bright as twice its number, the user right and 3 brighter."""
    frame = np.full((64, 128, 3), 2 * n, np.uint8)
    frame[:, 64:] += 3
    return frame


@pytest.fixture
def built(tmp_path, write_video):
    """What `data_pipeline.build` leaves of two conversations; records are in another order than time."""
    for name in ("monday", "friday"):
        write_video(tmp_path / f"{name}.mp4", [picture(n) for n in range(60)], sound=np.zeros(60 * 1920, np.float32))
        clips = [{"start": start, **SQUARES} for start in (0, 20, 45)]
        folder = tmp_path / "data" / "clips" / name
        folder.mkdir(parents=True)
        (folder / "survey.json").write_text(json.dumps({"clips": clips}))
    rows = [
        "monday,0001,eval,1,1",
        "monday,0002,eval,0,1",
        "friday,0000,eval,2,1",
        "friday,0001,train,0,1",
        "friday,0002,eval,,0",
    ]
    (tmp_path / "data" / "clips.csv").write_text("\n".join(["conversation,clip,split,record,kept", *rows]) + "\n")
    table = [
        "conversation,avatar_video,user_video,avatar_person,user_person,avatar_half,avatar_channel,user_channel,split"
    ]
    table += [f"{name},{name}.mp4,{name}.mp4,ann_{name},bob_{name},left,1,2,eval" for name in ("monday", "friday")]
    (tmp_path / "pairs.csv").write_text("\n".join(table) + "\n")
    return tmp_path


def conversation(number):
    none, motion = np.zeros(0, np.int32), np.zeros((LENGTH, 1), np.float32)
    features, quiet = np.zeros((LENGTH, 2), np.float16), np.zeros(LENGTH, bool)
    sound = np.full(LENGTH * 640, 1000 * (number + 1), np.int16)
    return Conversation(motion, motion, features, features, quiet, quiet, none, none, none.astype(bool), none, number,
                        "ann", "bob", avatar_wave=sound, user_wave=-sound)  # fmt: skip


CLIPS = [conversation(n) for n in range(3)]


def frames(path):
    from afjax.media.video import probe, read_frames

    return [round(frame.mean()) for frame in read_frames(probe(path))]


def test_each_record_has_its_own_frames_sound_and_portrait(built):
    out = built / "out"
    portraits = recordings.cut_held_out(built / "data", built / "pairs.csv", CLIPS, out, Codec())
    starts = {"eval-00000": 45, "eval-00001": 20, "eval-00002": 0}
    for name, start in starts.items():
        expected = 2.0 * np.arange(start, start + LENGTH)
        np.testing.assert_allclose(frames(out / "videos" / "recorded" / f"{name}.mp4"), expected, atol=3)
        np.testing.assert_allclose(frames(out / "videos" / "user" / f"{name}.mp4"), expected + 3, atol=3)
    assert set(portraits) == {"eval-00000", "eval-00001"}  # the third is dark throughout
    assert portraits["eval-00000"].mean() == pytest.approx(90, abs=3)
    assert portraits["eval-00001"].mean() == pytest.approx(50, abs=3)  # its first frame is too dark


def test_what_is_there_is_not_cut_again(built, monkeypatch):
    out = built / "out"
    first = recordings.cut_held_out(built / "data", built / "pairs.csv", CLIPS, out, Codec())
    (out / "videos" / "recorded" / "eval-00001.mp4").unlink()
    bytes_of = {path: path.read_bytes() for path in out.rglob("*.mp4")}
    again = recordings.cut_held_out(built / "data", built / "pairs.csv", CLIPS, out, Codec())
    assert (out / "videos" / "recorded" / "eval-00001.mp4").is_file()
    assert all(path.read_bytes() == content for path, content in bytes_of.items())
    assert all((again[name] == picture).all() for name, picture in first.items())
    monkeypatch.setattr(recordings, "frames_of", None)
    recordings.cut_held_out(built / "data", built / "pairs.csv", CLIPS, out, Codec())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "data" / "clips.csv").unlink(), "where its clips were cut can't be read"),
        (lambda folder: (folder / "data" / "clips" / "monday" / "survey.json").write_text("{}"), "folder clips"),
        (lambda folder: (folder / "pairs.csv").write_text((folder / "pairs.csv").read_text().replace("monday,", "m,")),
         "the conversation monday is not in it"),
        (lambda folder: CLIPS, "clips.csv names other held-out clips than its 2 records"),
    ],
)  # fmt: skip
def test_what_does_not_belong_together_is_refused(built, change, message):
    clips = CLIPS[:2] if change(built) is CLIPS else CLIPS
    with pytest.raises(InputError, match=message):
        recordings.cut_held_out(built / "data", built / "pairs.csv", clips, built / "out", Codec())
