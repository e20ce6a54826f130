"""Layers of the latent codec on known answers, and the square around a face."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import convolve2d

from afjax.codec.latent import layers
from afjax.codec.latent.crop import Square, crop, square_of
from afjax.errors import InputError


def centres(size: int) -> np.ndarray:
    """The flow `[1, size, size, 2]` that reads every pixel at its centre."""
    line = (2 * np.arange(size) + 1) / size - 1
    return np.stack(np.meshgrid(line, line), -1).astype(np.float32)[None]


@pytest.fixture(scope="module")
def feature() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, 6, 6, 3)).astype(np.float32)


@pytest.mark.parametrize(("right", "down"), [(0, 0), (2, 0), (0, -3), (9, 9)])
def test_warp_by_whole_pixels_shifts_and_fills_with_zeros(feature, right, down):
    flow = centres(6) + np.array([right, down], np.float32) / 3
    expected = np.zeros_like(feature)
    for y in range(6):
        for x in range(6):
            if 0 <= y + down < 6 and 0 <= x + right < 6:
                expected[0, y, x] = feature[0, y + down, x + right]
    np.testing.assert_allclose(layers.warp(layers.pad_feature(feature), flow), expected, atol=1e-5)


def test_warp_by_half_a_pixel_is_the_mean_of_neighbours(feature):
    flow = centres(6) + np.array([1, 0], np.float32) / 6
    padded = np.pad(feature, ((0, 0), (0, 0), (0, 1), (0, 0)))
    expected = (padded[:, :, 1:] + padded[:, :, :-1]) / 2
    np.testing.assert_allclose(layers.warp(layers.pad_feature(feature), flow), expected, atol=1e-5)


def test_one_feature_is_read_by_every_frame(feature):
    flow = np.concatenate([centres(6), centres(6) * 0.5, centres(6) * 3])
    padded = layers.pad_feature(feature)
    own = layers.warp(jnp.concatenate([padded] * 3), flow)
    np.testing.assert_array_equal(layers.warp(padded, flow), own)


def test_zero_flow_magnifies_a_little():
    assert layers.grid(8, np.float32)[0, 0].tolist() == [-1, -1]
    assert layers.grid(8, np.float32)[3, 7, 0] == 1  # x first


def test_blur_is_a_true_convolution():
    x = np.random.default_rng(1).normal(size=(9, 7)).astype(np.float32)
    taps = np.array([0.1, 0.2, 0.3, 0.4])
    expected = convolve2d(np.pad(x, ((2, 1), (2, 1))), np.outer(taps, taps), mode="valid")
    got = layers.blur(x[None, :, :, None], (2, 1), tuple(taps))[0, :, :, 0]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_resampling_keeps_a_constant_inside():
    x = np.ones((1, 8, 8, 2), np.float32)
    np.testing.assert_allclose(layers.upsample(x)[:, 1:-1, 1:-1], 1, atol=1e-6)
    np.testing.assert_allclose(layers.downsample(x)[:, 1:-1, 1:-1], 1, atol=1e-6)


def test_upsampling_convolution_by_phases():
    rng = np.random.default_rng(2)
    x, kernel = rng.normal(size=(5, 5)), rng.normal(size=(3, 3))
    spread = np.zeros((11, 11))
    for y in range(5):
        for z in range(5):
            spread[2 * y : 2 * y + 3, 2 * z : 2 * z + 3] += x[y, z] * kernel
    taps = np.array(layers.BLUR) * 2
    expected = convolve2d(np.pad(spread, 1), np.outer(taps, taps), mode="valid")
    kernels = layers.phases(jnp.asarray(kernel, jnp.float32)[:, :, None, None])
    got = layers.modulated_up(x[None, :, :, None].astype(np.float32), jnp.ones((1, 1)), kernels, jnp.ones((1, 1)))
    np.testing.assert_allclose(got[0, :, :, 0], expected, rtol=1e-4, atol=1e-4)


def test_modulation_equals_scaled_weights():
    rng = np.random.default_rng(3)
    x, style = rng.normal(size=(2, 6, 6, 4)), rng.normal(size=(2, 4))
    weight = rng.normal(size=(5, 4, 3, 3))
    kernel = jnp.asarray(weight.transpose(2, 3, 1, 0), jnp.float32)
    x, style = x.astype(np.float32), style.astype(np.float32)
    demodulate = layers.demodulation(style, (weight.astype(np.float32) ** 2).sum((2, 3)))
    got = layers.modulated(x, style, kernel, demodulate)
    for n in range(2):
        own = kernel * style[n][None, None, :, None]
        own = own / jnp.sqrt((own**2).sum((0, 1, 2)) + 1e-8)
        np.testing.assert_allclose(got[n], layers.conv(x[n : n + 1], own)[0], rtol=1e-4, atol=1e-5)


def test_square_is_twice_the_mean_box():
    boxes = np.array([[100, 90, 140, 150], [120, 110, 160, 170]])
    assert square_of(boxes, 480, 640) == Square(70, 70, 120)


def test_square_stays_inside_the_picture():
    square = square_of(np.array([[10, 100, 110, 200]]), 480, 640)
    assert square == Square(0, 70, 160)  # cut to x 0..160, y 50..250
    assert square_of(np.array([[-50, -50, 900, 900]]), 480, 640).side == 480


def test_tiny_faces_are_refused():
    with pytest.raises(InputError, match="too small"):
        square_of(np.array([[100, 100, 110, 110]]), 480, 640)


def test_crop_reads_the_square():
    frame = np.zeros((40, 60, 3), np.uint8)
    frame[10:30, 20:40] = np.random.default_rng(4).integers(0, 255, (20, 20, 3))
    np.testing.assert_array_equal(crop(frame, Square(20, 10, 20), 20), frame[10:30, 20:40])
    halves = frame[10:30, 20:40].reshape(10, 2, 10, 2, 3).mean((1, 3))
    assert np.abs(crop(frame, Square(20, 10, 20), 10) - halves).max() <= 1
