import numpy as np
import pytest

from afjax.metrics import groups


def test_people_join_clips_by_chains():
    people = [("ann", "bob"), ("cat", "dan"), ("bob", "ann"), ("eve", "fay"), ("dan", "eve"), ("gil", "gil")]
    assert groups.of_people(people).tolist() == [0, 1, 0, 1, 1, 2]


@pytest.mark.parametrize("sizes", [(1, 1), (3, 2, 2, 1), (1, 4, 2, 1), (2, 2), (5,) * 4])
def test_partners_are_of_other_groups_and_each_clip_is_taken_once(sizes):
    group = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    partner = groups.partners(group)
    assert (group[partner] != group).all()
    assert sorted(partner) == list(range(len(group)))


def test_a_group_larger_than_the_rest_shares_the_others_in_turn():
    group = np.array([0, 1, 0, 0, 0, 2, 0])
    partner = groups.partners(group)
    assert (group[partner] != group).all()
    assert np.bincount(partner[group == 0], minlength=7)[[1, 5]].tolist() in ([2, 3], [3, 2])


def test_one_group_has_no_partners():
    assert groups.partners(np.zeros(4, int)) is None
