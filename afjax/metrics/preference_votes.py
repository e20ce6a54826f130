"""Preferences of people between two systems: shares with intervals, and sign tests.

Answers are an integer array `[participants, pairs]` for one question: 0 = A, 1 = tie, 2 = B, -1 = not answered.

A share is the part of the given answers that chose A, tie or B. Its interval is the union of two, because each of them
is too narrow where the other is not:

    bootstrap   participants and pairs are drawn again with replacement, each on its own; 2.5th to 97.5th percentile.
                Answers of one person, and answers to one pair, go together, which Wilson's interval does not know.
    Wilson      (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n), z = 1.96.
                If all answers agree the bootstrap has no width, however few they are.

The sign test asks whether wins and losses, ties left out, could come from a fair coin: with n = wins + losses,

    p = min(1, 2 sum_{k <= min(wins, losses)} C(n, k) / 2^n)

Over answers it treats those of one person as independent and so finds differences too easily. Over participants, each
with one vote for the system that they chose more often, it does not.
"""

import numpy as np
from scipy import stats

from afjax.metrics import bootstrap

QUESTIONS = ("reactiveness", "motion_richness", "verbal_alignment", "nonverbal_alignment", "overall")
"""Questions about every pair: the five criteria of the Avatar Forcing user study (its Table 2)."""

CHOICES = ("a", "tie", "b")
"""Names of the values 0, 1 and 2 of an answer."""

UNANSWERED = -1


def counts(answers: np.ndarray) -> dict[str, int]:
    """How often each of CHOICES was given in `[p, v]`."""
    return {name: int(np.sum(np.asarray(answers) == value)) for value, name in enumerate(CHOICES)}


def wilson(count: int, n: int) -> tuple[float, float]:
    """95 % interval of a share of `count` in n > 0 independent answers."""
    found = stats.binomtest(count, n).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def shares(answers: np.ndarray, seed: int = 0, resamples: int = 2000) -> dict[str, bootstrap.Estimate]:
    """Share of each of CHOICES with its 95 % interval; n counts the answers.

    Args:
      answers: `[p, v]`.
      seed: of the draws.
      resamples: number of draws.
    """
    answers = np.asarray(answers)
    n = int(np.sum(answers != UNANSWERED))
    if not n:
        return {name: dict(bootstrap.EMPTY) for name in CHOICES}
    low, high = np.percentile(_drawn(answers, seed, resamples), [2.5, 97.5], axis=0)
    table = {}
    for k, (name, count) in enumerate(counts(answers).items()):
        below, above = wilson(count, n)
        table[name] = {"mean": count / n, "low": min(low[k], below), "high": max(high[k], above), "n": n}
    return table


def _drawn(answers: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    """Shares `[r, 3]` of drawn participants and pairs; draws that hold no answer are left out."""
    rng = np.random.default_rng(seed)
    people, pairs = (rng.multinomial(n, np.full(n, 1 / n), size=resamples) for n in answers.shape)
    given = np.stack([answers == value for value in range(len(CHOICES))], axis=-1).astype(np.float64)  # [P, V, 3]
    weight = np.einsum("rv,rvk->rk", pairs, np.tensordot(people, given, axes=1))
    total = weight.sum(axis=1, keepdims=True)
    return (weight / np.maximum(total, 1))[total[:, 0] > 0]


def sign_test(wins: int, losses: int) -> float:
    """Exact two-sided p of the sign test; 1 without wins and losses."""
    n = wins + losses
    return float(stats.binomtest(wins, n).pvalue) if n else 1.0


def votes(answers: np.ndarray) -> dict[str, int]:
    """Participants of `[p, v]` who chose A more often than B, as often ("tie") and less often."""
    answers = np.asarray(answers)
    lead = np.sum(answers == 0, axis=1) - np.sum(answers == 2, axis=1)
    lead = lead[(answers != UNANSWERED).any(axis=1)]
    return {"a": int(np.sum(lead > 0)), "tie": int(np.sum(lead == 0)), "b": int(np.sum(lead < 0))}


def question(answers: np.ndarray, seed: int = 0) -> dict:
    """All figures of one question `[p, v]`.

    -> {"shares": see `shares`, "counts": {choice: answers}, "p_answers": sign test over answers,
        "votes": see `votes`, "p_participants": sign test over participants}
    """
    given, people = counts(answers), votes(answers)
    return {
        "shares": shares(answers, seed),
        "counts": given,
        "p_answers": sign_test(given["a"], given["b"]),
        "votes": people,
        "p_participants": sign_test(people["a"], people["b"]),
    }
