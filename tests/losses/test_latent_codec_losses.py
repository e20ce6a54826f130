"""Losses of the latent codec on known answers."""

import jax.numpy as jnp
import numpy as np
import pytest

from afjax.losses import latent_codec as losses


def test_the_distance_is_the_mean_absolute_difference():
    found, wanted = np.zeros((2, 4, 4, 3), np.float32), np.full((2, 4, 4, 3), -0.5, np.float32)
    assert losses.distance(found, wanted) == pytest.approx(0.5)


def test_a_mask_leaves_what_it_covers():
    wanted = np.zeros((1, 4, 4, 2), np.float32)
    found = wanted.copy()
    found[0, 1, 2] = 3.0
    found[0, 3, 3] = 100.0
    mask = np.zeros((1, 4, 4), np.float32)
    mask[0, 1, 1:3] = 1.0
    assert losses.distance(found, wanted, mask) == pytest.approx(1.5)
    assert losses.distance(found, wanted, 0.5 * mask) == pytest.approx(1.5)
    assert losses.distance(found, wanted, 0 * mask) == 0


def test_the_gram_matrix_of_constant_maps():
    maps = np.broadcast_to(np.array([1.0, 2.0], np.float32), (3, 5, 4, 2))
    np.testing.assert_allclose(losses.gram(maps), np.broadcast_to([[0.5, 1], [1, 2]], (3, 2, 2)), rtol=1e-6)
    assert losses.style([maps, maps], [maps, 0 * maps]) == pytest.approx(1.125)


def test_the_order_of_pixels_has_no_style():
    maps = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
    assert losses.style([maps], [maps[:, ::-1, ::-1]]) == pytest.approx(0, abs=1e-6)


def test_adversarial_losses_at_zero_and_far_out():
    zeros, high = np.zeros(4, np.float32), np.full(4, 50.0, np.float32)
    assert losses.adversarial(zeros) == pytest.approx(np.log(2), rel=1e-6)
    assert losses.adversarial(-high) == pytest.approx(50, rel=1e-6)
    assert losses.discriminator(zeros, zeros) == pytest.approx(2 * np.log(2), rel=1e-6)
    assert losses.discriminator(high, -high) == pytest.approx(0, abs=1e-6)


def test_the_penalty_of_a_linear_discriminator_is_half_of_its_squared_weights():
    weights = np.random.default_rng(0).normal(size=(4, 4, 3)).astype(np.float32)
    images = np.random.default_rng(1).normal(size=(5, 4, 4, 3)).astype(np.float32)
    found = losses.r1(lambda x: (x * weights).sum((1, 2, 3)), jnp.asarray(images))
    assert found == pytest.approx(0.5 * (weights**2).sum(), rel=1e-5)
