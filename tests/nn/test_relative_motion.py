"""Running statistics of a user: what they are, and that no cut of the track changes them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.config import ModelConfig
from afjax.config.model import MOVES
from afjax.errors import InputError
from afjax.nn.relative_motion import BOUND, LARGEST, STILL, USUAL, go_on, of_windows, unknown

TAU = 6


def track(frames=40, users=2, seed=0):
    return np.random.default_rng(seed).standard_normal((users, frames, 3)).cumsum(1) * 0.3


def nothing(motion, frames=MOVES):
    return np.full((len(motion), frames, motion.shape[-1]), np.nan)


def whole(motion, frames=TAU):
    return np.asarray(of_windows(nothing(motion), jnp.asarray(motion), frames))


@pytest.fixture(autouse=True)
def wide():
    with jax.enable_x64(True):
        yield


def test_it_is_what_the_recursion_says():
    motion = track()
    motion[0, 20] += 60.0  # a jump, of which LARGEST counts
    found = whole(motion)
    rate, mean, usual = 1 - np.exp(-1 / TAU), np.zeros((2, 3)), np.full((2, 3), USUAL)
    for t in range(motion.shape[1]):
        change = np.minimum(np.abs(motion[:, t] - motion[:, t - MOVES]), LARGEST) if t >= MOVES else np.zeros((2, 3))
        mean, usual = mean + rate * (motion[:, t] - mean), usual + rate * (change - usual)
        size = usual + STILL
        place = np.clip((motion[:, t] - mean) / (2 * size), -BOUND, BOUND)
        wanted = np.concatenate([place, np.minimum(change / size, BOUND), np.log(size)], axis=-1)
        np.testing.assert_allclose(found[:, t], wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_track_in_parts_has_the_statistics_of_the_whole(cut):
    motion = track()
    known, found = unknown(motion[:, 0]), []
    padded = np.concatenate([np.zeros_like(motion[:, :MOVES]), motion], axis=1)
    for at in range(0, 40, cut):
        there = np.tile(at >= np.arange(MOVES, 0, -1), (2, 1))
        known, part = go_on(known, padded[:, at : at + MOVES], there, motion[:, at : at + cut], TAU)
        found.append(part)
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole(motion), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("start, most", [(0, 1e-9), (2, 1e-9), (13, 1e-9), (30, 1e-9), (150, 0.1)])
def test_a_window_has_the_statistics_of_its_conversation(start, most):
    """A past of five time constants leaves less than a hundredth of what was before it."""
    motion, past = track(190), 5 * TAU
    earlier = np.concatenate([nothing(motion, past), motion[:, :start]], axis=1)[:, -past:]
    assert np.abs(np.asarray(of_windows(earlier, motion[:, start:], TAU)) - whole(motion)[:, start:]).max() < most


def test_a_nod_is_told_alike_of_calm_and_of_lively_people():
    motion = 3 * track(200)
    one, twice = (whole(scale * motion)[:, 150:, :6] for scale in (1.0, 2.0))
    assert np.abs(one - twice).mean() < 0.1 * np.abs(one).mean()
    lively = (whole(scale * motion)[:, 150:, 6:].mean() for scale in (1.0, 2.0))
    assert 0.5 < -np.subtract(*lively) < np.log(2)


def test_a_jump_of_the_tracker_passes():
    motion = track(200)
    jumped = motion.copy()
    jumped[:, 100:102] += 100.0
    assert np.abs(whole(jumped, 75)[:, 130:, 6:] - whole(motion, 75)[:, 130:, 6:]).max() < 0.6


def test_a_still_face_is_told_in_small_numbers():
    still = np.zeros((1, 500, 3))
    still[:, 480:] = 100.0
    found = whole(still)
    assert np.isfinite(found).all() and np.abs(found).max() <= BOUND
    assert np.abs(found[:, :480, :6]).max() == 0 and found[0, 479, 6] == pytest.approx(np.log(STILL))


def test_it_needs_the_convolutions():
    with pytest.raises(InputError, match="relative_frames is for condition_convolutions"):
        ModelConfig(relative_frames=75)
    with pytest.raises(InputError, match="relative_frames must be 0, or 3 or more"):
        ModelConfig(relative_frames=2, condition_convolutions=2)
