"""The anchor: nothing inside its band, back to the edge from outside, and the stream that uses it equals its twin."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.config import SamplerConfig, from_dict
from afjax.errors import InputError
from afjax.streaming.anchor import anchored, init_running_mean
from tests.small_model import small_config
from tests.streaming.test_stream_equals_offline import both_ways, given, relative, stream

FRAMES, MINUTE = 10, 150
ANCHOR = SamplerConfig(anchor_seconds=20.0, anchor_band=1.0)


def follow(steps, sampler, reference_motion=0.0):
    """Levels [blocks, sessions] of a model that goes on from the last frame it made, by `steps` [blocks, sessions]."""
    reference_motion = jnp.full((steps.shape[1], 1), reference_motion)

    def block(carry, step):
        slow, level = carry
        motion = jnp.broadcast_to((level + step)[:, None, None], (len(level), FRAMES, 1))
        slow, motion = anchored(slow, motion, reference_motion, sampler)
        level = motion[:, -1, 0]
        return (slow, level), level

    start = init_running_mean(reference_motion, sampler), jnp.zeros(steps.shape[1])
    return np.asarray(jax.lax.scan(block, start, jnp.asarray(steps, jnp.float32))[1])


def test_a_random_walk_stays_near_the_band():
    steps = 0.07 * np.random.default_rng(0).standard_normal((20 * MINUTE, 64))
    free, held = follow(steps, SamplerConfig()), follow(steps, ANCHOR)
    late = slice(10 * MINUTE, None)
    assert free[late].std() > 2.5
    assert held[late].std() < 1.0 and np.abs(held[late]).max() < 3.0
    assert held[-MINUTE:].std() == pytest.approx(held[10 * MINUTE : 11 * MINUTE].std(), rel=0.25)


def test_what_is_outside_meets_the_edge_without_overshooting():
    steps = np.zeros((8 * MINUTE, 1))
    steps[0] = 5.0
    level = follow(steps, ANCHOR, reference_motion=0.5)[:, 0]
    assert level[0] > 4.9 and level.min() > 1.49 and level[-1] == pytest.approx(1.5, abs=0.02)
    assert (np.diff(level) < 1e-6).all()


def test_inside_the_band_nothing_is_touched():
    rng = np.random.default_rng(0)
    motion, reference_motion = jnp.asarray(rng.standard_normal((4, FRAMES, 3)), jnp.float32), jnp.zeros((4, 3))
    slow, same = anchored(0.9 * jnp.ones((4, 3)), motion, reference_motion, ANCHOR)
    np.testing.assert_array_equal(same, motion)
    np.testing.assert_allclose(slow, 0.9 + (1 - np.exp(-0.08)) * (motion.mean(axis=1) - 0.9), rtol=1e-5)
    empty, same = anchored(
        init_running_mean(reference_motion, SamplerConfig()), motion, reference_motion, SamplerConfig()
    )
    assert same is motion and empty.shape == (4, 0)


def test_the_pull_grows_from_the_blocks_start():
    motion = jnp.full((1, FRAMES, 1), 3.0)
    _, pulled = anchored(jnp.full((1, 1), 3.0), motion, jnp.zeros((1, 1)), ANCHOR)
    np.testing.assert_allclose(3.0 - pulled[0, :, 0], 2.0 * np.arange(1, 11) / 500, rtol=1e-4)


@pytest.mark.slow
def test_the_stream_equals_its_twin():
    config, tight = small_config(depth=1), SamplerConfig(nfe=1, anchor_seconds=0.5, anchor_band=0.1)
    with jax.enable_x64(True):
        streamed, twin = both_ways(config, 23, dtype=jnp.float64, sampler=tight)
        assert relative(streamed, twin) < 1e-10
        free = stream(config, *given(config, 23, dtype=jnp.float64), sampler=SamplerConfig(nfe=1))
        assert relative(free, twin) > 1e-2, "the anchor pulls here"


def test_settings_are_checked():
    for values in ({"anchor_seconds": -1.0}, {"anchor_band": -0.1}):
        with pytest.raises(InputError, match="must not be negative"):
            from_dict(values, SamplerConfig)
