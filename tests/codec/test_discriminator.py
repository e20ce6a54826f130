"""The discriminator, and the boxes, masks and cut-outs of eyes and mouth, on known answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.codec.face.track.template import load_template
from afjax.codec.latent import parts
from afjax.codec.latent.crop import Square
from afjax.codec.latent.discriminator import _deviation, discriminate, init_discriminator, prepare_discriminator

CHANNELS = (6, 6, 4, 4)


def test_one_number_a_picture_and_a_map_a_block():
    params = init_discriminator(32, CHANNELS, jax.random.key(0))
    pictures = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3)).astype(np.float32)
    logits, maps = jax.jit(discriminate)(prepare_discriminator(params), pictures)
    assert logits.shape == (4,) and np.ptp(logits) > 1e-3
    assert [each.shape for each in maps] == [(4, 16, 16, 4), (4, 8, 8, 6), (4, 4, 4, 6)]


def test_equal_pictures_have_no_deviation():
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 3)).astype(np.float32)
    same = _deviation(jnp.asarray(x.repeat(4, 0)))
    assert same.shape == (4, 4, 4, 1)
    np.testing.assert_allclose(same, 1e-4, rtol=1e-4)
    signs = np.array([1, 1, -1, -1], np.float32)[:, None, None, None]
    np.testing.assert_allclose(_deviation(jnp.asarray(signs * np.ones_like(x))), 1.0, rtol=1e-6)


def test_groups_of_the_deviation_do_not_mix():
    group = np.zeros((8, 4, 4, 1), np.float32)
    group[::2] = np.array([1, 1, -1, -1])[:, None, None, None]  # pictures 0, 2, 4, 6 are one group, all others equal
    np.testing.assert_allclose(_deviation(jnp.asarray(group))[:, 0, 0, 0], [1, 1e-4] * 4, rtol=1e-3)


@pytest.mark.parametrize(("box", "pixels"), [((0.25, 0.5, 0.75, 0.75), 8), ((-1, -1, 2, 2), 64), ((0.5, 0, 0.5, 1), 0)])
def test_masks_cover_the_box_s_area(box, pixels):
    found = np.asarray(parts.mask(jnp.array(box), 8))
    assert found.shape == (8, 8) and found.sum() == pytest.approx(pixels, abs=1e-4)
    assert 0 <= found.min() and found.max() <= 1 + 1e-6


def test_masks_are_rows_then_columns_and_share_border_pixels():
    found = np.asarray(parts.mask(jnp.array([0.0, 0.5, 0.25, 0.875]), 4))
    np.testing.assert_allclose(found, [[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0.5, 0, 0, 0]], atol=1e-6)


def test_cutting_along_pixels_copies_them():
    image = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    boxes = np.array([[0.25, 0.5, 0.75, 1.0], [0, 0, 1, 1]], np.float32)
    np.testing.assert_allclose(parts.cut(image, boxes, 4)[0], image[0, 4:8, 2:6], atol=1e-5)
    np.testing.assert_allclose(parts.cut(image, boxes, 8)[1], image[1], atol=1e-5)


def test_boxes_lie_around_eyes_and_mouth():
    mesh = load_template() * (100, 100, 100) + (200, 150, 0)
    left, right, mouth = parts.boxes_of(mesh, Square(100, 50, 200))
    corners = (mesh[[33, 263, 61], :2] + 0.5 - (100, 50)) / 200
    for box, corner in zip((left, right, mouth), corners, strict=True):
        assert (box[:2] < corner).all() and (corner < box[2:]).all()
        assert box[2] - box[0] == pytest.approx(box[3] - box[1], rel=1e-5)
    assert left[2] <= right[0] and max(left[3], right[3]) < mouth[3]
    moved = parts.boxes_of(mesh + (20, 0, 0), Square(100, 50, 200))
    np.testing.assert_allclose(moved[:, 0] - [left[0], right[0], mouth[0]], 0.1, atol=1e-5)
