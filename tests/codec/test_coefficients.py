import numpy as np
import pytest

from afjax.codec.face.channels import CHANNELS, HIGH, channel
from afjax.codec.face.track.coefficients import GAIN, MIN_OPENING, RAW, RunningNeutral, measure, neutral_of, relative
from afjax.codec.face.track.make_template import make_template
from afjax.codec.face.track.mesh import FaceLandmarks
from afjax.codec.face.track.smoothing import OneEuro, fill_gaps
from afjax.codec.face.track.template import RIGID, angles, load_template, mirror_table, rotation, similarity

SCALE = 100.0


def eye(centre, opening, look=(0.0, 0.0), outer=-1):
    """Contour `[71, 3]` and iris `[5, 2]` of an eye 20 px wide with flat lids; `outer` = -1 at the image's left."""
    contour = np.zeros((71, 3), np.float32)
    contour[:9, 0] = np.linspace(outer * 10, -outer * 10, 9)
    contour[9:16, 0] = np.linspace(outer * 8, -outer * 8, 7)
    contour[1:8, 1], contour[9:16, 1] = 10 * opening, -10 * opening
    contour[:, :2] += centre
    iris = np.tile(np.array(centre) + 20 * np.array(look), (5, 1)).astype(np.float32)
    return contour, iris


def landmarks(mesh, openings=(0.3, 0.3), look=(0.0, 0.0)):
    pairs = [eye((100 + 60 * side, 100), openings[side], look, (-1, 1)[side]) for side in (0, 1)]
    contours, irises = (np.stack(each) for each in zip(*pairs, strict=True))
    return FaceLandmarks(mesh.astype(np.float32), contours, irises, 1.0)


def raw_of(mesh, **kwargs):
    return dict(zip(RAW, measure(landmarks(mesh, **kwargs), 400, load_template()), strict=True))


def test_similarity_recovers_a_known_pose():
    points = np.random.default_rng(0).normal(size=(20, 3))
    turn = rotation(20, -12, 8)
    pose = similarity(points, 7 * points @ turn.T + (1, 2, 3))
    np.testing.assert_allclose(pose.rotation, turn, atol=1e-12)
    np.testing.assert_allclose([pose.scale, *pose.translation], [7, 1, 2, 3], atol=1e-10)


@pytest.mark.parametrize("each", [(24, 14, -13), (-24, -3, 9), (0, 0, 0)])
def test_angles_invert_rotation(each):
    np.testing.assert_allclose(angles(rotation(*each)), each, atol=1e-12)


def test_positive_angles_turn_the_nose_right_down_and_the_head_clockwise():
    nose, right = np.array([0, 0, -1.0]), np.array([1.0, 0, 0])
    assert (rotation(10, 0, 0) @ nose)[0] > 0
    assert (rotation(0, 10, 0) @ nose)[1] > 0
    assert (rotation(0, 0, 10) @ right)[1] > 0


def test_template_is_symmetric_with_unit_eye_distance():
    face = load_template()
    table = mirror_table(face)
    np.testing.assert_array_equal(table[table], np.arange(468))
    np.testing.assert_allclose(face, face[table] * (-1, 1, 1), atol=1e-6)
    assert np.linalg.norm(face[33] - face[263]) == pytest.approx(1)
    np.testing.assert_allclose(face[RIGID].mean(0), 0, atol=1e-6)


def test_make_template_undoes_pose_and_size():
    face = load_template()
    again = make_template((80 * face @ rotation(3, 0, 5).T + (200, 150, 0)).astype(np.float32))
    np.testing.assert_allclose(again, face, atol=0.02)


def test_pose_is_measured_in_degrees_and_frame_widths():
    turn = rotation(15, -8, 5)
    raw = raw_of(SCALE * load_template() @ turn.T + (200, 120, 0))
    np.testing.assert_allclose([raw["yaw"], raw["pitch"], raw["roll"]], [15, -8, 5], atol=1e-3)
    np.testing.assert_allclose([raw["tx"], raw["ty"], raw["scale"]], [0.5, 0.3, 0.25], atol=1e-5)


def test_mouth_and_brows_are_measured_in_canonical_units_whatever_the_pose():
    face, moved = load_template(), load_template()
    moved[[14, 87, 317], 1] += 0.1
    moved[[61, 291], 0] += (-0.03, 0.03)
    moved[[105, 66, 107, 63, 334, 296, 336, 293], 1] -= 0.04
    place = SCALE * rotation(12, 9, -6)
    before, after = raw_of(face @ place.T + 100), raw_of(moved @ place.T + 100)
    rise = {name: after[name] - before[name] for name in RAW}
    assert rise["lip_gap"] == pytest.approx(0.1, abs=1e-4)
    assert rise["mouth_width"] == pytest.approx(0.06, abs=1e-4)
    assert rise["brow_raise"] == pytest.approx(0.04, abs=1e-4)
    assert rise["yaw"] == pytest.approx(0, abs=1e-3)


def test_lids_and_gaze_are_measured_in_eye_widths():
    raw = raw_of(SCALE * load_template(), openings=(0.3, 0.2), look=(0.1, -0.05))
    np.testing.assert_allclose([raw["opening_left"], raw["opening_right"]], [0.3, 0.2], atol=1e-5)
    np.testing.assert_allclose([raw["gaze_x"], raw["gaze_y"]], [0.1, -0.05], atol=1e-5)


def rest(**changes):
    values = dict.fromkeys(RAW, 0.0) | {"scale": 0.25, "opening_left": 0.4, "opening_right": 0.4} | changes
    return np.array([values[name] for name in RAW])


