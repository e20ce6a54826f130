"""The renderer, on a drawn face whose landmarks are the mean face's: no tracker and no downloads needed."""

import warnings
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.codec.face.channels import CHANNELS, USUAL, USUAL_HIGH, USUAL_LOW, channel
from afjax.codec.face.render import renderer
from afjax.codec.face.render.fields import OVAL, outside
from afjax.codec.face.render.limits import LIMITS, lid_closure, shown
from afjax.codec.face.render.portrait import make_identity, portrait_crop, without_background
from afjax.codec.face.render.renderer import CHUNK, render, render_frames
from afjax.codec.face.track.template import load_template
from afjax.errors import InputError, InputWarning

SIDE, UNIT, SIZE = 320, 66.0, 256
RNG = np.random.default_rng
LIMIT_LOW, LIMIT_HIGH = (np.array([LIMITS[name][end] for name in CHANNELS], np.float32) for end in (0, 1))


def drawn_portrait():
    """A flat face with dark eyes, brows and a lip line on a striped wall, and its exact landmarks."""
    mesh = load_template() * UNIT + [SIDE / 2, SIDE / 2, 0]
    contours = np.zeros((2, 71, 3))
    for eye, (outer, inner) in enumerate(((33, 133), (263, 362))):
        middle, half = (mesh[outer] + mesh[inner]) / 2, (mesh[inner] - mesh[outer])[:2] / 2
        angle = np.linspace(np.pi, 0, 9)
        lower = np.stack([np.cos(angle), 0.4 * np.sin(angle)], -1)
        upper = np.stack([np.cos(angle), -0.5 * np.sin(angle)], -1)[1:8]
        points = np.concatenate([lower, upper])
        reach = np.linalg.norm(half)
        contours[eye, :16, :2] = middle[:2] + points * [half[0], reach]
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    pixels = np.stack([x, y], -1).reshape(-1, 2)

    def inside(polygon):
        return (outside(pixels, polygon) < 0).reshape(SIDE, SIDE)

    image = np.stack([120 + 30 * np.sin(x / 9), 140 + 20 * np.sin(y / 13), np.full_like(x, 150)], -1)
    image[inside(mesh[list(OVAL), :2])] = (214, 168, 140)
    shade = 1 + 0.06 * np.sin(x / 17) * np.cos(y / 11)
    for brow in ((70, 63, 105, 66, 107, 55, 65, 52, 53, 46), (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)):
        image[inside(mesh[list(brow), :2])] = (70, 45, 35)
    ring = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
    image[inside(mesh[list(ring), :2])] = (180, 90, 90)
    # The lip line lies on the lower inner lip, which is where a seam is expected.
    line = np.interp(x[0], mesh[[78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308], 0],
                     mesh[[78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308], 1])  # fmt: skip
    within = (x > mesh[78, 0]) & (x < mesh[308, 0])
    image[within & (np.abs(y - line) < 1.2)] = (90, 30, 30)
    for eye, (outer, inner) in enumerate(((33, 133), (263, 362))):
        image[inside(contours[eye, [*range(9), *range(15, 8, -1)], :2])] = (240, 240, 240)
        middle = (mesh[outer] + mesh[inner])[:2] / 2
        image[np.hypot(x - middle[0], y - middle[1]) < 4.5] = (40, 30, 20)
    image = np.clip(image * shade[..., None], 0, 255).astype(np.uint8)
    return image, SimpleNamespace(mesh=mesh, eyes=contours)


@pytest.fixture(scope="module")
def portrait():
    return drawn_portrait()


@pytest.fixture(scope="module")
def identity(portrait):
    return make_identity(*portrait, size=SIZE)


def motion(**values):
    row = np.zeros(len(CHANNELS), np.float32)
    for name, value in values.items():
        row[channel(name)] = value
    return row


def at(identity, portrait, index):
    """Where mesh point `index` lies in the crop, in pixels."""
    left, top, side = identity.box
    return (portrait[1].mesh[index, :2] + 0.5 - [left, top]) * SIZE / side - 0.5


def region(centre, radius):
    y, x = np.mgrid[:SIZE, :SIZE]
    return np.hypot(x - centre[0], y - centre[1]) < radius


