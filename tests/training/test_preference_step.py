"""One step of preference tuning: what moves, what does not, and what it costs at the start."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.config import ObjectiveConfig, OptimizerConfig, PreferenceConfig
from afjax.nn.transformer import ForcingTransformer
from afjax.training.generator.state import init_state, token_layout
from afjax.training.generator.step import clip_loss, make_draw, make_train_step, preference_loss
from tests.small_model import scrambled, small_config


@pytest.fixture(scope="module")
def setting():
    config = dataclasses.replace(
        small_config(depth=1),
        objective=ObjectiveConfig(drop=0.0),
        optimizer=OptimizerConfig(kind="adamw", warmup_steps=1),
        preference=PreferenceConfig(path="losing", model="run", beta=50.0, weight=2.0),
    )
    rng, c = np.random.default_rng(0), config.model
    shape = (config.data.batch, config.data.window)
    dims = {"avatar_motion": c.motion_dim, "losing_motion": c.motion_dim, "user_motion": c.motion_dim}
    dims |= {"avatar_audio": c.audio_dim, "user_audio": c.audio_dim}
    batch = {name: rng.standard_normal((*shape, dim)).astype(np.float32) for name, dim in dims.items()}
    batch["reference"] = np.zeros((shape[0], c.motion_dim), np.float32)
    return config, scrambled(config), batch, make_draw(config)(0), token_layout(config)


@pytest.fixture(scope="module")
def evaluated(setting):
    """Value, what is watched, the gradients of reference and policy, where the two are equal, and flow matching alone.

    All in one program, which computes what they share once.
    """
    config, params, batch, draw, layout = setting
    model = ForcingTransformer(config.model)

    def value(reference, policy):
        return preference_loss(config.preference, reference, model, "l2", policy, batch, draw, layout)

    @jax.jit
    def evaluate(reference, policy):
        flow = clip_loss(model, "l2", policy, batch, draw, layout)[0]
        return *jax.value_and_grad(value, argnums=(0, 1), has_aux=True)(reference, policy), flow

    return evaluate(params, params)


def test_at_the_reference_it_is_flow_matching_plus_log_2(evaluated):
    (value, watched), _, flow = evaluated
    np.testing.assert_allclose(value, flow + 2 * np.log(2), rtol=1e-5)
    np.testing.assert_allclose(watched["flow"], flow, rtol=1e-5)
    assert watched["drift"] < 1e-10 and abs(watched["margin"]) < 1e-5


def test_the_reference_has_no_gradient_and_the_policy_has(evaluated):
    of_reference, of_policy = evaluated[1]
    assert not any(jnp.any(leaf) for leaf in jax.tree.leaves(of_reference))
    assert all(jnp.any(leaf) for leaf in jax.tree.leaves(of_policy))


def test_steps_prefer_the_winner_and_leave_the_reference_alone(setting):
    config, params, batch, draw, layout = setting
    kept = jax.device_get(params)
    step, state = make_train_step(config, params), init_state(config, params)
    margins = []
    for _ in range(15):
        state, metrics = step(state, batch, draw, layout)
        margins.append(float(metrics["margin"]))
    assert abs(margins[0]) < 1e-6 and margins[-1] < min(margins[:4]) < 0 and metrics["accuracy"] > 0.9
    for before, after in zip(jax.tree.leaves(kept), jax.tree.leaves(params), strict=True):
        np.testing.assert_array_equal(before, after)
