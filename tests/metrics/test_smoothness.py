import numpy as np
import pytest

from afjax.metrics import smoothness


@pytest.mark.parametrize("block", [2, 5, 10])
def test_across_is_exactly_the_differences_that_use_two_blocks(block):
    frames = np.arange(37)
    uses_two = [len({f // block for f in (t - 1, t, t + 1)}) > 1 for t in frames[1:-1]]
    assert smoothness.across(37, block).tolist() == uses_two


def test_a_straight_line_does_not_shake():
    inside, boundary = smoothness.shake(np.arange(40.0)[None, :, None], 10)
    assert inside[0] == boundary[0] == 0


def test_steps_between_blocks_show_at_boundaries_only():
    motion = np.repeat(np.arange(4.0), 10)[None, :, None]
    inside, boundary = smoothness.shake(motion, 10)
    assert inside[0] == 0 and boundary[0] == 1.0


def test_alternating_motion_shakes_alike_everywhere():
    motion = np.tile([0.0, 1.0], 20)[None, :, None]
    inside, boundary = smoothness.shake(motion, 10)
    assert inside[0] == boundary[0] == 2.0


def test_one_block_has_no_boundary():
    inside, boundary = smoothness.shake(np.random.default_rng(0).normal(size=(2, 10, 3)), 10)
    assert np.isfinite(inside).all() and np.isnan(boundary).all()