@pytest.fixture(scope="module")
def shots(identity):
    """Frames by name, all from one call, so that the tests share their rendering."""
    wanted = {"rest": motion(), "jaw": motion(jaw_open=0.2), "blink": motion(blink=1.0), "half": motion(blink=0.5)}
    wanted |= {name: motion(**{name: USUAL[name][1]}) for name in CHANNELS if name not in ("jaw_open", "blink")}
    frames = render(identity, np.stack(list(wanted.values())))
    return dict(zip(wanted, frames.astype(np.float32), strict=True))


def test_rest_is_the_crop(identity, portrait):
    crop = portrait_crop(portrait[0], identity.box, 2 * SIZE).reshape(SIZE, 2, SIZE, 2, 3).mean((1, 3))
    frames = np.asarray(render_frames(identity, np.zeros((CHUNK, 15), np.float32)))
    assert np.abs(frames - crop).max() <= 0.5


def test_the_edge_goes_on_outside_of_a_picture_and_nothing_is_mirrored():
    image = RNG(0).integers(0, 256, (8, 8, 3), np.uint8)
    crop = portrait_crop(image, np.array([-4.0, 0.0, 16.0]), 16)
    np.testing.assert_allclose(crop[:8, 4:12], image, atol=1e-3)
    np.testing.assert_allclose(crop[:8, :4], np.broadcast_to(image[:, :1], (8, 4, 3)), atol=1e-3)
    np.testing.assert_allclose(crop[8:, 4:12], np.broadcast_to(image[-1:], (8, 8, 3)), atol=1e-3)


def test_a_tight_head_shot_is_framed_closer_and_a_cut_off_face_is_said(portrait):
    image, landmarks = portrait
    top, left = (landmarks.mesh[:, 1::-1].min(0) - 25).astype(int)
    bottom, right = (landmarks.mesh[:, 1::-1].max(0) + 25).astype(int)

    def cropped(top, left, bottom, right):
        moved = SimpleNamespace(mesh=landmarks.mesh - (left, top, 0), eyes=landmarks.eyes - (left, top, 0))
        return make_identity(image[top:bottom, left:right], moved, size=SIZE)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        near = cropped(top, left - 30, bottom, right + 30)
    assert near.box[2] <= bottom - top and near.box[1] >= 0
    with pytest.warns(InputWarning, match="fills the portrait"):
        cropped(top, left + 30, bottom, right - 30)


@pytest.mark.parametrize(
    ("name", "points", "still"),
    [
        ("blink", (33, 133, 159), (13, 17, 61)),
        ("gaze_x", (33, 133, 159), (13, 105, 61)),
        ("brow_raise", (105, 334), (13, 61, 152)),
        ("brow_furrow", (55, 285), (13, 61, 152)),
        ("smile", (61, 291), (105, 168)),
        ("mouth_width", (61, 291), (105, 133, 159)),
        ("upper_lip", (13, 0), (152, 105, 133)),
        ("jaw", (14, 17, 152), (105, 133, 168)),
    ],
)
def test_channel_moves_its_own_part_only(name, points, still, identity, portrait, shots):
    change = np.abs(shots[name] - shots["rest"]).max(-1)
    assert max(change[region(at(identity, portrait, index), 7)].max() for index in points) > 20
    for index in still:
        assert change[region(at(identity, portrait, index), 3)].max() <= 3, index


def test_jaw_parts_the_lips_by_its_own_measure(identity, portrait, shots):
    seam = (at(identity, portrait, 13) + at(identity, portrait, 14)) / 2
    x = int(round(seam[0]))
    changed = shots["jaw"][:, x].mean(-1)
    rest = shots["rest"][:, x].mean(-1)
    rows = slice(int(seam[1]) - 4, int(seam[1]) + 30)
    # Lip and skin are brighter than 95 at rest: what is darker, or whiter than any lip, is the mouth's inside.
    red = (shots["jaw"][rows, x, 0] - shots["jaw"][rows, x, 2]) / np.maximum(changed[rows], 1)
    inside = (changed[rows] < 95) | (red < 0.3)
    expected = 0.2 * float(identity.unit)
    assert (rest[rows] < 95).sum() <= 4
    assert expected * 0.6 <= inside.sum() <= expected * 1.4


def test_lids_close(identity, portrait, shots):
    for outer, inner in ((33, 133), (263, 362)):
        middle = (at(identity, portrait, outer) + at(identity, portrait, inner)) / 2
        eye = region(middle, 3)
        skin = shots["rest"][region(at(identity, portrait, 50), 4)].mean(0)
        far = {name: np.abs(shots[name][eye] - skin).mean() for name in ("rest", "blink")}
        assert far["blink"] < 25 < far["rest"]


