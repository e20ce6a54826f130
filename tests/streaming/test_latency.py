"""Latency figures with known answers."""

import numpy as np
import pytest

from afjax.config import LayoutConfig
from afjax.streaming import latency


@pytest.mark.parametrize(("block", "delay", "behind"), [(10, 0, 400), (5, 5, 0), (5, 3, 80), (5, 15, 0)])
def test_algorithmic_delay_is_what_is_collected(block, delay, behind):
    found = latency.algorithmic(LayoutConfig(block=block, user_delay=delay))
    assert found == {"collected": 40 * block, "behind": behind, "speech_ahead": 40 * block}


def test_a_block_is_late_if_one_of_its_frames_is():
    playout = latency.Playout(offset=0.5)
    assert playout.due(10) == pytest.approx(0.9)
    playout.delivered(0, [(5, 0.4), (5, 0.6)])  # frames 5 .. 9 are due at 0.7
    playout.delivered(10, [(5, 0.8), (5, 1.2)])  # frame 15 is due at 1.1
    assert (playout.blocks, playout.late_blocks) == (2, 1)
    np.testing.assert_allclose(playout.slack, [0.1, -0.1])


def test_a_difference_is_seen_above_a_tenth_of_a_deviation():
    base = np.zeros((6, 3))
    other, deviation = base.copy(), np.array([1.0, 10.0, 0.1])
    other[2:, 0], other[3:, 1] = 0.09, 1.1
    assert latency.first_seen(base, other, deviation) == (3, 1)
    other[3:, 2] = 0.5
    assert latency.first_seen(base, other, deviation) == (3, 2)
    assert latency.first_seen(base, base, deviation) is None


def test_half_of_the_peak_of_the_mean_curve():
    ramp = np.minimum(np.arange(40) / 10, 1.0)  # half of the peak in its sixth frame
    assert latency.half_peak([(0.1, ramp)]) == pytest.approx(0.1 + 5 / 25, abs=0.011)
    both = [(0.1, ramp), (0.3, ramp)]  # shown 0.2 s apart: half of the mean in between
    assert latency.half_peak(both) == pytest.approx(0.2 + 5 / 25, abs=0.021)
    assert latency.half_peak([(0.1, 0 * ramp)]) is None and latency.half_peak([]) is None


def test_percentiles():
    found = latency.percentiles(np.arange(101.0))
    assert found == {"p50": 50, "p95": 95, "p99": 99, "max": 100, "n": 101}
    assert latency.percentiles([])["p50"] is None
