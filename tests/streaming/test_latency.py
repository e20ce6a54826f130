"""Latency figures with known answers."""

import numpy as np
import pytest

from afjax.config import LayoutConfig
from afjax.streaming import latency


@pytest.mark.parametrize(("block", "delay", "behind"), [(10, 0, 400), (5, 5, 0), (5, 3, 80), (5, 15, 0)])
def test_algorithmic_delay_is_what_is_collected(block, delay, behind):
    found = latency.algorithmic(LayoutConfig(block=block, user_delay=delay))
    assert found == {"collected": 40 * block, "behind": behind, "speech_ahead": 40 * block}


@pytest.mark.parametrize(
    ("block", "delay", "p50", "p95"), [(10, 0, 250, 430), (10, 10, 250, 430), (10, 15, 450, 630), (5, 5, 150, 240)]
)
def test_reactions_wait_for_the_next_block(block, delay, p50, p95):
    """Against a play-out of blocks: events at every millisecond, each shown with the first block that has seen it."""
    found = latency.earliest_reaction(LayoutConfig(block=block, user_delay=delay), headroom=0.05)
    assert found == pytest.approx({"p50": p50, "p95": p95})
    playout, waits = latency.Playout(offset=max(block - delay, 0) / 25 + 0.05), []
    for event in np.arange(2, 2 + block / 25, 0.001):
        first = next(b for b in range(1000) if (b + 1) * block - delay > 25 * event)
        waits.append(1000 * (playout.due(first * block) - event))
    np.testing.assert_allclose(np.percentile(waits, [50, 95]), [p50, p95], atol=2)


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