def test_pose_moves_the_face_the_documented_way(identity, portrait, shots):
    def centre(frame, index, dark):
        """Centroid of the brows (dark) or of the lips (red) within 45 pixels of where a point rests."""
        excess = 110 - frame.mean(-1) if dark else 0.62 * frame[..., 0] - frame[..., 1]
        weight = np.where(region(at(identity, portrait, index), 45), np.clip(excess, 0, 60), 0)
        y, x = np.mgrid[:SIZE, :SIZE]
        return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()

    brows, lips = ({name: centre(shots[name], *where) for name in shots} for where in ((9, True), (13, False)))
    assert 10 < (brows["tx"] - brows["rest"])[0] < 24
    assert 12 < (brows["ty"] - brows["rest"])[1] < 24
    assert (lips["yaw"] - lips["rest"])[0] > 2
    assert (lips["pitch"] - lips["rest"])[1] > 2
    assert (brows["roll"] - lips["roll"])[0] - (brows["rest"] - lips["rest"])[0] > 8  # clockwise: the top goes right


def test_background_stays_still_when_the_head_moves(identity, portrait, shots):
    matte = identity.texture.reshape(SIZE, 2, SIZE, 2, 4).mean((1, 3))[..., 3]
    assert all(matte[tuple(at(identity, portrait, index).round().astype(int)[::-1])] == 1 for index in (1, 13, 9, 152))
    oval = np.stack([at(identity, portrait, index) for index in OVAL])
    y, x = np.mgrid[:SIZE, :SIZE]
    away = outside(np.stack([x, y], -1).reshape(-1, 2).astype(float), oval).reshape(SIZE, SIZE)
    wall = (away > 45) & (y < at(identity, portrait, 9)[1])
    assert wall.sum() > 2000
    for name in ("roll", "tx", "scale"):
        change = np.abs(shots[name] - shots["rest"]).max(-1)
        assert np.percentile(change[wall], 98) <= 2, name
        assert np.percentile(change[away < 0], 80) > 3, name


def test_nothing_of_the_wall_stays_without_background():
    """Beside the shoulders, too, where the wall moves with the person otherwise."""
    image, face = drawn_portrait()
    y, x = np.mgrid[:SIDE, :SIDE]
    face_or_wall = outside(np.stack([x, y], -1).reshape(-1, 2), face.mesh[list(OVAL), :2]).reshape(SIDE, SIDE)
    chin = face.mesh[152, 1]
    body = (y > chin - 20) & (np.abs(x - SIDE / 2) < 40 + np.clip(y - chin - 8, 0, None)) & (face_or_wall > 0)
    image[face_or_wall > 0] = (170, 180, 190)
    image[body] = (40, 50, 90)
    identity = make_identity(image, face, SIZE)
    alone, moved = without_background(identity).texture[..., 3], identity.texture[..., 3]
    shown = portrait_crop(image, identity.box, len(moved))
    wall = np.abs(shown - (170, 180, 190)).max(-1) < 8
    low = np.mgrid[: len(moved), : len(moved)][0] > 0.9 * len(moved)
    assert moved[wall & low].mean() > 0.9, "there is something to leave out"
    assert alone[wall & low].mean() < 0.1 and alone[wall].mean() < 0.1
    assert alone[~wall].mean() > 0.95


def test_batch_equals_single_and_is_deterministic(identity):
    clip = RNG(1).uniform(USUAL_LOW, USUAL_HIGH, (CHUNK + 3, 15)).astype(np.float32)
    frames = render(identity, clip)
    assert np.array_equal(frames, render(identity, clip))
    for index in (0, 4, CHUNK + 2):
        single = render(identity, clip[index : index + 1])[0].astype(int)
        assert np.abs(single - frames[index]).max() <= 1


def test_finite_however_far_motion_goes(identity):
    far = np.stack([LIMIT_LOW, LIMIT_HIGH])
    clip = np.concatenate([20 * far, 1000 * far]).astype(np.float32)
    clip = np.concatenate([clip, RNG(2).uniform(2 * LIMIT_LOW, 2 * LIMIT_HIGH, (CHUNK - 4, 15))]).astype(np.float32)
    frames = np.asarray(render_frames(identity, clip))
    assert np.isfinite(frames).all() and frames.min() >= 0 and frames.max() <= 255
    np.testing.assert_allclose(frames[:2], frames[2:4], atol=0.1)


