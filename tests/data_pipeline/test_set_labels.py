"""Labels that data sets bring along: boxes placed by time, speech by spans, and what is refused."""

import json

import numpy as np
import pytest

from afjax.errors import InputError
from data_pipeline.recorded import labels, shots
from data_pipeline.recorded.pairs import Label


def seamless(path, boxes, valid):
    """Keypoints whose faces fill boxes `[n, 4]`; the rest of the body is elsewhere."""
    points = np.zeros((len(boxes), 133, 3), np.float32)
    points[:, labels.FACE, :2] = np.mean([boxes[:, :2], boxes[:, 2:]], axis=0)[:, None]
    points[:, 23, :2], points[:, 90, :2] = boxes[:, :2], boxes[:, 2:]
    np.savez(path, **{"boxes_and_keypoints:keypoints": points, "boxes_and_keypoints:is_valid_box": np.array(valid)})
    return path


BOXES = np.array([[10, 20, 30, 60], [11, 21, 31, 61], [12, 22, 32, 62]], np.float64)


def test_boxes_of_three_kinds(tmp_path):
    np.save(tmp_path / "plain.npy", np.where([[True], [False], [True]], BOXES, np.nan))
    seamless(tmp_path / "seamless.npz", BOXES, [True, False, True])
    person = {"0": {"people": {"p1": {"bbox": BOXES[0].tolist()}, "p0": {"bbox": [0, 0, 9, 9]}}}, "1": {"people": {}}}
    person["2"] = {"current_speaker": None, "people": {"p1": {"bbox": BOXES[2].tolist()}}}
    (tmp_path / "talk.json").write_text(json.dumps(person))
    for label in (Label(tmp_path / "plain.npy"), Label(tmp_path / "seamless.npz"), Label(tmp_path / "talk.json", "p1")):
        found = labels.read_boxes(label)
        np.testing.assert_array_equal(found[[0, 2]], BOXES[[0, 2]])
        assert np.isnan(found[1]).all()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "1 2 3 4", "boxes are .npy, .npz or .json"),
        ("a.json", "[1, 2", "can't be read"),
        ("a.json", '{"0": {"people": {}}}', "it has no box"),
        ("a.json", '{"99999999": {}}', "frames up to 99999999"),
        ("a.npy", "no array", "can't be read"),
        ("a.npz", "no archive", "can't be read"),
        ("a.json", "", "empty"),
    ],
)
def test_broken_boxes_are_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        labels.read_boxes(Label(tmp_path / name, "p0"))


def test_boxes_hold_no_objects(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"an": "object"}], object), allow_pickle=True)
    with pytest.raises(InputError, match="can't be read"):
        labels.read_boxes(Label(tmp_path / "a.npy"))


def test_speech_of_three_kinds(tmp_path):
    (tmp_path / "a.json").write_text('{"metadata:vad": [{"start": 0.5, "end": 1}, {"start": 2, "end": 2}]}')
    (tmp_path / "a.jsonl").write_text('{"start": 0.5, "end": 1}\n\n')
    (tmp_path / "a.csv").write_text("turn_id,speaker,start,stop\n0,me,0.5,1.0\n1,you,3,4\n")
    for label in (Label(tmp_path / "a.json"), Label(tmp_path / "a.jsonl"), Label(tmp_path / "a.csv", "me")):
        assert labels.read_speech(label) == [(0.5, 1.0)]
    for name, content in (("b.json", '{"vad": []}'), ("b.jsonl", "[1]"), ("b.csv", "speaker,start\nme,1\n")):
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match="speech can't be read"):
            labels.read_speech(Label(tmp_path / name, "me"))


def test_frames_that_speak_are_those_whose_middle_does():
    spoken = labels.speaking([(0.0, 0.5), (9.99, 10.05), (99.0, 99.5)], start=0.2, frames=250, fps=25)
    assert np.flatnonzero(spoken).tolist() == [*range(7), 245]


def test_boxes_say_whose_face_is_meant(write_video):
    pytest.importorskip("ai_edge_litert")
    face = pytest.importorskip("skimage.data").astronaut()[:256, 96:352]
    frames = [np.concatenate([np.roll(face, n, 1), face[::2, ::2].repeat(2, 0).repeat(2, 1)], 1) for n in range(6)]
    right = np.full((6, 4), (350.0, 40.0, 430.0, 170.0))
    middles = [np.mean([box[0], box[2]]) for box in shots.survey(iter(frames), right).boxes.values()]
    assert len(middles) == 2 and all(330 < middle < 450 for middle in middles)
    right[5] = np.nan
    assert list(shots.survey(iter(frames), right).boxes) == [0]
    (whole,) = shots.survey(iter(frames[:1]), right).boxes.values()
    (scaled,) = shots.survey((frame[::2, ::2] for frame in frames[:1]), right, (256, 512)).boxes.values()
    np.testing.assert_allclose(scaled, whole, atol=6)
