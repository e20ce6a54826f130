"""PSNR, SSIM, LPIPS and the linear probe on known answers."""

import hashlib
import os
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.errors import InputError
from afjax.metrics.fidelity import psnr, ssim
from afjax.metrics.probe import linear_r2
from afjax.nn import vgg
from afjax.weights import lpips


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 24, 32, 3)).astype(np.uint8)


def test_psnr_of_a_known_error(pictures):
    wanted = np.full_like(pictures, 100)
    found = wanted + np.array([1, 10], np.uint8)[:, None, None, None]
    np.testing.assert_allclose(psnr(found, wanted), [48.1308, 28.1308], rtol=1e-5)
    assert psnr(wanted, wanted).tolist() == [100, 100]


def test_ssim_is_that_of_scikit_image(pictures):
    metrics = pytest.importorskip("skimage.metrics")
    noisy = np.clip(pictures + np.random.default_rng(1).normal(0, 25, pictures.shape), 0, 255).astype(np.uint8)
    settings = dict(channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255)
    wanted = [metrics.structural_similarity(a, b, **settings) for a, b in zip(noisy, pictures, strict=True)]
    np.testing.assert_allclose(ssim(noisy, pictures), wanted, atol=1e-6)
    np.testing.assert_allclose(ssim(pictures, pictures), 1.0)


def test_the_probe_finds_a_linear_map_and_nothing_in_noise():
    rng = np.random.default_rng(0)
    basis, mixing = rng.normal(size=(4, 16)), rng.normal(size=(4, 2))
    inputs, others = rng.normal(size=(300, 4)), rng.normal(size=(200, 4))
    told = linear_r2(inputs @ basis + 3, inputs @ mixing - 1, others @ basis + 3, others @ mixing - 1)
    np.testing.assert_allclose(told, 1.0, atol=1e-6)
    assert (linear_r2(inputs @ basis, rng.normal(size=(300, 2)), others @ basis, rng.normal(size=(200, 2))) < 0.1).all()


def _random_vgg() -> dict:
    rng, fan_in, layers = np.random.default_rng(0), 3, []
    for width in sum(vgg.STAGES, ()):
        kernel = rng.normal(0, (2 / (9 * fan_in)) ** 0.5, (3, 3, fan_in, width)).astype(np.float32)
        layers.append((kernel, np.zeros(width, np.float32)))
        fan_in = width
    return {"convolutions": layers, "heads": [np.ones(stage[-1], np.float32) for stage in vgg.STAGES]}


def test_lpips_of_equal_and_of_other_pictures():
    weights = jax.tree.map(jnp.asarray, _random_vgg())
    images = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32)
    maps = jax.eval_shape(vgg.vgg_features, weights, images)
    assert [each.shape for each in maps] == [(2, 16 >> n, 16 >> n, w[-1]) for n, w in enumerate(vgg.STAGES)]
    apart = jax.jit(vgg.lpips)
    np.testing.assert_allclose(apart(weights, images, images), 0, atol=1e-6)
    assert (np.asarray(apart(weights, images, -images)) > 0.1).all()


def test_other_files_are_no_weights(tmp_path, monkeypatch):
    path = tmp_path / "vgg16.ckpt"
    with pytest.raises(InputError, match="No such file"):
        lpips.load_vgg(path)
    path.write_bytes(pickle.dumps({"VGG16_0": {}}))
    with pytest.raises(InputError, match="SHA-256"):
        lpips.load_vgg(path)

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    path.write_bytes(pickle.dumps(Bomb()))
    monkeypatch.setattr(lpips, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(pickle.UnpicklingError, match="not allowed"):
        lpips.load_vgg(path)
    assert not (tmp_path / "made").exists()


def test_weights_come_out_as_they_were_stored(tmp_path, monkeypatch):
    made = _random_vgg()
    trunk = {f"Conv_{n}": {"kernel": k, "bias": b} for n, (k, b) in enumerate(made["convolutions"])}
    heads = {f"NetLinLayer_{n}": {"Conv_0": {"kernel": h.reshape(1, 1, -1, 1)}} for n, h in enumerate(made["heads"])}
    path = tmp_path / "vgg16.ckpt"
    path.write_bytes(pickle.dumps({"VGG16_0": trunk, **heads}))
    monkeypatch.setattr(lpips, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    jax.tree.map(np.testing.assert_array_equal, lpips.load_vgg(path), made)