def test_motion_is_followed_to_its_limits():
    steps = np.linspace(-3, 3, 121, dtype=np.float32)[:, None]
    asked = np.where(steps < 0, -steps * LIMIT_LOW, steps * LIMIT_HIGH)
    seen = np.asarray(shown(jnp.asarray(asked), 0.0, 0.0))
    usual = np.abs(steps[:, 0]) <= 0.75
    np.testing.assert_allclose(seen[usual], asked[usual], atol=1e-5)
    assert (seen <= LIMIT_HIGH + 1e-6).all() and (seen >= LIMIT_LOW - 1e-6).all()
    assert (np.diff(seen, axis=0) >= 0).all()
    closing, laughing = motion(jaw_open=-0.2), motion(smile=0.3)
    assert shown(closing, 0.0, 0.0)[channel("jaw_open")] >= -0.05
    assert shown(closing, 0.2, 0.0)[channel("jaw_open")] < -0.18, "a mouth that is open can close"
    assert shown(laughing, 0.0, 0.1)[channel("smile")] < shown(laughing, 0.0, 0.0)[channel("smile")] - 0.09


def test_lids_are_drawn_ahead_of_their_channel_and_the_rest_as_it_is():
    steps = np.linspace(0, 1, 21)
    asked = np.stack([motion(blink=step, smile=0.1, jaw_open=0.2, yaw=-20) for step in steps])
    seen = np.array(lid_closure(jnp.asarray(asked)))
    lids = seen[:, channel("blink")].copy()
    np.testing.assert_allclose(lids[[0, -1]], [0, 1], atol=1e-6)
    assert (np.diff(lids) > 0).all() and (np.diff(lids, 2) < 1e-6).all() and 0.6 < lids[10] < 0.7
    seen[:, channel("blink")] = asked[:, channel("blink")]
    np.testing.assert_array_equal(seen, asked)


def test_a_grey_portrait_stays_grey(portrait):
    grey = np.repeat(portrait[0].mean(-1, keepdims=True), 3, -1).astype(np.uint8)
    frames = render(make_identity(grey, portrait[1], size=SIZE), np.stack([motion(jaw_open=0.25, smile=0.1)]))
    assert np.ptp(frames[0].astype(int), axis=-1).max() < 6
    colour = render(make_identity(*portrait, size=SIZE), np.stack([motion(jaw_open=0.25)]))
    assert np.ptp(colour[0].astype(int), axis=-1).max() > 40


def test_one_compilation_serves_any_length(identity):
    render(identity, np.zeros((1, 15), np.float32))
    before = renderer._frames._cache_size()
    for length in (2, CHUNK, 2 * CHUNK + 1):
        assert len(render(identity, np.zeros((length, 15), np.float32))) == length
    assert renderer._frames._cache_size() == before
    assert render(identity, np.zeros((0, 15), np.float32)).shape == (0, SIZE, SIZE, 3)


@pytest.mark.slow
def test_gradients_agree_with_finite_differences(identity):
    names = ("yaw", "jaw_open", "smile", "brow_raise", "blink")
    start = motion(yaw=4, jaw_open=0.1, smile=0.01, brow_raise=0.02, blink=0.4, pitch=2)
    goal = start + motion(yaw=6, jaw_open=0.08, smile=0.06, brow_raise=0.05, blink=0.4)

    def pooled(row):
        frame = render_frames(identity, row[None])[0]
        return frame.reshape(SIZE // 8, 8, SIZE // 8, 8, 3).mean((1, 3))

    target = pooled(jnp.asarray(goal))
    score = jax.jit(jax.value_and_grad(lambda row: ((pooled(row) - target) ** 2).mean()))
    gradient = np.asarray(score(start)[1])
    assert np.isfinite(gradient).all()
    for name in names:
        index = channel(name)
        step = np.eye(15, dtype=np.float32)[index] * 0.02 * (USUAL_HIGH - USUAL_LOW)[index]
        slope = (score(start + step)[0] - score(start - step)[0]) / (2 * step[index])
        assert gradient[index] != 0
        assert np.sign(gradient[index]) == np.sign(slope), name
        assert abs(gradient[index] - slope) < 0.35 * abs(slope), name


def test_small_face_is_refused(portrait):
    image, landmarks = portrait
    tiny = SimpleNamespace(mesh=landmarks.mesh * 0.1, eyes=landmarks.eyes * 0.1)
    with pytest.raises(InputError, match="pixels high"):
        make_identity(image, tiny)
