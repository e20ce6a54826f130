"""The stream equals its offline twin, and nothing after a pass reaches what it delivered."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.config import MASKS, SamplerConfig, from_dict
from afjax.nn.transformer import ForcingTransformer
from afjax.streaming.offline import offline
from afjax.streaming.rollout import rollout
from afjax.streaming.state import AXES, init_stream
from afjax.streaming.step import make_start, make_step
from experiments.configs import released
from tests.small_model import conditions, scrambled, small_config

SLOW = pytest.mark.slow
SAMPLER = SamplerConfig(nfe=2, guidance_avatar=0.5, guidance_user=0.7, guidance_joint=0.3)


def given(config, frames, sessions=2, dtype=jnp.float32):
    """Parameters, keys, references, kept conditions and inputs."""
    keys = jax.random.split(jax.random.key(3), sessions)
    reference_motion = jnp.asarray(np.random.default_rng(2).standard_normal((sessions, config.model.motion_dim)), dtype)
    condition_mask, inputs = jnp.ones((sessions, 3), dtype), conditions(config, sessions, frames, dtype)
    return scrambled(config, 0.2, dtype), keys, reference_motion, condition_mask, inputs


def stream(config, params, keys, reference_motion, condition_mask, inputs, sampler=SAMPLER):
    """Motion [b, t, d] of the stream."""
    state = init_stream(keys, reference_motion, config.model, config.layout, sampler, condition_mask)
    step = make_step(ForcingTransformer(config.model), config.layout, sampler)
    return rollout(step, params, state, inputs, config.layout.block)[0]


def both_ways(config, frames, sessions=2, dtype=jnp.float32, sampler=SAMPLER):
    """Motion of the stream and of the twin [b, t, d]."""
    arguments = given(config, frames, sessions, dtype)
    twin = offline(ForcingTransformer(config.model), config.layout, sampler, *arguments)
    return stream(config, *arguments, sampler=sampler), twin


def relative(a, b) -> float:
    return float(jnp.abs(a - b).max() / jnp.sqrt(jnp.mean(b**2)))


SIZES = [(5, 2, 32), (10, 0, 33), (5, 0, 32), (10, 2, 33)]
FAST = [((5, 2, 32), "blockwise_lookahead"), ((10, 0, 33), "blockwise")]


@pytest.mark.parametrize(
    "block, look_ahead, frames, mask",
    [pytest.param(*size, mask, marks=[] if (size, mask) in FAST else SLOW) for size in SIZES for mask in MASKS],
)
def test_equal_to_rounding_of_float64(block, look_ahead, frames, mask):
    with jax.enable_x64(True):
        config = small_config(mask=mask, block=block, look_ahead=look_ahead)
        assert relative(*both_ways(config, frames, dtype=jnp.float64)) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("encoder, mask", [("released", "framewise_lookahead"), ("windowed", "blockwise_lookahead")])
def test_equal_to_rounding_of_float64_block_25(encoder, mask):
    with jax.enable_x64(True):
        config = small_config(encoder=encoder, mask=mask, block=25, look_ahead=2, cache=38)
        assert relative(*both_ways(config, 88, sessions=4, dtype=jnp.float64)) < 1e-10


@pytest.mark.parametrize("block, look_ahead, window", [pytest.param(5, 0, 4, marks=SLOW), (5, 2, 16)])
def test_equal_with_convolutions_an_answer_head_and_a_second_order_solver(block, look_ahead, window):
    """The convolutions read more frames than the cache holds and fewer than the attention's windows, or more."""
    sampler = replace(SAMPLER, nfe=4, solver="dpm_solver_pp", grid="power")
    with jax.enable_x64(True):
        config = small_config(block=block, look_ahead=look_ahead, window=window, convolutions=3, answer_head=True)
        assert relative(*both_ways(config, 33, dtype=jnp.float64, sampler=sampler)) < 1e-10


def test_equal_where_the_encoder_is_told_relative_motion():
    with jax.enable_x64(True):
        config = small_config(convolutions=2, relative_frames=7)
        assert relative(*both_ways(config, 33, dtype=jnp.float64)) < 1e-10


def test_blocks_after_a_start_know_their_user_as_blocks_alone_do():
    config = small_config(convolutions=1, relative_frames=7, look_ahead=0)
    params, keys, reference_motion, condition_mask, inputs = given(config, 30)
    model, block = ForcingTransformer(config.model), config.layout.block
    step, start = (make(model, config.layout, SAMPLER) for make in (make_step, make_start))

    def known(first):
        state = init_stream(keys, reference_motion, config.model, config.layout, SAMPLER, condition_mask)
        return rollout(step, params, state, inputs, block, start, first)[1].user_statistics

    for started, alone, at_first in zip(known(10), known(0), known(20), strict=True):
        np.testing.assert_allclose(started, alone, atol=1e-6)
        np.testing.assert_allclose(at_first, alone, atol=1e-6)
        assert np.abs(alone).max() > 0.05


def test_released_preset_from_an_empty_cache():
    """Its own mask, condition encoder, grid, guidance, block and cache; only the network is small."""
    preset = from_dict(released.get_config("empty").to_dict())
    small = small_config(encoder=preset.model.condition_encoder)
    with jax.enable_x64(True):
        streamed, twin = both_ways(replace(preset, model=small.model), 63, dtype=jnp.float64, sampler=preset.sampler)
        assert relative(streamed, twin) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["windowed", "released"])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("block, look_ahead", [(25, 0), (25, 2), (10, 2)])
def test_equal_to_rounding_of_float64_other_sizes(encoder, mask, block, look_ahead):
    with jax.enable_x64(True):
        config = small_config(encoder=encoder, mask=mask, block=block, look_ahead=look_ahead, cache=38)
        assert relative(*both_ways(config, 88, dtype=jnp.float64)) < 1e-10


