"""Running statistics of a user: what they are, and that no cut of the track changes them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.config import ModelConfig
from afjax.config.model import MOVES
from afjax.errors import InputError
from afjax.nn import relative_motion
from afjax.nn.relative_motion import STILL, USUAL, told, told_after, unknown

TAU = 6


def track(frames=40, users=2, seed=0):
    return np.random.default_rng(seed).standard_normal((users, frames, 3)).cumsum(1) * 0.3


def nothing(motion, frames=MOVES):
    return np.full((len(motion), frames, motion.shape[-1]), np.nan)


@pytest.fixture(autouse=True)
def wide():
    with jax.enable_x64(True):
        yield


def test_it_is_what_the_recursion_says():
    motion = track()
    found = np.asarray(told_after(nothing(motion), motion, TAU))
    rate, mean, square = 1 - np.exp(-1 / TAU), np.zeros((2, 3)), np.full((2, 3), USUAL)
    for t in range(motion.shape[1]):
        change = np.abs(motion[:, t] - motion[:, t - MOVES]) if t >= MOVES else np.zeros((2, 3))
        mean, square = mean + rate * (motion[:, t] - mean), square + rate * (change**2 - square)
        size = np.sqrt(square + STILL**2)
        wanted = [motion[:, t], (motion[:, t] - mean) / (3 * size), change / (2 * size), np.log(size)]
        np.testing.assert_allclose(found[:, t], np.concatenate(wanted, axis=-1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_track_in_parts_is_told_as_a_whole(cut):
    motion = track()
    whole, pace, found = told_after(nothing(motion), motion, TAU), unknown(motion[:, 0]), []
    padded = np.concatenate([np.zeros_like(motion[:, :MOVES]), motion], axis=1)
    for at in range(0, 40, cut):
        there = np.tile(at >= np.arange(MOVES, 0, -1), (2, 1))
        pace, part = told(pace, padded[:, at : at + MOVES], there, motion[:, at : at + cut], TAU)
        found.append(part)
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("start", [0, 2, 13])
def test_a_window_is_told_as_the_conversation_it_was_cut_from(start):
    motion = track()
    earlier = np.concatenate([nothing(motion, 20), motion[:, :start]], axis=1)[:, -20:]
    whole = told_after(nothing(motion), motion, TAU)
    np.testing.assert_allclose(told_after(earlier, motion[:, start:], TAU), whole[:, start:], rtol=1e-9, atol=1e-12)


def test_a_nod_is_told_alike_of_calm_and_of_lively_people():
    motion, beyond = track(200), slice(150, None)
    one, twice = (told_after(nothing(motion), scale * motion, TAU)[:, beyond, 3:9] for scale in (1.0, 2.0))
    np.testing.assert_allclose(one, twice, rtol=0.05, atol=0.01)
    assert np.abs(one).mean() > 0.1


def test_a_still_face_is_told_in_small_numbers():
    still = np.zeros((1, 500, 3))
    still[:, 480:] = 100.0
    found = told_after(nothing(still), jnp.asarray(still), TAU)[..., 3:]
    assert jnp.isfinite(found).all() and jnp.abs(found).max() <= max(relative_motion.BOUNDS)
    assert jnp.abs(found[:, :480, :6]).max() == 0


def test_it_needs_the_convolutions():
    with pytest.raises(InputError, match="relative_frames"):
        ModelConfig(relative_frames=75)
    with pytest.raises(InputError, match="relative_frames"):
        ModelConfig(relative_frames=-1, condition_convolutions=2)
    assert ModelConfig(relative_frames=75, condition_convolutions=2).told_dim == 60
