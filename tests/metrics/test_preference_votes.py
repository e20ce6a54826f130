import math

import numpy as np
import pytest

from afjax.metrics import bootstrap, preference_votes


def test_counts():
    assert preference_votes.counts([[0, 0, 1], [2, -1, 0]]) == {"a": 3, "tie": 1, "b": 1}


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [(9, 1, 2 * (1 + 10) / 2**10), (1, 9, 2 * 11 / 2**10), (0, 6, 2 / 2**6), (5, 5, 1.0), (3, 2, 1.0), (0, 0, 1.0)],
)
def test_sign_test_is_the_binomial_sum(wins, losses, p):
    assert preference_votes.sign_test(wins, losses) == pytest.approx(p, rel=1e-12)


@pytest.mark.parametrize(("count", "n"), [(8, 10), (0, 5), (240, 480)])
def test_wilson(count, n):
    z, p = 1.959963984540054, count / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    expected = [(middle + sign * half) / (1 + z * z / n) for sign in (-1, 1)]
    assert preference_votes.wilson(count, n) == pytest.approx(expected, abs=1e-12)


def test_shares():
    table = preference_votes.shares(np.array([[0, 0, 1, 2], [0, -1, 0, -1]]))
    assert [table[name]["mean"] for name in preference_votes.CHOICES] == pytest.approx([4 / 6, 1 / 6, 1 / 6])
    assert {estimate["n"] for estimate in table.values()} == {6}
    assert all(0 <= e["low"] <= e["mean"] <= e["high"] <= 1 for e in table.values())


def test_few_answers_that_agree_leave_doubt():
    table = preference_votes.shares(np.zeros((2, 2), int))
    assert (table["a"]["low"], table["a"]["high"]) == pytest.approx(preference_votes.wilson(4, 4))
    assert (table["b"]["low"], table["b"]["high"]) == pytest.approx(preference_votes.wilson(0, 4))


def test_answers_of_one_person_do_not_count_as_many():
    """20 people who each give one answer twelve times: as uncertain as 20 answers, not as 240."""
    answers = np.repeat([[0], [2]], 12, axis=1).repeat(10, axis=0)
    found = preference_votes.shares(answers)["a"]
    half = 1.96 * math.sqrt(0.25 / 20)
    assert (found["low"], found["high"]) == pytest.approx((0.5 - half, 0.5 + half), abs=0.03)
    assert preference_votes.shares(answers.T)["a"]["low"] == pytest.approx(0.5 - half, abs=0.03)


def test_intervals_cover_the_truth():
    """Simulated studies in which people and pairs lean one way or the other; the true share is one half."""
    rng = np.random.default_rng(0)
    covered = []
    for seed in range(200):
        lean = rng.normal(0, 1, (20, 1)) + rng.normal(0, 1, (1, 12)) + rng.logistic(0, 1, (20, 12))
        found = preference_votes.shares(np.where(lean > 0, 0, 2), seed, resamples=300)["a"]
        covered.append(found["low"] <= 0.5 <= found["high"])
    assert 0.92 <= np.mean(covered) <= 1.0


def test_same_seed_same_intervals():
    answers = np.random.default_rng(0).integers(-1, 3, (8, 6))
    assert (
        preference_votes.shares(answers, 3)
        == preference_votes.shares(answers, 3)
        != preference_votes.shares(answers, 4)
    )


def test_votes_are_one_a_person():
    answers = np.array([[0, 0, 2], [0, 2, 1], [2, -1, -1], [1, 1, 1], [-1, -1, -1]])
    assert preference_votes.votes(answers) == {"a": 1, "tie": 2, "b": 1}


def test_question():
    found = preference_votes.question(np.array([[0, 0, 0], [0, 0, 1], [0, 2, 0]]))
    assert found["counts"] == {"a": 7, "tie": 1, "b": 1} and found["votes"] == {"a": 3, "tie": 0, "b": 0}
    assert (found["p_answers"], found["p_participants"]) == pytest.approx((2 * 9 / 2**8, 0.25))


def test_a_question_that_nobody_answered():
    found = preference_votes.question(np.full((3, 2), preference_votes.UNANSWERED))
    assert found["shares"] == dict.fromkeys(preference_votes.CHOICES, bootstrap.EMPTY)
    assert (found["p_answers"], found["p_participants"]) == (1.0, 1.0)
