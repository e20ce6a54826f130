"""A known answer: listeners whose motion is in part the user's some frames ago are learnt, and answer so in a stream.

The avatar's channel c is `GAINS[c]` times the user's, `LAGS[c]` frames later, plus a motion of its own as large as what
is left to a variance of one. The network sees nothing else of either number.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from afjax.config import Config, ObjectiveConfig, OptimizerConfig, SamplerConfig, TrainingConfig
from afjax.metrics.real_response import gain_terms
from afjax.nn.condition_encoder import Conditions
from afjax.nn.transformer import ForcingTransformer
from afjax.streaming.rollout import rollout
from afjax.streaming.state import init_stream
from afjax.streaming.step import make_step
from afjax.training.generator.state import init_state, token_layout
from afjax.training.generator.step import make_random_inputs, make_train_step
from tests.small_model import small_config

GAINS, LAGS = np.array([0.8, 0.4, 0.0]), np.array([4, 9, 6])
STEPS, BATCH, SESSIONS, FRAMES = 3000, 32, 32, 500
SAMPLER = SamplerConfig(
    nfe=10, solver="dpm_solver_pp", grid="power", guidance_avatar=0.0, guidance_user=0.0, guidance_joint=1.0
)


def smooth(rng, *shape) -> np.ndarray:
    """Noise `[n, frames, channels]` of a few Hz with a variance of one."""
    noise = gaussian_filter1d(rng.standard_normal(shape), 2.0, axis=1, mode="wrap")
    return noise / noise.std()


def conversations(rng, count: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """The user's motion and the listener's, `[n, frames, 3]`."""
    user, own = smooth(rng, count, frames + 20, 3), smooth(rng, count, frames, 3)
    echo = np.stack([user[:, 20 - lag : 20 - lag + frames, c] for c, lag in enumerate(LAGS)], axis=-1)
    return user[:, 20:].astype(np.float32), (GAINS * echo + np.sqrt(1 - GAINS**2) * own).astype(np.float32)


def planted() -> Config:
    small = small_config(width=32, convolutions=3, look_ahead=0, block=5, cache=20, window=15)
    return dataclasses.replace(
        small,
        layout=dataclasses.replace(small.layout, tokens="stream"),
        data=dataclasses.replace(small.data, window=60, batch=BATCH),
        objective=ObjectiveConfig(clean_prefix=0.0, kept_conditions={"joint": 0.8, "avatar": 0.2}),
        optimizer=OptimizerConfig(kind="adamw", learning_rate=3e-3, warmup_steps=100),
        training=TrainingConfig(num_steps=STEPS),
    )


def trained(config: Config):
    state, step, draw = init_state(config), make_train_step(config), make_random_inputs(config)
    layout, rng = token_layout(config), np.random.default_rng(0)
    silence = np.zeros((BATCH, config.data.window, config.model.audio_dim), np.float32)
    for number in range(STEPS):
        user, motion = conversations(rng, BATCH, config.data.window)
        batch = {"avatar_motion": motion, "user_motion": user, "user_features": silence, "avatar_features": silence}
        state, _ = step(state, batch | {"reference_motion": np.zeros((BATCH, 3), np.float32)}, draw(number), layout)
    return state.ema_params


def streamed(config: Config, params, user: np.ndarray, condition_mask) -> np.ndarray:
    silence = jnp.zeros((SESSIONS, FRAMES, config.model.audio_dim))
    inputs = Conditions(user_motion=jnp.asarray(user), user_features=silence, avatar_features=silence)
    keys, reference_motion = jax.random.split(jax.random.key(1), SESSIONS), jnp.zeros((SESSIONS, 3))
    kept = jnp.broadcast_to(jnp.array(condition_mask, jnp.float32), (SESSIONS, 3))
    state = init_stream(keys, reference_motion, config.model, config.layout, SAMPLER, kept)
    step = make_step(ForcingTransformer(config.model), config.layout, SAMPLER)
    return np.asarray(rollout(step, params, state, inputs, config.layout.block)[0])


def gains(user: np.ndarray, avatar: np.ndarray) -> np.ndarray:
    """`[20, 3]`: the slope of each channel at each lag, over all sessions."""

    def slope(lag, c):
        over, under = sum(gain_terms(u[:, c], a[:, c], lag=lag) for u, a in zip(user, avatar, strict=True))
        return over / under

    return np.array([[slope(lag, c) for c in range(3)] for lag in range(20)])


@pytest.fixture
def optimised():
    """Thousands of steps: here XLA's optimisations pay for their time."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.mark.slow
def test_planted_gain_and_lag_are_recovered(optimised):
    config, rng = planted(), np.random.default_rng(1)
    params = trained(config)
    user, recorded = conversations(rng, SESSIONS, FRAMES)
    told = gains(user, recorded)
    np.testing.assert_allclose(told[LAGS, range(3)], GAINS, atol=0.03)
    found = gains(user, streamed(config, params, user, (1, 1, 1)))
    assert found[:, :2].argmax(axis=0).tolist() == LAGS[:2].tolist()
    np.testing.assert_allclose(found[LAGS, range(3)], GAINS, atol=0.08)
    assert np.abs(found[:, 2]).max() < 0.08
    alone = gains(user, streamed(config, params, user, (1, 0, 0)))
    assert np.abs(alone).max() < 0.08
