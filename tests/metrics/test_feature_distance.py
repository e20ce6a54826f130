import tracemalloc

import numpy as np
import pytest

from afjax.errors import InputError
from afjax.metrics import bootstrap, feature_distance, frechet


def clips(count, frames, dim, seed, spread=0.5):
    """Rows around a mean of their own for each clip."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(dim, dim)) / np.sqrt(dim)
    return [(rng.normal(size=(frames, dim)) + spread * rng.normal(size=dim)) @ mix for _ in range(count)]


@pytest.mark.parametrize(("count", "dim"), [(12, 6), (3, 70)])
def test_it_is_the_distance_of_the_two_gaussians(count, dim):
    """Both ways to a root: more rows than features, and fewer."""
    ours, theirs = clips(count, 20, dim, 0), clips(count, 20, dim, 1)
    gaussians = [frechet.Pool().add(np.concatenate(each)).gaussian() for each in (ours, theirs)]
    expected = frechet.distance(*gaussians[0], *gaussians[1])
    np.testing.assert_allclose(feature_distance.distance_and_influences(ours, theirs)[0], expected, rtol=1e-5)


@pytest.mark.parametrize("dim", [5, 40])
def test_of_a_set_against_itself_it_is_0_and_of_a_shift_its_square(dim):
    rows = clips(8, 4, dim, 0)
    found = feature_distance.estimate(rows, rows, np.arange(8))
    assert found["mean"] < 1e-9 and found["high"] < 1e-8 and found["rows"] == 32
    shift = np.zeros(dim)
    shift[:2] = 3.0, 4.0
    np.testing.assert_allclose(
        feature_distance.distance_and_influences([one + shift for one in rows], rows)[0], 25.0, rtol=1e-9
    )
    doubled = feature_distance.distance_and_influences([2.0 * one for one in rows], rows)[0]
    pooled = np.concatenate(rows)
    expected = np.trace(np.cov(pooled.T)) + np.square(pooled.mean(axis=0)).sum()  # (2 - 1)^2 of every deviation
    np.testing.assert_allclose(doubled, expected, rtol=1e-9)


def test_a_clip_moves_the_distance_as_it_is_said_to():
    """The derivative by a clip's weight, against the distance with a little more of that clip."""
    ours, theirs = clips(6, 40, 4, 0), clips(6, 40, 4, 1)
    figure, first, second = feature_distance.distance_and_influences(ours, theirs)
    for side, parts in ((0, first), (1, second)):
        for clip in (0, 3):
            weights = np.ones(6)
            weights[clip] += 1e-4
            sets = [_weighted(rows, weights if side == k else np.ones(6)) for k, rows in enumerate((ours, theirs))]
            moved = (frechet.distance(*sets[0], *sets[1]) - frechet.distance(*_pair(ours), *_pair(theirs))) / 1e-4
            np.testing.assert_allclose(parts[clip, 0] / parts[:, 1].sum(), moved, rtol=1e-2, atol=1e-4)
    assert abs(first[:, 0].sum()) < 1e-9 and figure > 0


def _weighted(rows, weights):
    weights = np.repeat(weights, len(rows[0]))
    rows = np.concatenate(rows)
    mean = weights @ rows / weights.sum()
    return mean, (weights[:, None] * (rows - mean)).T @ (rows - mean) / (weights.sum() * (1 - 1 / len(rows)))


def _pair(rows):
    return _weighted(rows, np.ones(len(rows)))


def test_its_interval_is_that_of_distances_taken_anew():
    ours, theirs = clips(20, 30, 3, 0), clips(20, 30, 3, 1)
    found = feature_distance.estimate(ours, theirs, np.arange(20))
    pairs = [frechet.moments(np.stack(rows)) for rows in (ours, theirs)]

    def anew(means):
        return frechet.distance(*frechet.gaussian(means[:, 0], 0.0), *frechet.gaussian(means[:, 1], 0.0))

    exact = bootstrap.interval(np.stack(pairs, axis=1), 0, anew, centred=True, groups=np.arange(20))
    width = exact["high"] - exact["low"]
    assert abs(found["high"] - exact["high"]) < 0.3 * width and abs(found["low"] - exact["low"]) < 0.3 * width


def test_groups_widen_it_and_few_have_no_bounds():
    rng = np.random.default_rng(0)
    people = np.repeat(rng.normal(size=(8, 4)), 5, axis=0)
    ours = [rng.normal(size=(20, 4)) + person for person in people]
    theirs = clips(40, 20, 4, 2)
    apart, together = (feature_distance.estimate(ours, theirs, g) for g in (np.arange(40), np.repeat(np.arange(8), 5)))
    assert together["high"] - together["low"] > 1.4 * (apart["high"] - apart["low"])
    assert feature_distance.estimate(ours, theirs, np.arange(40) % 2)["low"] is None


def test_what_is_no_set_of_rows_is_refused():
    with pytest.raises(InputError, match="at least 2 rows"):
        feature_distance.distance_and_influences([np.zeros((1, 3))], [np.zeros((5, 3))])
    with pytest.raises(InputError, match="of 3 and of 4 numbers"):
        feature_distance.distance_and_influences(clips(2, 9, 3, 0), clips(2, 9, 4, 0))
    with pytest.raises(InputError, match="not finite"):
        feature_distance.distance_and_influences([np.full((4, 3), np.nan)], clips(2, 9, 3, 0))


class Drawn:
    """So many clips of rows that are made when they are read, as arrays on disk are."""

    def __init__(self, count, seed):
        self.count, self.seed = count, seed

    def __iter__(self):
        return (np.random.default_rng([self.seed, n]).normal(size=(25, 32)) for n in range(self.count))


def test_1000_clips_need_no_more_memory_than_10():
    def peak(count):
        tracemalloc.start()
        figure, *_ = feature_distance.distance_and_influences(Drawn(count, 0), Drawn(3, 1))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size, figure

    peak(10)
    (small, _), (large, figure) = peak(10), peak(1000)
    assert large < 1.3 * small + 200_000 and figure > 0
