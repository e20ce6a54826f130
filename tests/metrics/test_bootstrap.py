import numpy as np
import pytest

from afjax.metrics import bootstrap


def test_interval_of_a_mean_agrees_with_theory():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    figure = bootstrap.interval(values, seed=1)
    half = 1.96 * values.std() / 20
    np.testing.assert_allclose(figure["mean"], values.mean())
    np.testing.assert_allclose([figure["low"], figure["high"]], [values.mean() - half, values.mean() + half], atol=0.03)
    assert figure["n"] == 400


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    figures = [bootstrap.interval(rng.exponential(1.0, 64), seed, resamples=300) for seed in range(200)]
    covered = np.mean([figure["low"] <= 1.0 <= figure["high"] for figure in figures])
    assert 0.88 <= covered <= 0.98


def test_same_seed_same_interval():
    values = np.arange(10.0)
    assert bootstrap.interval(values, 3) == bootstrap.interval(values, 3) != bootstrap.interval(values, 4)


def test_clips_with_nothing_to_measure_are_left_out():
    assert bootstrap.interval([1.0, np.nan, 1.0])["n"] == 2
    assert bootstrap.interval([np.nan, np.nan]) == bootstrap.EMPTY


def test_ratio_is_of_the_means():
    figure = bootstrap.interval([[1.0, 1.0], [1.0, 3.0]], statistic=bootstrap.ratio)
    assert figure["mean"] == 0.5
    assert bootstrap.interval([[1.0, 0.0]], statistic=bootstrap.ratio)["mean"] is None


def test_centred_interval_holds_its_point_and_no_negative_distance():
    values = np.random.default_rng(0).normal(0.0, 1.0, (64, 20))

    def squared(means):
        return np.square(means).sum(axis=1)

    plain = bootstrap.interval(values, statistic=squared)
    figure = bootstrap.interval(values, statistic=squared, centred=True)
    assert plain["low"] > plain["mean"] and 0.0 <= figure["low"] <= figure["mean"] <= figure["high"]


def test_separation_of_a_mean_is_the_exact_sign_flip_test():
    """Of all 2^8 sign patterns of these differences, 8 reach a mean as far from 0 as the one seen."""
    difference = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, -1.0])
    patterns = 1 - 2 * ((np.arange(256)[:, None] >> np.arange(8)) & 1)
    exact = np.mean(np.abs(patterns @ difference) >= difference.sum() - 1e-9)
    first = np.random.default_rng(0).normal(size=8)
    found = bootstrap.permutation_test(first + difference, first, flips=20_000)
    np.testing.assert_allclose(found, exact, atol=0.004)


def test_rows_that_differ_by_chance_have_an_even_p():
    rng = np.random.default_rng(0)
    found = np.array([bootstrap.permutation_test(*rng.normal(size=(2, 40)), seed, flips=199) for seed in range(300)])
    assert abs(found.mean() - 0.5) < 0.06 and 0.02 <= np.mean(found <= 0.05) <= 0.09


def test_separation_of_a_statistic_of_curves():
    curves = np.random.default_rng(0).normal(0.0, 0.5, (64, 20))
    risen = curves + 0.5 * (np.arange(20) == 7)

    def peak(means):
        return means.max(axis=1)

    assert bootstrap.permutation_test(risen, curves, statistic=peak) == 0.001
    assert bootstrap.permutation_test(curves[:, ::-1], curves, statistic=peak) == 1.0


def test_separation_leaves_out_what_either_lacks():
    values = np.arange(6.0)
    assert (
        bootstrap.permutation_test(np.where(values < 3, np.nan, values + 9), values, flips=999) > 0.1
    )  # 3 pairs are left
    assert bootstrap.permutation_test([np.nan], [1.0]) is None


def clustered(rng, groups, clips, share):
    """Clips of mean 0 of which the groups' own part is `share` of the variance, and their groups."""
    own = np.sqrt(share) * rng.normal(size=(groups, 1)) + np.sqrt(1 - share) * rng.normal(size=(groups, clips))
    return own.ravel(), np.repeat(np.arange(groups), clips)


@pytest.mark.parametrize("groups", [8, 40])
def test_intervals_of_clips_that_share_people_cover_the_truth(groups):
    """Ten clips a group, half of their variance the people's: 95 % by groups, far less clip by clip."""
    rng = np.random.default_rng(1)
    covered = {"groups": [], "clips": []}
    for seed in range(400):
        values, group = clustered(rng, groups, 10, 0.5)
        for name, given in (("groups", group), ("clips", None)):
            if name == "groups" or seed < 100:
                figure = bootstrap.interval(values, seed, resamples=400, groups=given)
                covered[name].append(figure["low"] <= 0.0 <= figure["high"])
    assert 0.93 <= np.mean(covered["groups"]) <= 0.97
    assert 0.5 < np.mean(covered["clips"]) < 0.7


def test_rows_that_differ_by_their_people_alone_have_an_even_p():
    rng = np.random.default_rng(0)
    found = {"groups": [], "clips": []}
    for seed in range(300):
        (first, group), (second, _) = (clustered(rng, 20, 5, 0.7) for _ in range(2))
        for name, given in (("groups", group), ("clips", None)):
            if name == "groups" or seed < 100:
                found[name].append(bootstrap.permutation_test(first, second, seed, flips=199, groups=given))
    assert 0.03 <= np.mean(np.array(found["groups"]) <= 0.05) <= 0.07
    assert np.mean(np.array(found["clips"]) <= 0.05) > 0.3


def test_groups_may_differ_in_size_and_few_have_no_interval():
    values, group = [4.0, *[1.0] * 15], [0, *np.repeat(np.arange(1, 6), 3)]
    figure = bootstrap.interval(values, groups=group)
    assert figure["mean"] == 19 / 16 and figure["low"] == 1.0 and figure["high"] > 2.0
    few = bootstrap.interval([1.0, 2.0], groups=[0, 1])
    assert few == {"mean": 1.5, "low": None, "high": None, "n": 2}


def test_the_size_of_a_signed_difference_covers_0():
    """Of draws of its size none is below 0, so that a true 0 would lie outside of most intervals."""
    rng, covered, found = np.random.default_rng(0), 0, []
    for seed in range(200):
        pairs = rng.normal(0.0, 0.2, (40, 2))
        figure = bootstrap.interval(pairs, seed, lambda means: means[:, 0] - means[:, 1], 300, folded=True)
        covered += figure["low"] <= 0.0
        found.append(figure["low"] <= figure["mean"] <= figure["high"])
    assert 0.9 <= covered / 200 <= 0.99 and all(found)
    apart = bootstrap.interval(pairs + [1.0, 3.0], 0, lambda means: means[:, 0] - means[:, 1], folded=True)
    assert 1.8 < apart["low"] < 2.0 < apart["high"] < 2.2


def test_few_groups_take_every_pattern_once():
    """Six groups that all differ: two of 64 patterns are as far apart, whatever the seed."""
    first = np.arange(12.0) + 5
    found = {bootstrap.permutation_test(first, np.zeros(12), seed, groups=np.arange(12) // 2) for seed in range(3)}
    assert found == {2 / 64}
