"""Pictures of clips: pairs, mirror, order, and what is refused."""

import json

import numpy as np
import pytest

from afjax.codec.face import channels
from afjax.codec.face.channels import channel
from afjax.codec.face.track.template import rotation
from afjax.errors import InputError
from data_pipeline import face_crops
from data_pipeline.simulate.portrait.animate import sample_motion


@pytest.fixture
def folder(tmp_path):
    """Three clips of 3, 4 and 5 pictures of 8 px; clip c's picture t is all 10 c + t."""
    for split in ("train", "eval"):
        (tmp_path / split).mkdir()
        lengths = np.array([3, 4, 5])
        for clip, length in enumerate(lengths):
            grey = np.arange(10 * clip, 10 * clip + length).astype(np.uint8)
            np.save(tmp_path / split / f"{clip:05d}.npy", np.tile(grey[:, None, None, None], (1, 8, 8, 3)))
        boxes = np.random.default_rng(0).random((12, 3, 4)).astype(np.float32)
        np.savez(tmp_path / split / "faces.npz", length=lengths, boxes=boxes)
    index = {"version": face_crops.VERSION, "source": {"size": 8}, "splits": {}, "left_out": {}}
    (tmp_path / face_crops.INDEX).write_text(json.dumps(index))
    return tmp_path


def test_clips_are_where_they_were_stored(folder):
    faces = face_crops.Faces(folder, "train")
    with np.load(folder / "train" / "faces.npz") as stored:
        boxes = stored["boxes"]
    assert [len(clip.pictures) for clip in faces] == [3, 4, 5]
    assert faces[1].pictures[:, 0, 0, 0].tolist() == [10, 11, 12, 13]
    np.testing.assert_array_equal(faces[0].boxes, boxes[:3])
    np.testing.assert_array_equal(faces[2].boxes, boxes[7:])
    assert faces[1].motion is None


def test_pairs_are_two_pictures_of_one_clip_and_go_on_where_they_were(folder):
    batches = face_crops.batches(face_crops.Faces(folder, "train"), 2, seed=0)
    first = [next(batches) for _ in range(6)]
    assert first[0]["pictures"].shape == (2, 2, 8, 8, 3) and first[0]["boxes"].shape == (2, 2, 3, 4)
    grey = np.concatenate([batch["pictures"][:, :, 0, 0, 0] for batch in first])
    assert (grey[:, 0] // 10 == grey[:, 1] // 10).all() and (grey[:, 0] != grey[:, 1]).all()
    assert sorted(grey[:3, 0] // 10) == [0, 1, 2]
    place = batches.get_state()
    wanted = next(batches)
    batches.set_state(place)
    np.testing.assert_array_equal(next(batches)["pictures"], wanted["pictures"])


def test_a_mirror_swaps_the_eyes():
    picture = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    boxes = np.array([[[0.1, 0.2, 0.3, 0.4], [0.6, 0.2, 0.9, 0.4], [0.4, 0.7, 0.5, 0.8]]] * 2, np.float32)
    turned, found = face_crops.mirrored(picture, boxes)
    np.testing.assert_array_equal(turned[:, :, 0], picture[:, :, 3])
    np.testing.assert_allclose(found[0], [[0.1, 0.2, 0.4, 0.4], [0.7, 0.2, 0.9, 0.4], [0.5, 0.7, 0.6, 0.8]], atol=1e-6)
    again, same = face_crops.mirrored(turned, found)
    np.testing.assert_array_equal(again, picture)
    np.testing.assert_allclose(same, boxes, atol=1e-6)


def test_pairs_of_drawn_people_know_their_motion_in_the_mirror_too(folder):
    """Of each frame its own, and turned about where the picture is turned about."""
    with np.load(folder / "train" / "faces.npz") as stored:
        arrays = dict(stored)
    motion = np.arange(12 * 15, dtype=np.float32).reshape(12, 15) + 1
    np.savez(folder / "train" / "faces.npz", **arrays, motion=motion)
    for clip in range(3):  # the picture's left half says which side is left
        pictures = np.load(folder / "train" / f"{clip:05d}.npy")
        pictures[..., 4:, 0] = 200
        np.save(folder / "train" / f"{clip:05d}.npy", pictures)
    batches, sides = face_crops.batches(face_crops.Faces(folder, "train"), 3, seed=0), set()
    for _ in range(4):
        batch = next(batches)
        turned = batch["pictures"][:, 0, 0, 0, 0] == 200
        for n, name in enumerate(batches.windows):
            clip, chosen = str(name).split("@")
            first = [0, 3, 7][int(clip)]
            own = motion[[first + int(each) for each in chosen.split(",")]]
            np.testing.assert_array_equal(batch["motion"][n], channels.mirrored(own) if turned[n] else own)
            sides.add(bool(turned[n]))
    assert sides == {False, True}


def test_a_mirrored_head_turns_and_leans_the_other_way():
    motion = np.zeros(15, np.float32)
    motion[[channel("yaw"), channel("pitch"), channel("roll"), channel("gaze_x"), channel("smile")]] = (
        20,
        10,
        -5,
        0.1,
        1,
    )
    across = np.diag([-1.0, 1, 1])
    seen = rotation(*np.float64(channels.mirrored(motion)[:3]))
    np.testing.assert_allclose(seen, across @ rotation(*np.float64(motion[:3])) @ across, atol=1e-6)
    assert channels.mirrored(motion)[channel("gaze_x")] == np.float32(-0.1)
    assert channels.mirrored(motion)[channel("smile")] == 1


def test_drawn_motion_begins_at_rest_and_repeats():
    motion = sample_motion(np.random.default_rng(0), 400)
    assert motion.shape == (400, 15) and not motion[0].any()
    np.testing.assert_array_equal(motion, sample_motion(np.random.default_rng(0), 400))
    assert motion[:, 0].std() == pytest.approx(25 / 3, rel=0.1)
    assert 0.25 < (motion[:, 12] > 0).mean() < 0.42


def test_damaged_folders_are_refused(folder, tmp_path_factory):
    with pytest.raises(InputError, match="no pictures here"):
        face_crops.Faces(tmp_path_factory.mktemp("empty"), "train")
    np.save(folder / "train" / "00001.npy", np.zeros((4, 8, 9, 3), np.uint8))
    with pytest.raises(InputError, match=r"00001.npy: holds uint8\[4, 8, 9, 3\]"):
        face_crops.Faces(folder, "train")[1]
    (folder / "train" / "00001.npy").unlink()
    with pytest.raises(InputError, match="not readable"):
        face_crops.Faces(folder, "train")[1]
    (folder / "train" / "faces.npz").write_bytes(b"no")
    with pytest.raises(InputError, match="not readable"):
        face_crops.Faces(folder, "train")


def test_a_folder_without_videos_is_refused(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match="no videos"):
        face_crops.build(tmp_path / "out", face_crops.Source(64, videos=str(tmp_path)))
    assert not (tmp_path / "out").exists()


def test_clips_without_a_face_are_left_out(tmp_path, write_video):
    pytest.importorskip("av")
    pytest.importorskip("ai_edge_litert")
    for split in ("train", "eval"):
        (tmp_path / "in" / split).mkdir(parents=True)
        write_video(tmp_path / "in" / split / "grey.mp4", [90, 100, 110])
    with pytest.raises(InputError, match="no clip of the split 'train' can be used .a face in 0 of 3 frames"):
        face_crops.build(tmp_path / "out", face_crops.Source(64, frames=8, videos=str(tmp_path / "in")))
    assert not (tmp_path / "out").exists()
