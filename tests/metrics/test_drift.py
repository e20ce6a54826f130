import numpy as np
import pytest

from afjax.metrics import bootstrap
from afjax.metrics.long import drift


def motion(seed, n=16, frames=1500, channels=4):
    return np.random.default_rng(seed).normal(size=(n, frames, channels))


def test_motion_of_one_distribution_does_not_drift():
    values = drift.window_moments(motion(0), motion(1))
    assert values.shape == (16, 7, 4, 5)
    figure = bootstrap.interval(values, 0, drift.distance_slope)
    assert figure["low"] <= 0.0 <= figure["high"] and abs(figure["mean"]) < 0.01


def test_a_mean_that_moves_has_the_slope_of_its_square():
    """Every channel off by w in window w: the distance is 4 w^2, plus the same sampling error in every window."""
    moved = motion(0) + np.repeat(np.arange(6.0), 250)[:, None]
    track = drift.distances(drift.window_moments(moved, motion(0)).mean(axis=0)[None])[0]
    np.testing.assert_allclose(track, 4.0 * np.arange(6.0) ** 2, rtol=0.02, atol=0.02)
    minutes, squares = np.arange(6.0) / 6.0, 4.0 * np.arange(6.0) ** 2
    figure = bootstrap.interval(drift.window_moments(moved, motion(0)), 0, drift.distance_slope)
    np.testing.assert_allclose(figure["mean"], np.polyfit(minutes, squares, 1)[0], rtol=0.02)
    assert figure["low"] > 0


def test_a_covariance_that_shrinks_is_drift():
    fading = motion(0) * np.repeat(np.linspace(1.0, 0.0, 6), 250)[:, None]
    track = drift.distances(drift.window_moments(fading, motion(1)).mean(axis=0)[None])[0]
    np.testing.assert_allclose(track, 4.0 * np.linspace(0.0, 1.0, 6) ** 2, atol=0.05)


def test_short_clips_have_none():
    assert drift.window_moments(motion(0, frames=499), motion(1)) is None


def test_trend_of_a_line_and_of_noise():
    exact = drift.trend(3.0 - 0.5 * np.arange(10) / 6.0)
    np.testing.assert_allclose(exact, [-0.5, -0.5, -0.5], atol=1e-9)
    rng = np.random.default_rng(0)
    trends = [drift.trend(rng.normal(size=12)) for _ in range(300)]
    assert 0.92 < np.mean([found.low <= 0.0 <= found.high for found in trends]) < 0.98
    with pytest.raises(ValueError):
        drift.trend(np.zeros(2))


def test_slope_of_lines_is_per_minute():
    lines = np.array([[0.0, 2.0, 4.0], [5.0, 5.0, 5.0]])
    np.testing.assert_allclose(drift.slope(lines, 60.0), [2.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(drift.slope(lines, 1.0), [120.0, 0.0], atol=1e-9)
