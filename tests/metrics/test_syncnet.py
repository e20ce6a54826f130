import numpy as np
import pytest

from afjax.errors import InputError
from afjax.metrics.pretrained import mfcc, pictures, syncnet

FIRST = [
    18.77387,
    23.90523,
    11.32572,
    -0.77056,
    -13.03439,
    -23.57340,
    -28.83458,
    -29.74603,
    -25.73143,
    -19.56418,
    -11.92415,
    -6.31438,
    -2.70672,
]
MIDDLE = [
    21.53822,
    -5.85020,
    -44.14382,
    -37.80731,
    5.31559,
    27.08839,
    1.28717,
    -31.99080,
    -25.34712,
    6.33703,
    18.00138,
    -0.73444,
    -17.13194,
]


def embeddings(seed=0, frames=300, size=8):
    found = np.random.default_rng(seed).normal(size=(frames, size))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.parametrize("late", [-7, 0, 4])
def test_a_mouth_that_is_late_has_its_lag(late):
    audio = embeddings()
    found = syncnet.sync(np.roll(audio, late, axis=0), audio)
    assert found.lag == late
    assert found.distance < 2 * 15 / 300  # the few frames whose sound lies outside the clip
    np.testing.assert_allclose(found.confidence, np.sqrt(2.0), atol=0.1)  # unrelated unit vectors, in many dimensions


def test_figures_by_hand():
    video, audio = np.array([[3.0], [4.0]]), np.array([[3.0], [5.0]])
    # k = -1: |3 - 0|, |4 - 3|; k = 0: 0, 1; k = 1: |3 - 5|, |4 - 0|
    assert syncnet.offset_distances(video, audio, reach=1).tolist() == [2.0, 0.5, 3.0]
    assert syncnet.sync(video, audio, reach=1) == (0.5, 1.5, 0)


def test_unrelated_embeddings_have_little_confidence():
    assert syncnet.sync(embeddings(0), embeddings(1)).confidence < 0.1


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="T, E"):
        syncnet.sync(embeddings(frames=10), embeddings(frames=9))


def test_energy_and_silence():
    quiet = mfcc.mfcc(np.zeros(1600))
    assert quiet.shape == (13, 9) and np.isfinite(quiet).all()
    np.testing.assert_allclose(quiet[0], np.log(np.finfo(float).eps))
    wave = np.random.default_rng(0).normal(0.0, 0.1, 8000)
    louder, soft = mfcc.mfcc(wave * 2.0), mfcc.mfcc(wave)
    np.testing.assert_allclose(louder[0] - soft[0], np.log(4.0), atol=1e-4)
    np.testing.assert_allclose(louder[1:], soft[1:], atol=1e-3)  # loudness is in coefficient 0 alone


def test_a_tone_lights_its_band():
    bands = mfcc._triangles()
    assert bands.shape == (26, 257) and bands.max() == 1.0
    np.testing.assert_allclose(bands[:, 10:200].sum(axis=0), 1.0)  # neighbours cross over
    assert np.flatnonzero(bands[:, 32]).tolist() == [8, 9]  # 1000 Hz is 1000 mel, corners are 105.2 mel apart


def test_coefficients_of_a_known_wave():
    """Stored figures of another implementation of the same definition, for a chirp."""
    t = np.arange(4000) / 16000
    found = mfcc.mfcc((0.3 * np.sin(2 * np.pi * (200 * t + 4000 * t**2))).astype(np.float32))
    assert found.shape == (13, 24)
    np.testing.assert_allclose(found[:, 0], FIRST, rtol=1e-4)
    np.testing.assert_allclose(found[:, 12], MIDDLE, rtol=1e-4)


def test_sound_and_lips_have_as_many_windows():
    frames = 12
    sound = mfcc.syncnet_sound_input(np.random.default_rng(0).normal(size=640 * frames).astype(np.float32), frames)
    faces = np.zeros((frames, 224, 224, 3), np.uint8)
    faces[3, ..., 0] = 200
    lips = pictures.syncnet_lips_input(faces)
    assert sound.shape == (7, 1, 13, 20) and lips.shape == (7, 3, 5, 224, 224)
    assert (lips[1, 2, 2] == 200).all() and lips.sum() == lips[:, 2].sum()  # red is the last of BGR
    with pytest.raises(InputError, match="of sound"):
        mfcc.syncnet_sound_input(np.zeros(640 * 8), frames)
