"""The slow mode of the simulator: statistics of the walk, and what it leaves alone."""

import numpy as np
import pytest

from afjax.codec.face.channels import CHANNELS, USUAL_HIGH, USUAL_LOW, channel
from data_pipeline.schema import encode
from data_pipeline.simulate.behaviour import posture
from data_pipeline.simulate.conversation import simulate, streams

SLOW = [channel(name) for name in posture.DEVIATION]


def test_the_walk_is_stationary_with_the_autocorrelation_of_its_two_poles():
    rng = np.random.default_rng(0)
    walks = np.stack([posture.walk(rng, 1500, 20.0) for _ in range(600)])
    np.testing.assert_allclose(walks.std(axis=0), 1.0, atol=0.13)
    assert abs(walks.mean()) < 0.1
    a, b = np.exp(-1 / 500), np.exp(-1 / posture.SETTLE)
    for lag in (25, 125, 500, 1250):
        exact = (a ** (lag + 1) * (1 - b**2) - b ** (lag + 1) * (1 - a**2)) / ((a - b) * (1 + a * b))
        assert (walks[:, lag:] * walks[:, :-lag]).mean() == pytest.approx(exact, abs=0.06)
    assert exact == pytest.approx(np.exp(-2.5), abs=0.01), "beyond the low-pass it is the walk's own decay"


def test_it_glides():
    """Steps from frame to frame are far below a tracker's noise."""
    steps = np.diff(posture.posture(np.random.default_rng(0), 20_000, 15.0), axis=0).std(axis=0)
    assert (steps[SLOW] < 0.01 * (USUAL_HIGH - USUAL_LOW)[SLOW]).all() and steps[channel("yaw")] < 0.07


def test_it_moves_its_channels_by_its_deviations_and_no_others():
    motion = np.stack([posture.posture(np.random.default_rng(seed), 500, 2.0) for seed in range(200)])
    others = [c for c in range(len(CHANNELS)) if c not in SLOW]
    assert not motion[..., others].any()
    np.testing.assert_allclose(motion[..., SLOW].std(axis=(0, 1)), list(posture.DEVIATION.values()), rtol=0.05)
    assert not posture.posture(np.random.default_rng(0), 50, 0.0).any()


def test_the_streams_that_were_there_stay_what_they_were():
    old = ("turns", "people", "user_words", "avatar_words", "user_room", "avatar_room", "user_face", "avatar_face")
    made = streams(5, "eval", 3)
    assert tuple(made)[:8] == old
    for index, name in enumerate(old):
        key = (1, index, 3) if name == "avatar_face" else (1, index)
        expected = np.random.default_rng(np.random.SeedSequence(5, spawn_key=key)).random(4)
        np.testing.assert_array_equal(made[name].random(4), expected)


@pytest.fixture(scope="module")
def three(speaker):
    """A conversation as it always was, with slow postures, and with those of another private stream."""
    return (
        simulate(5, "eval", speaker, 8.0, oracle=1),
        simulate(5, "eval", speaker, 8.0, oracle=1, slow_posture=20.0),
        simulate(5, "eval", speaker, 8.0, private=1, slow_posture=20.0),
    )


def test_a_posture_is_added_to_the_same_conversation(three, speaker):
    plain, slow, _ = three
    assert encode(simulate(5, "eval", speaker, 8.0, oracle=1, slow_posture=0.0)) == encode(plain)
    for name in ("user_features", "avatar_features", "event_frame", "event_response", "avatar_wave"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(slow, name))
    for name, stream in (("user_motion", "user_posture"), ("avatar_motion", "avatar_posture")):
        before, after = getattr(plain, name), getattr(slow, name)
        added = posture.posture(streams(5, "eval", 0)[stream], 200, 20.0)
        inside = (after > USUAL_LOW) & (after < USUAL_HIGH) & (before > USUAL_LOW) & (before < USUAL_HIGH)
        assert inside[:, SLOW].mean() > 0.99
        np.testing.assert_allclose((after - before)[inside], added[inside], atol=1e-5)


def test_the_users_posture_is_shared_and_the_avatars_private(three):
    _, slow, other = three
    np.testing.assert_array_equal(slow.user_motion, other.user_motion)
    np.testing.assert_array_equal(slow.avatar_oracle, other.avatar_motion)
    difference = (slow.avatar_motion - other.avatar_motion)[:, channel("tx")]
    assert np.abs(difference.mean()) > 1e-3
