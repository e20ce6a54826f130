"""The latent codec against the released one's arrays: single layers, then every map of encoder and decoder."""

import jax
import numpy as np
import pytest

from afjax.weights import parity_latent
from tests.parity import fixtures


def compare(file: str, x64: bool = False):
    stored = fixtures.reference(file)
    keys = [key for key in stored if not key.startswith(("in/", "f64/"))]
    keys = [key for key in keys if f"f64/{key}" in stored] if x64 else keys
    tensors = {} if file == "ae_pieces" else fixtures.weights(file)
    got = parity_latent.arrays(file, stored, tensors, np.float64 if x64 else np.float32, keys)
    assert set(got) == set(keys)
    for key in keys:
        assert got[key].dtype == np.float64 or not x64
        fixtures.check(file, key, got[key], x64)


def test_layers():
    compare("ae_pieces")


def test_layers_in_double_precision():
    with jax.enable_x64(True):
        compare("ae_pieces", x64=True)


def test_small_network():
    compare("ae_small")


@pytest.mark.slow
@pytest.mark.parametrize("file", ["ae_small", "ae_full"])
def test_network_in_double_precision(file):
    with jax.enable_x64(True):
        compare(file, x64=True)


@pytest.mark.slow
def test_full_network():
    compare("ae_full")


def test_unknown_arrays_are_refused():
    with pytest.raises(KeyError):
        parity_latent.arrays("ae_pieces", fixtures.reference("ae_pieces"), {}, np.float32, ["upsample/out1"])
