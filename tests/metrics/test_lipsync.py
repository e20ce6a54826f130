import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from afjax.metrics import bootstrap, lipsync


def mouths(n=5, frames=300, seed=0):
    return gaussian_filter1d(np.random.default_rng(seed).normal(size=(n, frames)), 1.5, axis=1)


ALWAYS = np.ones((5, 300), bool)


def test_recorded_is_1_at_lag_0():
    curves = lipsync.curve(mouths(), mouths(), ALWAYS)
    np.testing.assert_allclose(lipsync.corr(curves), 1.0)
    assert bootstrap.interval(curves, 0, lipsync.lag)["mean"] == 0


@pytest.mark.parametrize("shift", [-4, 3, 10])
def test_a_shifted_mouth_has_the_shift_as_its_lag(shift):
    curves = lipsync.curve(np.roll(mouths(), shift, axis=1), mouths(), ALWAYS)
    assert bootstrap.interval(curves, 0, lipsync.lag)["mean"] == shift
    assert (lipsync.corr(curves) < 0.6).all()


def test_only_frames_of_speech_count():
    speaking = np.zeros((5, 300), bool)
    speaking[:, 100:200] = True
    mouth = np.where(speaking, mouths(), mouths(seed=1))
    np.testing.assert_allclose(lipsync.corr(lipsync.curve(mouth, mouths(), speaking)), 1.0)
    assert (lipsync.corr(lipsync.curve(mouth, mouths(), ~speaking)) < 0.5).all()


def test_a_clip_without_speech_is_left_out():
    speaking = ALWAYS.copy()
    speaking[2] = False
    speaking[3, 20:] = False
    corr = lipsync.corr(lipsync.curve(mouths(), mouths(), speaking))
    assert np.isnan(corr).tolist() == [False, False, True, True, False]


def test_a_closed_mouth_has_neither_correlation_nor_lag():
    curves = lipsync.curve(np.zeros((5, 300)), mouths(), ALWAYS)
    assert (lipsync.corr(curves) == 0).all()
    assert bootstrap.interval(curves, 0, lipsync.lag)["mean"] is None
