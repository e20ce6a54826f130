"""wav2vec2's input against the stored one; its layers are compared by the parity report."""

import numpy as np

from afjax.audio.wav2vec2 import features
from tests.parity import fixtures


def test_standardised_wave():
    stored = fixtures.reference("wav2vec2_tiny")
    np.testing.assert_allclose(
        features.standardise(stored["in/wave_raw"]), stored["in/wave_normalised"], rtol=0, atol=1e-6
    )
