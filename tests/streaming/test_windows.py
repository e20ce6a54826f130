"""Models that generate in windows (mask bidirectional, no cache): the stream is their sampler, and equals the twin."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.config import SamplerConfig
from afjax.nn.token_layout import pass_layout
from afjax.nn.transformer import ForcingTransformer
from afjax.streaming.rollout import rollout
from afjax.streaming.state import init_stream
from afjax.streaming.step import make_step
from tests.small_model import conditions, scrambled, small_config
from tests.streaming.test_stream_equals_offline import both_ways, relative


def windows(block, look_ahead, encoder="windowed", **sizes):
    return small_config(encoder=encoder, mask="bidirectional", block=block, look_ahead=look_ahead, cache=0, **sizes)


@pytest.mark.parametrize("encoder", ["windowed", pytest.param("released", marks=pytest.mark.slow), "memory"])
def test_stream_of_windows_equals_the_twin_in_float64(encoder):
    with jax.enable_x64(True):
        assert relative(*both_ways(windows(10, 4, encoder), 33, dtype=jnp.float64)) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("encoder, block", [("windowed", 50), ("memory", 75)])
def test_windows_of_the_presets_equal_the_twin_in_float32(encoder, block):
    assert relative(*both_ways(windows(block, 10, encoder, depth=1), 2 * block + 7, sessions=1)) < 1e-5


@pytest.mark.slow
def test_memory_encoder_with_a_causal_window_streams_too():
    config = small_config(encoder="memory")
    config = dataclasses.replace(config, layout=dataclasses.replace(config.layout, condition_window=4))
    with jax.enable_x64(True):
        assert relative(*both_ways(config, 23, dtype=jnp.float64)) < 1e-10


def test_a_window_sees_all_of_itself_and_of_its_context_and_nothing_else():
    layout = pass_layout(windows(5, 2).layout, 15)
    np.testing.assert_array_equal(layout.frame, [0, 1, 2, 3, 4, 3, 4, 5, 6, 7, 8, 9, 8, 9, 10, 11, 12, 13, 14])
    window = np.repeat([0, 1, 2], [5, 7, 7])
    np.testing.assert_array_equal(layout.attention_mask, window[:, None] == window[None, :])
    np.testing.assert_array_equal(np.flatnonzero(layout.is_clean), [5, 6, 12, 13])


def test_clips_of_any_length():
    """Whole windows do not depend on how long the clip goes on; the last one is cut to the clip."""
    config = windows(50, 10, depth=1)
    model, params = ForcingTransformer(config.model), scrambled(config, 0.2)
    sampler = SamplerConfig(nfe=1)
    step = make_step(model, config.layout, sampler)
    inputs = conditions(config, 1, 160)
    keys, reference_motion = jax.random.split(jax.random.key(0), 1), jnp.zeros((1, config.model.motion_dim))

    def run(frames):
        state = init_stream(keys, reference_motion, config.model, config.layout, sampler)
        return rollout(step, params, state, jax.tree.map(lambda x: x[:, :frames], inputs), 50)[0]

    whole = run(160)
    for frames in (1, 49, 50, 51, 137):
        motion = run(frames)
        assert motion.shape == (1, frames, 3) and np.isfinite(motion).all()
        done = frames - frames % 50
        np.testing.assert_array_equal(motion[:, :done], whole[:, :done])
    assert step._cache_size() == 1
