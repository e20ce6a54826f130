import numpy as np
import pytest

from afjax.metrics import groups


def test_people_join_clips_by_chains():
    people = [("ann", "bob"), ("cat", "dan"), ("bob", "ann"), ("eve", "fay"), ("dan", "eve"), ("gil", "gil")]
    assert groups.of_people(people).tolist() == [0, 1, 0, 1, 1, 2]


def strangers(people, partner):
    return all(people[other][1] not in people[clip] for clip, other in enumerate(partner))


@pytest.mark.parametrize("clips", [(1, 1), (3, 2, 2, 1), (1, 4, 2, 1), (2, 2), (5,) * 4])
def test_partners_are_strangers_and_each_clip_is_taken_once(clips):
    """Conversations of two people each, with clips of one role."""
    of = np.repeat(np.arange(len(clips)), clips)
    people = np.random.default_rng(0).permutation(np.stack([2 * of, 2 * of + 1], axis=1))
    partner = groups.partners(people)
    assert strangers(people.tolist(), partner) and np.bincount(partner).max() == (1 if max(clips) * 2 <= len(of) else 4)


@pytest.mark.parametrize(
    "people",
    [
        [("ann", "bob"), ("bob", "ann"), ("cat", "dan"), ("dan", "cat")],  # both roles
        [("host", "a"), ("host", "b"), ("host", "c")],
        [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")],
    ],
)
def test_partners_are_strangers_where_people_talk_in_several(people):
    assert strangers(people, groups.partners(np.array(people)))


@pytest.mark.parametrize("people", [[("a", "b")] * 4, [("a", "b"), ("b", "a")], [("a", "host"), ("b", "host")]])
def test_without_another_user_there_are_no_partners(people):
    assert groups.partners(np.array(people)) is None
