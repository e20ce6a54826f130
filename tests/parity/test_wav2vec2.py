"""wav2vec2 gives the stored numbers on synthetic weights, in float32 and in float64."""

import jax
import numpy as np
import pytest

from afjax.audio.wav2vec2 import features
from afjax.weights import parity_wav2vec2, synthetic
from tests.parity import fixtures

SEED = 7
FILES = ["wav2vec2_tiny", pytest.param("wav2vec2_base", marks=pytest.mark.slow)]


def weights(file: str) -> dict[str, np.ndarray]:
    tensors = fixtures.weights(file)
    shapes = parity_wav2vec2.projection_shapes(tensors)
    return tensors | {name: synthetic.tensor(name, shape, SEED) for name, shape in shapes.items()}


@pytest.mark.parametrize("x64", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("file", FILES)
def test_every_array(file, x64):
    stored = fixtures.reference(file)
    with jax.enable_x64(x64):
        found = parity_wav2vec2.arrays(file, stored, weights(file), np.float64 if x64 else np.float32)
    assert set(found) == {key for key in stored if not key.startswith(("in/", "f64/"))}
    for key, value in found.items():
        if np.issubdtype(stored[key].dtype, np.integer):
            np.testing.assert_array_equal(value, stored[key])
        elif not x64:
            fixtures.check(file, key, value)
        elif f"f64/{key}" in stored:
            assert value.dtype == np.float64
            fixtures.check(file, key, value, x64=True)


def test_standardised_wave():
    stored = fixtures.reference("wav2vec2_tiny")
    np.testing.assert_allclose(
        features.standardise(stored["in/wave_raw"]), stored["in/wave_normalised"], rtol=0, atol=1e-6
    )
