"""Known answers of the preference loss, in all readings of its formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.config import PreferenceConfig
from afjax.losses.dpo import Errors, loss, per_token

LEVEL = jnp.array([[0.0, 0.5, 1.0], [0.7, 0.7, 0.7]])
READINGS = [PreferenceConfig(), PreferenceConfig(formula="paper"), PreferenceConfig(beta=3.0)]


def errors(seed):
    return Errors(*jnp.asarray(np.random.default_rng(seed).uniform(0.5, 2, (2, 2, 3)), jnp.float32))


@pytest.mark.parametrize("config", READINGS)
def test_policy_equal_to_the_reference_gives_log_2(config):
    value, watched = loss(errors(0), errors(0), LEVEL, config)
    np.testing.assert_allclose(value, np.log(2), rtol=1e-6)
    np.testing.assert_allclose([watched["margin"], watched["grad_weight"]], [0, 0.5], atol=1e-7)


def test_by_hand_before_and_after_the_sigmoid():
    level = jnp.array([[0.0, 1.0, 1.0]])
    policy = Errors(jnp.array([[9.0, 1.0, 2.0]]), jnp.array([[9.0, 3.0, 3.0]]))
    reference = Errors(jnp.array([[0.0, 2.0, 2.0]]), jnp.array([[0.0, 2.0, 3.5]]))
    margins = np.array([-1 - 1, 0 + 0.5])  # the clean token counts nowhere
    before, watched = loss(policy, reference, level, PreferenceConfig(beta=2.0))
    np.testing.assert_allclose(before, np.log1p(np.exp(margins.mean())), rtol=1e-6)
    np.testing.assert_allclose(watched["accuracy"], 1.0)
    after, watched = loss(policy, reference, level, PreferenceConfig(beta=2.0, formula="paper"))
    np.testing.assert_allclose(after, np.log1p(np.exp(2 * margins)).mean(), rtol=1e-6)
    np.testing.assert_allclose(watched["accuracy"], 0.5)
    np.testing.assert_allclose(watched["grad_weight"], (1 / (1 + np.exp(-2 * margins))).mean(), rtol=1e-6)


def test_a_token_s_error_by_hand():
    error = jnp.array([[[1.0, -3.0]]])
    assert per_token(error, "diffusion_dpo") == 5.0 and per_token(error, "paper") == 4.0


@pytest.mark.parametrize("config", READINGS)
def test_gradient_lowers_the_winner_s_error_and_raises_the_loser_s(config):
    reference = errors(1)
    gradient = jax.grad(lambda policy: loss(policy, reference, LEVEL, config)[0])(errors(1))
    counted = np.asarray(LEVEL > 0)
    assert (np.asarray(gradient.win)[counted] > 0).all() and (np.asarray(gradient.lose)[counted] < 0).all()
    assert not np.asarray(gradient.win)[~counted].any() and not np.asarray(gradient.lose)[~counted].any()


def test_two_points_are_told_apart():
    """A policy that is one number moves towards the winner and away from the loser until the sigmoid lets go."""
    win, lose, reference, config = 1.0, -1.0, 0.0, PreferenceConfig(beta=8.0)
    level = jnp.ones((1, 1))

    def error(point, target):
        return jnp.full((1, 1), 1.0) * (point - target) ** 2

    def value(point):
        pair = Errors(error(point, win), error(point, lose))
        frozen = Errors(error(jnp.float32(reference), win), error(jnp.float32(reference), lose))
        return loss(pair, frozen, level, config)

    point, pulls, slope_of = jnp.float32(0.0), [], jax.jit(jax.value_and_grad(value, has_aux=True))
    for _ in range(200):
        (_, watched), slope = slope_of(point)
        pulls.append(float(watched["grad_weight"]))
        point = point - 0.01 * slope
    assert point > 0.2 and watched["margin"] < -0.5
    assert (np.diff(pulls) < 0).all()
