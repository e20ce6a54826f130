"""One step of preference tuning: what moves, what does not, and what it costs at the start."""

import dataclasses

import jax
import numpy as np
import optax
import pytest

from afjax.config import ObjectiveConfig, OptimizerConfig, PreferenceConfig
from afjax.nn.transformer import ForcingTransformer
from afjax.training.generator.state import init_state, token_layout
from afjax.training.generator.step import generator_loss, make_random_inputs, make_train_step, preference_loss
from tests.small_model import scrambled, small_config


@pytest.fixture(scope="module")
def setting():
    config = dataclasses.replace(
        small_config(depth=1, convolutions=1, relative_frames=4),
        objective=ObjectiveConfig(condition_dropout=0.0),
        optimizer=OptimizerConfig(kind="adamw", warmup_steps=1),
        preference=PreferenceConfig(path="losing", model="run", beta=50.0, weight=2.0),
    )
    rng, c = np.random.default_rng(0), config.model
    shape = (config.data.batch, config.data.window)
    dims = {"avatar_motion": c.motion_dim, "losing_motion": c.motion_dim, "user_motion": c.motion_dim}
    dims |= {"avatar_features": c.audio_dim, "user_features": c.audio_dim}
    batch = {name: rng.standard_normal((*shape, dim)).astype(np.float32) for name, dim in dims.items()}
    batch["reference_motion"] = np.zeros((shape[0], c.motion_dim), np.float32)
    batch["earlier_user_motion"] = rng.standard_normal((shape[0], c.earlier_frames, c.motion_dim)).astype(np.float32)
    batch["earlier_user_motion"][0, :-2] = np.nan
    return config, scrambled(config), batch, make_random_inputs(config)(0), token_layout(config)


@pytest.fixture(scope="module")
def tuned(setting):
    """What is logged in each of 15 steps, the policy's moments after the first, the reference before and after."""
    config, params, batch, draw, layout = setting
    kept = jax.device_get(params)
    step, state = make_train_step(config, params), init_state(config, params)
    logged, moments = [], None
    for _ in range(15):
        state, metrics = step(state, batch, draw, layout)
        logged.append(jax.device_get(metrics))
        moments = jax.device_get(optax.tree.get(state.opt_state, "mu")) if moments is None else moments
    return logged, moments, kept, jax.device_get(params)


def test_at_the_reference_it_is_flow_matching_plus_log_2(setting, tuned):
    """Before the first step policy and reference are equal."""
    config, params, batch, draw, layout = setting
    watched = tuned[0][0]
    model = ForcingTransformer(config.model)
    flow = jax.jit(lambda params: generator_loss(model, "l2", params, batch, draw, layout)[0])(params)
    np.testing.assert_allclose(watched["loss"], flow + 2 * np.log(2), rtol=1e-5)
    np.testing.assert_allclose(watched["flow"], flow, rtol=1e-5)
    assert watched["drift"] < 1e-10 and abs(watched["margin"]) < 1e-5


def test_the_reference_has_no_gradient_and_the_policy_has(setting, tuned):
    config, params, batch, draw, layout = setting
    model = ForcingTransformer(config.model)

    @jax.jit
    @jax.grad
    def of_reference(ref_params):
        return preference_loss(config.preference, ref_params, model, "l2", params, batch, draw, layout)[0]

    assert not any(np.any(leaf) for leaf in jax.tree.leaves(jax.device_get(of_reference(params))))
    # after one step the first moment is the policy's gradient, but for a factor
    assert all(np.any(leaf) for leaf in jax.tree.leaves(tuned[1]))


def test_steps_prefer_the_winner_and_leave_the_reference_alone(tuned):
    logged, _, before, after = tuned
    margins = [float(metrics["margin"]) for metrics in logged]
    assert abs(margins[0]) < 1e-6 and np.mean(margins[-4:]) < np.mean(margins[:4]) < 0 and logged[-1]["accuracy"] > 0.9
    for one, other in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(one, other)
