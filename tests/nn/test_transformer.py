"""Layers of the forcing transformer: known answers, invariances, causality through depth."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.nn import embeddings, masks
from afjax.nn.attention import attend
from afjax.nn.condition_encoder import motion_speed
from afjax.nn.rope import rotate
from afjax.nn.token_layout import frame_layout, pass_layout
from afjax.nn.transformer import ForcingTransformer
from tests.small_model import conditions, scrambled, small_config


def test_rotation_keeps_lengths_and_scores_depend_on_differences():
    q, k = (jnp.asarray(np.random.default_rng(i).standard_normal((1, 4, 2, 8)), jnp.float32) for i in range(2))
    here, there = jnp.arange(4), jnp.arange(4) + 1000
    np.testing.assert_allclose(jnp.linalg.norm(rotate(q, here), axis=-1), jnp.linalg.norm(q, axis=-1), rtol=1e-5)
    scores = [jnp.einsum("bqhe,bkhe->bhqk", rotate(q, p), rotate(k, p)) for p in (here, there)]
    np.testing.assert_allclose(*scores, atol=2e-3)
    np.testing.assert_array_equal(rotate(q, jnp.zeros(4)), q)


def test_rotation_turns_adjacent_pairs():
    x = jnp.zeros((1, 1, 1, 4)).at[..., 0].set(1.0)
    turned = rotate(x, jnp.array([1.0]))[0, 0, 0]
    np.testing.assert_allclose(turned, [np.cos(1), np.sin(1), 0, 0], atol=1e-6)


def test_level_embedding_has_cosines_first():
    embedded = embeddings.sinusoid(jnp.array([0.0, 2.0]), 8)
    np.testing.assert_allclose(embedded[0], [1, 1, 1, 1, 0, 0, 0, 0])
    np.testing.assert_allclose(embedded[1, [0, 4]], [np.cos(2), np.sin(2)], atol=1e-6)


def test_attention_of_one_key_is_its_value():
    rng = np.random.default_rng(0)
    q, k, v = (jnp.asarray(rng.standard_normal((1, 3, 2, 4)), jnp.float32) for _ in range(3))
    np.testing.assert_allclose(attend(q, k, v, jnp.eye(3, dtype=bool)), v.reshape(1, 3, 8), rtol=1e-6)


def test_network_is_zero_before_training():
    config = small_config()
    model = ForcingTransformer(config.model)
    params = scrambled(config, scale=0.0)
    c = conditions(config, 1, 20)
    x = jnp.ones((1, 20, config.model.motion_dim))
    layout = frame_layout(config.layout, 20)
    forward = jax.jit(partial(model.apply, method="forward"))
    out = forward(params, x, x[..., 0], x[:, 0], c, jnp.ones((1, 3)), layout)
    np.testing.assert_array_equal(out, 0)


@cache
def jacobians(model: ForcingTransformer):
    """Jitted: how velocities [n, d] answer to motion and to user motion [1, n, d], with the layout as an argument."""

    def velocity(x, user, params, given, layout):
        given, level = given._replace(user_motion=user), jnp.full(x.shape[:2], 0.5)
        forward = model.apply(params, x, level, 0 * x[:, 0], given, jnp.ones((1, 3)), layout, method="forward")
        return forward[0].sum(-1)

    return jax.jit(jax.jacobian(velocity, argnums=(0, 1)))


@pytest.mark.parametrize("encoder", ["windowed", "released"])
@pytest.mark.parametrize("mask", masks.MASKS)
@pytest.mark.parametrize("make, frames", [(frame_layout, 14), (pass_layout, 12)])
def test_perturbation_reaches_exactly_what_the_masks_allow(encoder, mask, make, frames):
    """The Jacobian's pattern equals the transitive closure of the masks over the depth.

    Both layouts have 14 tokens, so that one compiled Jacobian serves them all.
    """
    config = small_config(encoder=encoder, mask=mask, block=4, look_ahead=1, cache=6, window=3)
    layout = make(config.layout, frames)
    with jax.enable_x64(True):
        given = conditions(config, 1, frames, jnp.float64)
        x = jnp.asarray(np.random.default_rng(1).standard_normal((1, len(layout.frame), config.model.motion_dim)))
        params = scrambled(config, scale=0.15, dtype=jnp.float64)
        by_motion, by_user = jacobians(ForcingTransformer(config.model))(x, given.user_motion, params, given, layout)
    depth = config.model.depth
    through_motion = masks.receptive_field(layout.attention_mask, depth)
    np.testing.assert_array_equal(np.abs(by_motion[:, 0]).max(-1) > 0, through_motion)
    # an entry's condition reads user motion through the encoder's mask, and tokens read conditions by the alignment
    condition = layout.cross_mask @ layout.encoder_mask @ (layout.condition_frame[:, None] == np.arange(frames))
    later = [masks.receptive_field(layout.attention_mask, depth - 1 - layer) for layer in range(depth)]
    through_user = np.any([reached @ condition for reached in later], axis=0)
    np.testing.assert_array_equal(np.abs(by_user[:, 0]).max(-1) > 0, through_user)


def test_moves_are_over_three_frames_that_are_there():
    motion, there = jnp.array([0, 1, 5, -2, -2, -2, 4.0])[None, :, None], jnp.arange(7) > 0
    np.testing.assert_array_equal(motion_speed(motion, there)[0, :, 0], [0, 0, 0, 0, 3, 7, 6])


def test_levels_that_are_told_are_those_of_the_tokens():
    config = small_config()
    model, params = ForcingTransformer(config.model), scrambled(config, 0.2)
    rng, n = np.random.default_rng(0), 8
    motion = jnp.asarray(rng.standard_normal((2, n, config.model.motion_dim)), jnp.float32)
    condition = jnp.asarray(rng.standard_normal((2, n, config.model.width)), jnp.float32)
    level = jnp.where(jnp.arange(n) < 3, 0.0, 0.7)
    masks_, place = (np.ones((n, n), bool),) * 2, np.arange(n)

    @jax.jit
    def both(params, other):
        cross = model.apply(params, condition, place, method="project")

        def velocity(level):
            return model.apply(params, motion, level, motion[:, 0], cross, masks_, place)[0]

        return [velocity(jnp.broadcast_to(level, (2, n)))] + [
            velocity(model.apply(params, each[None], method="modulations")) for each in (level, other)
        ]

    tokens, told, wrong = both(params, level + 0.1)
    np.testing.assert_allclose(told, tokens, atol=1e-6)
    assert np.abs(wrong - tokens).max() > 1e-4
