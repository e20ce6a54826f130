"""Drift over minutes: a walk is found outside the band, a stationary motion inside, and distances have known values."""

import numpy as np
import pytest
from scipy.signal import lfilter

from afjax.metrics import frechet
from afjax.metrics.long import minute_distances

SESSIONS, MINUTES, FRAMES, CHANNELS = 16, 12, 300, 3


def wander(rng, sessions, frames, pole=0.98):
    """A stationary walk [sessions, frames, CHANNELS] of unit variance; with the pole 1 it has no end."""
    noise = rng.standard_normal((sessions, frames, CHANNELS))
    noise[:, 1:] *= np.sqrt(1 - min(pole, 0.98) ** 2)
    return lfilter([1.0], [1.0, -pole], noise, axis=1)


def by_minute(motion):
    """Moments [sessions, MINUTES, D, D + 1]."""
    parts = motion.reshape(len(motion), MINUTES, FRAMES, CHANNELS)
    return np.stack([frechet.moments(parts[:, minute]) for minute in range(MINUTES)], axis=1)


@pytest.fixture(scope="module")
def recorded():
    """Recorded motion of the same stationary walk."""
    rng = np.random.default_rng(0)
    people = frechet.moments(wander(rng, 4 * SESSIONS, FRAMES))
    references, drawn = [], []
    for _ in range(200):
        halves = np.array_split(rng.permutation(len(people)), 2)
        references.append(people[halves[0]].mean(axis=0))
        drawn.append([people[rng.choice(half, SESSIONS)].mean(axis=0) for half in halves])
    return minute_distances.Recorded(np.array(references), np.array(drawn))


def measured(recorded, pole=0.98, seed=1, change=lambda motion: motion):
    motion = wander(np.random.default_rng(seed), SESSIONS, MINUTES * FRAMES, pole)
    return minute_distances.measure(by_minute(change(motion)), recorded, range(CHANNELS))


def test_stationary_motion_is_inside(recorded):
    for figure in measured(recorded).values():
        assert figure["inside"]
        assert figure["slope"]["low"] < 0.0 < figure["slope"]["high"]
        low, high = figure["band"]
        assert 0.0 < low < np.median(figure["minutes"]) < high


def test_most_minutes_of_stationary_motion_are_inside(recorded):
    last = [measured(recorded, seed=seed)["to_recorded"]["inside"] for seed in range(2, 22)]
    assert np.mean(last) >= 0.85


def test_a_walk_without_end_is_outside(recorded):
    for name, figure in measured(recorded, pole=1.0).items():
        assert not figure["inside"] and figure["slope"]["low"] > 0.0, name
    assert figure["minutes"][-1] > 10 * figure["band"][1]


def test_a_model_that_is_wrong_from_the_start_does_not_drift(recorded):
    found = measured(recorded, change=lambda motion: motion + 1.5)
    assert not found["to_recorded"]["inside"] and found["to_first"]["inside"]
    np.testing.assert_allclose(found["to_recorded"]["minutes"].mean(), 3 * 1.5**2, rtol=0.1)


def test_a_mean_that_moves_on_has_the_slope_of_its_square(recorded):
    """Minute m is off by m / 2 in each of three channels: distances 3 (m / 2)^2 from the first one."""
    track = np.repeat(np.arange(MINUTES) / 2.0, FRAMES)[:, None]
    found = measured(recorded, change=lambda motion: motion + track)["to_first"]
    at = np.arange(1, MINUTES)
    np.testing.assert_allclose(found["minutes"], 0.75 * at**2, rtol=0.15, atol=0.8)
    assert found["slope"]["mean"] == pytest.approx(np.polyfit(at, found["minutes"], 1)[0], rel=1e-6)


def test_only_the_chosen_channels_count(recorded):
    moments = by_minute(wander(np.random.default_rng(1), SESSIONS, MINUTES * FRAMES) * [1.0, 1.0, 9.0])
    assert minute_distances.measure(moments, recorded, [0, 1])["to_recorded"]["inside"]
    assert not minute_distances.measure(moments, recorded, [2])["to_recorded"]["inside"]


def test_shift_and_spread(recorded):
    motion = np.random.default_rng(0).standard_normal((1, 50_000, CHANNELS)) * [1.0, 2.0, 0.0] + [0.0, 1.0, 3.0]
    shift, spread = minute_distances.shift(frechet.moments(motion)[0], recorded)
    np.testing.assert_allclose(shift, [0.0, 1.0, 3.0], atol=0.25)
    np.testing.assert_allclose(spread, [1.0, 2.0, 0.0], atol=0.2)
    both = minute_distances.shift(np.stack([frechet.moments(motion)[0]] * 2), recorded)
    np.testing.assert_allclose(both, np.stack([shift, spread])[:, None].repeat(2, axis=1))