@pytest.mark.parametrize(
    "encoder, block, look_ahead, frames",
    [
        ("windowed", 5, 0, 33),
        pytest.param("released", 25, 2, 75, marks=SLOW),
        pytest.param("windowed", 25, 2, 75, marks=SLOW),
        pytest.param("released", 5, 0, 33, marks=SLOW),
    ],
)
def test_equal_to_rounding_of_float32(encoder, block, look_ahead, frames):
    config = small_config(encoder=encoder, block=block, look_ahead=look_ahead)
    assert relative(*both_ways(config, frames, sessions=1)) < 1e-5


def test_the_twin_notices_a_wrong_cache():
    """The comparison can fail: a stream with a cache of one frame less is far outside the limit."""
    whole, less = (stream(config, *given(config, 33)) for config in (small_config(cache=12), small_config(cache=11)))
    assert relative(less, whole) > 1e-3


def test_sessions_at_different_positions_do_not_touch_each_other():
    """Four sessions that started at different times equal the same sessions alone."""
    config = small_config()
    model, params, block = ForcingTransformer(config.model), scrambled(config, 0.2), config.layout.block
    step = make_step(model, config.layout, SAMPLER)
    inputs = conditions(config, 4, 10 * block)
    keys = jax.random.split(jax.random.key(5), 4)
    reference_motion = jnp.zeros((4, config.model.motion_dim))

    def alone(i, blocks):
        state = init_stream(keys[i : i + 1], reference_motion[:1], config.model, config.layout, SAMPLER)
        piece = jax.tree.map(lambda x: x[i : i + 1, : blocks * block], inputs)
        return rollout(step, params, state, piece, block)

    ages = (0, 1, 3, 7)
    states = [alone(i, age)[1] if age else fresh(config, keys[i : i + 1]) for i, age in enumerate(ages)]

    def join(name):
        return jax.tree.map(lambda *x: jnp.concatenate(x, AXES.get(name, 0)), *(getattr(s, name) for s in states))

    def piece(i, age):
        return jax.tree.map(lambda x: x[i : i + 1, age * block : (age + 1) * block], inputs)

    joined = states[0].replace(**{name: join(name) for name in states[0].__dataclass_fields__})
    pieces = [piece(i, age) for i, age in enumerate(ages)]
    _, motion = step(params, joined, jax.tree.map(lambda *x: jnp.concatenate(x), *pieces))
    for i, age in enumerate(ages):
        expected, _ = alone(i, age + 1)
        np.testing.assert_allclose(motion[i], expected[0, age * block :], rtol=0, atol=2e-5)


def fresh(config, keys):
    reference_motion = jnp.zeros((1, config.model.motion_dim))
    return init_stream(keys, reference_motion, config.model, config.layout, SAMPLER)


@pytest.mark.parametrize("name", ["avatar_features", "user_features", "user_motion"])
def test_inputs_after_a_pass_leave_what_was_delivered_bit_equal(name):
    config = small_config()
    model, params = ForcingTransformer(config.model), scrambled(config, 0.2)
    step = make_step(model, config.layout, SAMPLER)
    inputs = conditions(config, 1, 30)
    changed = inputs._replace(**{name: getattr(inputs, name).at[:, 15:].add(3.0)})
    keys = jax.random.split(jax.random.key(0), 1)
    a, b = (rollout(step, params, fresh(config, keys), c, config.layout.block)[0] for c in (inputs, changed))
    np.testing.assert_array_equal(a[:, :15], b[:, :15])
    assert np.abs(a[:, 15:20] - b[:, 15:20]).max() > 1e-3


def test_dropped_conditions_have_no_effect():
    config = small_config(convolutions=1, relative_frames=4)
    model, params = ForcingTransformer(config.model), scrambled(config, 0.2)
    step = make_step(model, config.layout, SAMPLER)
    inputs = conditions(config, 1, 20)
    silent = inputs._replace(user_motion=inputs.user_motion * 0 + 7, user_features=inputs.user_features * 0 - 7)
    keys, reference_motion = jax.random.split(jax.random.key(0), 1), jnp.zeros((1, config.model.motion_dim))

    def run(c, condition_mask):
        state = init_stream(keys, reference_motion, config.model, config.layout, SAMPLER, jnp.array([condition_mask]))
        return rollout(step, params, state, c, config.layout.block)[0]

    np.testing.assert_array_equal(run(inputs, (1.0, 0.0, 0.0)), run(silent, (1.0, 0.0, 0.0)))
    assert np.abs(run(inputs, (1.0, 1.0, 1.0)) - run(silent, (1.0, 1.0, 1.0))).max() > 1e-3


def test_two_thousand_blocks_in_one_compiled_step():
    """No retrace, no hidden transfer, the state keeps its size, the output stays finite."""
    config = small_config(width=8, depth=1)
    model, params = ForcingTransformer(config.model), scrambled(config, 0.1)
    step = make_step(model, config.layout, SamplerConfig(nfe=1))
    state = fresh_state = init_stream(
        jax.random.split(jax.random.key(0), 1), jnp.zeros((1, 3)), config.model, config.layout, SamplerConfig(nfe=1)
    )
    sizes = jax.tree.map(lambda x: (x.shape, x.dtype), fresh_state)
    blocks = [conditions(config, 1, config.layout.block, seed=i) for i in range(8)]
    state, motion = step(params, state, blocks[0])
    with jax.transfer_guard("disallow"):
        for i in range(2000):
            state, motion = step(params, state, blocks[i % 8])
    assert step._cache_size() == 1
    assert jax.tree.map(lambda x: (x.shape, x.dtype), state) == sizes
    assert np.isfinite(motion).all() and np.abs(motion).max() < 1e3
