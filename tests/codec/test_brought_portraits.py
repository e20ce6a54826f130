"""Portraits as people bring them: turned, tight, with a wall behind, several faces, an open mouth, closed eyes.

All are made of scikit-image's photograph.
"""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from afjax.codec.face.channels import CHANNELS, channel
from afjax.codec.face.codec import FaceCodec
from afjax.codec.face.render.fields import outside
from afjax.codec.face.render.portrait import make_identity
from afjax.codec.face.render.renderer import render_frames
from afjax.codec.face.render.seam import LOWER_INNER_LIP, UPPER_INNER_LIP
from afjax.codec.face.track.mesh import landmarks_of
from afjax.codec.face.track.portraits import portrait_face
from afjax.errors import InputError, InputWarning

pytest.importorskip("ai_edge_litert")
data = pytest.importorskip("skimage.data")
CODEC = FaceCodec()


@pytest.fixture(scope="module")
def photograph():
    return data.astronaut()[:340, 55:395]


def motion(**values):
    row = np.zeros((1, len(CHANNELS)), np.float32)
    for name, value in values.items():
        row[0, channel(name)] = value
    return row


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_portrait_is_set_upright(photograph, turn):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = portrait_face(np.ascontiguousarray(np.rot90(photograph, turn)))
    np.testing.assert_array_equal(found.image, photograph)
    assert [each.category for each in said] == [InputWarning] * (turn > 0)


def test_of_several_faces_one_is_said_or_chosen(photograph):
    both = np.concatenate([photograph, photograph[:, ::-1]], axis=1)
    with pytest.warns(InputWarning, match="2 faces: the largest is used"):
        largest = portrait_face(both).landmarks.mesh
    first, second = (portrait_face(both, face=n).landmarks.mesh for n in (1, 2))
    assert first[:, 0].max() < 340 < second[:, 0].min()
    assert any(np.array_equal(each, largest) for each in (first, second))
    with pytest.raises(InputError, match="no face 3: 2 faces"):
        portrait_face(both, face=3)


def test_a_small_face_in_a_wide_group_is_found(photograph):
    """A face of a fifteenth of the picture's width, between two large ones."""
    small = np.full((340, 340, 3), 128, np.uint8)
    small[100:270, 64:234] = photograph[::2, ::2]
    wide = np.concatenate([photograph, small, photograph[:, ::-1]], axis=1)
    with pytest.warns(InputWarning, match="3 faces: the largest is used"):
        portrait_face(wide)
    middle = portrait_face(wide, face=2).landmarks.mesh[:, :2].mean(0)
    own = portrait_face(photograph).landmarks.mesh[:, :2].mean(0)
    assert np.hypot(*(middle - (own / 2 + [340 + 64, 100]))) < 4


def test_a_wall_stands_still_while_the_head_rolls(photograph):
    """A wall of tiles behind the head: what differs from plain grey in the middle of the picture is the person."""
    tiled = photograph.copy()
    grey = np.ptp(tiled.astype(int), axis=-1) < 45
    wall = grey & (tiled.mean(-1) > 140)
    wall[185:] = False
    lines = np.zeros_like(wall)
    lines[::24], lines[1::24], lines[:, ::24], lines[:, 1::24] = True, True, True, True
    tiled[wall & lines] = (60, 50, 50)
    identity = CODEC.identity(tiled)
    rest, rolled = CODEC.render(identity, np.concatenate([motion(), motion(roll=-10)])).astype(int)
    changed = np.abs(rolled - rest).max(-1)[40:140] > 25
    assert changed[:, :40].mean() < 0.02 and changed[:, -40:].mean() < 0.02
    assert changed[:, 90:160].mean() > 0.1, "the head does move"


def test_a_tight_head_shot_shows_nothing_twice(photograph):
    tight = photograph[15:235, 85:275]
    identity = CODEC.identity(tight)
    left, top, side = identity.box
    assert left >= 0 and top >= 0 and left + side <= tight.shape[1] and top + side <= tight.shape[0]


def test_a_grey_portrait_talks_in_grey(photograph):
    grey = np.repeat(photograph.mean(-1, keepdims=True), 3, -1).astype(np.uint8)
    frames = CODEC.render(CODEC.identity(grey), np.concatenate([motion(jaw_open=0.2), motion(smile=0.1, blink=0.6)]))
    assert np.ptp(frames.astype(int), axis=-1).max() < 12


def test_closed_eyes_are_refused_and_an_open_mouth_is_said(photograph):
    codec = FaceCodec(size=384)
    identity = codec.identity(photograph)
    shown = np.concatenate([motion(blink=1.0), motion(jaw_open=0.3, smile=-0.07)])
    dozing, gaping = np.rint(render_frames(identity, shown)).astype(np.uint8)  # not in chunks of a second
    with pytest.raises(InputError, match="eyes are closed"):
        codec.identity(dozing)
    with pytest.warns(InputWarning, match="mouth is open"):
        codec.identity(gaping)


def test_a_grin_that_shows_its_teeth_is_not_drawn_shut(photograph, monkeypatch):
    """Its teeth would stay in sight as a strip. With dark between the same lips the mouth is an open one."""
    monkeypatch.setattr("afjax.codec.face.render.portrait.GRIN", 1.0)  # the smile alone does not say so
    assert float(CODEC.identity(photograph).shut) == 0
    landmarks = landmarks_of(photograph)
    lips = landmarks.mesh[[*UPPER_INNER_LIP, *LOWER_INNER_LIP[-2:0:-1]], :2]
    y, x = np.mgrid[: photograph.shape[0], : photograph.shape[1]]
    between = outside(np.stack([x, y], -1).reshape(-1, 2), lips).reshape(x.shape) < 0
    dark = np.where(between[..., None], 30, photograph).astype(np.uint8)
    with pytest.warns(InputWarning, match="mouth is open"):
        identity = make_identity(dark, landmarks)
    assert float(identity.shut) > 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert float(make_identity(dark, landmarks, sure=False).shut) == 0


def test_the_inside_of_a_mouth_ends_at_its_corners(photograph):
    """Painted green, none of it is seen in the cheeks, into which the curve between the lips goes on."""
    identity, green = CODEC.identity(photograph), np.array([0, 255, 0], np.float32)
    inside = identity.palette._replace(throat=green, flesh=green, tongue=green, enamel=green)
    frame = CODEC.render(identity._replace(palette=inside), motion(jaw_open=0.2, smile=0.2, blink=0.25))[0].astype(int)
    painted = (frame[..., 1] > 100) & (2 * frame[..., [0, 2]].max(-1) < frame[..., 1])
    at = np.argwhere(painted)[:, ::-1] - np.asarray(identity.mouth.centre)
    along = np.abs(at @ np.asarray(identity.mouth.along)) / float(identity.mouth.half)
    assert painted.sum() > 300 and along.max() < 1.1


def test_a_face_that_the_tracker_doubts_is_said(photograph, monkeypatch):
    def doubted(image, face):
        found = portrait_face(image, face)
        return found._replace(landmarks=replace(found.landmarks, confidence=0.7))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CODEC.identity(photograph)
    monkeypatch.setattr("afjax.codec.face.codec.portrait_face", doubted)
    with pytest.warns(InputWarning, match=r"doubts .*\(0\.70 of 1\)"):
        CODEC.identity(photograph)
