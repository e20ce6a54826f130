"""FID, FVD, CSIM and LSE of features that are known, and the names of what stands in for them."""

import numpy as np
import pytest

from afjax.metrics.pretrained import faces, stand_ins
from afjax.metrics.table.pictures import NO_PORTRAIT, NO_RECORDED, NO_SOUND, of_pictures

CLIPS, FRAMES = 7, 40
GROUPS = np.arange(CLIPS)
ALL = ("inception", "i3d", "arcface", "syncnet_lips", "syncnet_sound")


def clip(seed, late=0):
    """Features of a video whose mouth is `late` frames behind its sound, few numbers each."""
    rng = np.random.default_rng(seed)
    sound = rng.normal(size=(FRAMES + 20, 6))
    found = {"inception": rng.normal(size=(FRAMES, 5)), "i3d": rng.normal(size=(3, 4))}
    found |= {"arcface": rng.normal(size=(FRAMES, 3)), "syncnet_sound": sound[10 : FRAMES + 5]}
    found |= {"syncnet_lips": sound[10 - late : FRAMES + 5 - late], "thumbnail": rng.random((FRAMES, 192))}
    loud = np.convolve(rng.random(FRAMES + 30), np.ones(3), "same")
    return found | {"envelope": loud[15:-15], "opening": loud[15 - late : len(loud) - 15 - late]}


def rows(**lates):
    return {row: [clip(n, late) for n in range(CLIPS)] for row, late in lates.items()}


def portraits(kind="arcface"):
    return [{kind: np.array([1.0, 0.0, 0.0])} for _ in range(CLIPS)]


def test_famous_networks_give_famous_names():
    table, missing = of_pictures(rows(recorded=0, model=4), portraits(), ALL, GROUPS)
    assert not missing and set(table["model"]) == {"FID", "FVD", "CSIM", "LSE-D", "LSE-C", "sync-lag"}
    assert table["model"]["FID"]["mean"] < 1e-9 and table["model"]["FID"]["rows"] == CLIPS * FRAMES
    assert "FID" not in table["recorded"]
    assert table["model"]["sync-lag"]["mean"] == 4.0 and table["recorded"]["sync-lag"]["mean"] == 0.0
    assert table["recorded"]["LSE-D"]["mean"] < 1e-9 < table["recorded"]["LSE-C"]["mean"]


def test_a_shift_of_all_features_is_its_square():
    both = rows(recorded=0, model=0)
    for each in both["model"]:
        each["inception"] = each["inception"] + [3.0, 4.0, 0.0, 0.0, 0.0]
    table, _ = of_pictures(both, portraits(), ALL, GROUPS)
    np.testing.assert_allclose(table["model"]["FID"]["mean"], 25.0, rtol=1e-6)
    assert table["model"]["FVD"]["mean"] < 1e-9


def test_cosines_with_the_portrait_and_frames_without_a_face():
    both = rows(model=0)
    for each in both["model"]:
        each["arcface"] = np.array([[0.6, 0.8, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    table, missing = of_pictures(both, portraits(), ALL, GROUPS)
    np.testing.assert_allclose(table["model"]["CSIM"]["mean"], 0.4)
    assert missing == {"FID": NO_RECORDED, "FVD": NO_RECORDED}


@pytest.mark.parametrize("late", [0, 3])
def test_without_networks_stand_ins_have_names_of_their_own(late):
    table, missing = of_pictures(rows(recorded=0, model=late), [{} for _ in range(CLIPS)], (), GROUPS)
    names = {"FD-thumbnail", "FD-thumbnail-motion"}
    names |= {"sync-distance-opening", "sync-confidence-opening", "sync-lag-opening"}
    assert set(table["model"]) == names and table["model"]["sync-lag-opening"]["mean"] == late
    assert missing["FID"] == "no inception.onnx among the networks" and missing["CSIM"]
    assert set(missing) == {"FID", "FVD", "CSIM", "LSE-D", "LSE-C"}
    described = [{"dlib": np.ones(4)} for _ in range(CLIPS)]
    both = rows(model=0)
    for each in both["model"]:
        each["dlib"] = np.ones((2, 4))
    table, missing = of_pictures(both, described, (), GROUPS)
    assert table["model"]["CSIM-dlib"]["mean"] == pytest.approx(1.0) and "arcface" in missing["CSIM"]


def test_what_videos_lack_is_said():
    mute = rows(recorded=0, model=0)
    for each in [each for found in mute.values() for each in found]:
        for name in ("syncnet_lips", "syncnet_sound"):
            del each[name]
    table, missing = of_pictures(mute, [{} for _ in range(CLIPS)], ALL, GROUPS)
    assert missing == {"CSIM": NO_PORTRAIT, "LSE-D": NO_SOUND, "LSE-C": NO_SOUND}
    one = {
        row: [dict(each, i3d=np.zeros((0, 4))) for each in found] for row, found in rows(recorded=0, model=0).items()
    }
    assert of_pictures(one, portraits(), ALL, GROUPS)[1] == {"FVD": "the videos are too short"}


def test_thumbnails_are_means_of_cells():
    pictures = np.zeros((2, 20, 12, 3), np.uint8)
    pictures[1, :, 6:, 0] = 255
    found = stand_ins.thumbnails(pictures).reshape(2, 8, 8, 3)
    assert not found[0].any() and (found[1, :, 4:, 0] == 1).all() and not found[1, :, :4].any()
    still = stand_ins.thumbnail_motion(np.tile(found[1].reshape(1, 192), (33, 1)))
    assert still.shape == (2, 128) and not still[:, 64:].any() and still[:, :64].max() == pytest.approx(0.299)


def test_squares_follow_the_face_without_its_jitter():
    boxes = np.tile([40.0, 30.0, 80.0, 90.0], (40, 1))
    boxes[20] += 25.0  # a single frame that is off
    squares = faces.sync_squares(boxes)
    np.testing.assert_allclose(squares, np.tile([60 - 42.0, 30.0, 84.0], (40, 1)))
    picture = np.full((60, 60, 3), 200, np.uint8)
    cut = faces.sync_crop(picture, np.array([30.0, -30.0, 60.0]))
    assert cut.shape == (224, 224, 3) and cut[10, 100, 0] == faces.GREY and cut[200, 20, 0] == 200


def test_gaps_are_bridged():
    rows = np.array([[np.nan] * 2, [1.0, 2.0], [np.nan] * 2, [3.0, 6.0], [np.nan] * 2])
    assert faces.bridged(rows).tolist() == [[1, 2], [1, 2], [2, 4], [3, 6], [3, 6]]