def test_the_neutral_itself_is_zero_motion():
    np.testing.assert_array_equal(relative(rest(), rest()), np.zeros(len(CHANNELS)))


def test_blink_is_the_mean_closure_and_full_when_closed():
    def blink(**openings):
        return relative(rest(**openings), rest())[channel("blink")]

    assert blink(opening_left=0.02, opening_right=0.02) == 1
    assert blink(opening_left=0.4, opening_right=0.02) == pytest.approx(0.5)
    assert blink(opening_left=0.37, opening_right=0.37) == 0
    assert blink(opening_left=0.24, opening_right=0.24) == pytest.approx(0.5)


def test_an_eye_that_never_opens_is_left_out():
    hidden = rest(opening_left=0.1)
    assert relative(rest(opening_left=0.0), hidden)[channel("blink")] == 0
    assert relative(rest(opening_left=0.1, opening_right=0.0), hidden)[channel("blink")] == 1


def test_motion_is_clamped_and_scale_is_relative():
    motion = relative(np.stack([rest(yaw=90), rest(scale=0.26)]), rest())
    assert motion[0, channel("yaw")] == HIGH[channel("yaw")]
    assert motion[1, channel("scale")] == pytest.approx(0.04)


def test_jaw_opens_with_gap_and_height_and_allows_for_pitch():
    def jaw(**changes):
        return relative(rest(**changes), rest())[channel("jaw_open")] / GAIN["jaw_open"]

    assert jaw(lip_gap=0.05, lip_height=0.03) == pytest.approx(0.04)
    assert jaw(lip_gap=0.05, lip_height=0.05, pitch=10) == pytest.approx(0.05 / 0.7)
    assert jaw(pitch=10) == 0


def test_a_smile_lifts_cheeks_and_lip_and_a_stretched_mouth_is_hardly_one():
    def smile(**moves):
        face = load_template()
        for indices, shift in moves.values():
            face[indices] += shift
        return raw_of(SCALE * face)["smile"] - raw_of(SCALE * load_template())["smile"]

    lifted = dict(cheeks=([50, 280, 205, 425], (0, -0.03, 0)), lip=([13, 82, 312], (0, -0.03, 0)))
    stretched = dict(left=(61, (-0.03, 0, 0)), right=(291, (0.03, 0, 0)))
    assert smile(**lifted) > 0.4 and smile(**stretched) < 0.15


def test_what_a_smile_does_to_the_mouth_is_no_width_of_its_own():
    smiling = relative(rest(mouth_width=0.07, smile=0.1), rest())
    assert smiling[channel("smile")] == pytest.approx(0.1) and smiling[channel("mouth_width")] == pytest.approx(0)
    narrow = relative(rest(mouth_width=-0.05), rest())
    assert narrow[channel("smile")] == 0 and narrow[channel("mouth_width")] == pytest.approx(-0.05)


def test_neutral_of_a_clip():
    clip = np.stack([rest(yaw=n, lip_gap=n / 100) for n in range(101)])
    clip[:, RAW.index("opening_left")] = 0.05
    neutral = dict(zip(RAW, neutral_of(clip), strict=True))
    assert neutral["yaw"] == 50
    assert neutral["lip_gap"] == pytest.approx(0.1)
    assert neutral["opening_left"] == MIN_OPENING
    assert neutral["opening_right"] == pytest.approx(0.4)


def test_running_neutral_is_causal_and_reaches_the_clip_neutral():
    clip = np.random.default_rng(1).normal(rest(), 0.1, (70, len(RAW)))
    running = RunningNeutral(length=50)
    seen = [running.update(row) for row in clip]
    np.testing.assert_array_equal(seen[0], neutral_of(clip[:1]))
    np.testing.assert_array_equal(seen[4], neutral_of(clip[:5]))
    np.testing.assert_array_equal(seen[-1], neutral_of(clip[-50:]))


def test_short_gaps_are_interpolated_and_long_ones_rest():
    motion = np.arange(30, dtype=np.float32)[:, None] + 1
    found = np.ones(30, bool)
    found[4:7] = found[12:24] = False
    filled = fill_gaps(np.where(found[:, None], motion, 99), found, bridge=4, fade=3)[:, 0]
    np.testing.assert_allclose(filled[:12], motion[:12, 0], rtol=1e-6)
    np.testing.assert_array_equal(filled[15:21], 0)
    np.testing.assert_allclose(filled[12:15], 12 * np.array([2 / 3, 1 / 3, 0]), atol=1e-5)
    np.testing.assert_allclose(filled[21:24], 25 * np.array([0, 1 / 3, 2 / 3]), atol=1e-5)


def test_gaps_at_the_ends_rest():
    found = np.array([False] * 5 + [True] * 3 + [False] * 5)
    filled = fill_gaps(np.ones((13, 2), np.float32), found, bridge=9, fade=2)[:, 0]
    np.testing.assert_allclose(filled, [0, 0, 0, 0, 0.5, 1, 1, 1, 0.5, 0, 0, 0, 0])


def test_one_euro_quiets_noise_and_follows_fast_motion():
    noise = np.random.default_rng(0).normal(0, 0.1, (300, 1))
    still = OneEuro(25.0)
    assert np.std([still(row) for row in noise][20:]) < 0.7 * np.std(noise)
    fast = OneEuro(25.0)
    ramp = np.arange(0, 40.0, 2)[:, None]  # 50 degrees a second
    assert ramp[-1, 0] - [fast(row) for row in ramp][-1][0] < 2 * 1.5  # at most 1.5 frames late
