"""Causes told from the condition: known answers, and nothing where the data say nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.config.model import CAUSE_AGES
from afjax.losses import causes

SPANS = len(CAUSE_AGES) - 1
AGE = jnp.array([[[np.inf, 0.0], [CAUSE_AGES[1] - 1.0, 1.0], [CAUSE_AGES[1], CAUSE_AGES[-1]]]])
"""Three frames, two kinds."""
TRUE = np.zeros((1, 3, 2, SPANS), bool)
TRUE[0, [0, 1, 1, 2], [1, 0, 1, 0], [0, 0, 0, 1]] = True


def test_certain_and_right_is_free_and_undecided_costs_log_2():
    sure = jnp.where(jnp.asarray(TRUE), 30.0, -30.0).reshape(1, 3, -1)
    assert float(causes.cross_entropy(sure, AGE)) == pytest.approx(0, abs=1e-6)
    assert float(causes.cross_entropy(0 * sure, AGE)) == pytest.approx(SPANS * np.log(2))
    for flat in range(TRUE.size):
        wrong = sure.reshape(-1).at[flat].multiply(-1).reshape(sure.shape)
        assert float(causes.cross_entropy(wrong, AGE)) == pytest.approx(30 * SPANS / TRUE.size, rel=1e-4)


def test_unknown_ages_teach_nothing():
    logits, unknown = jnp.ones((1, 3, 2 * SPANS)), AGE.at[:, 1].set(jnp.nan)
    gradient = np.asarray(jax.grad(causes.cross_entropy)(logits, unknown))
    assert not gradient[:, 1].any() and gradient[:, 0].all() and gradient[:, 2].all()
