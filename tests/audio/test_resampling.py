"""Resampling in chunks: known answers, no shift in time, no matter how the sound is cut."""

import numpy as np
import pytest

from afjax.audio.resampling import Resampler, _kernel

RATES = [8_000, 11_025, 22_050, 24_000, 44_100, 44_101, 48_000, 96_000]


def tone(rate: int, hertz: float, seconds: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def resampled(wave, rate, chunks=None) -> np.ndarray:
    stream, pieces = Resampler(rate), []
    for chunk in [wave] if chunks is None else np.split(wave, chunks):
        pieces.append(stream(chunk))
    return np.concatenate([*pieces, stream.flush()])


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_is_the_tone_at_16_khz(rate):
    """Amplitude and phase hold up to 3 kHz: the sound is not shifted by a hundredth of a sample."""
    for hertz in (200.0, 3000.0):
        out, expected = resampled(tone(rate, hertz, 0.5), rate), tone(16_000, hertz, 0.5)
        assert abs(len(out) - len(expected)) <= 1
        bound = 1e-3 if rate == 44_101 else 2e-4
        np.testing.assert_allclose(out[100:7900], expected[100:7900], atol=bound)


def test_a_ramp_is_the_ramp():
    out = resampled(np.linspace(-1, 1, 48_000, endpoint=False, dtype=np.float32), 48_000)
    np.testing.assert_allclose(out[100:-100], np.linspace(-1, 1, 16_000, endpoint=False)[100:-100], atol=2e-6)


def test_nothing_folds_back():
    """What 16 kHz can't hold is gone: 60 dB below."""
    assert np.abs(resampled(tone(48_000, 9_000, 0.2), 48_000)[100:-100]).max() < 5e-4
    assert np.abs(resampled(tone(48_000, 6_500, 0.2), 48_000)[100:-100]).max() > 0.49


@pytest.mark.parametrize("rate", RATES)
def test_chunks_change_nothing(rate):
    random = np.random.default_rng(rate)
    wave = random.uniform(-1, 1, rate // 2).astype(np.float32)
    whole = resampled(wave, rate)
    assert len(whole) == 8_000
    cuts = np.cumsum(np.exp(random.uniform(0, np.log(10_000), 400)).astype(int))
    np.testing.assert_allclose(resampled(wave, rate, cuts[cuts < len(wave)]), whole, atol=1e-6)
    np.testing.assert_allclose(resampled(wave[:300], rate, np.arange(1, 300)), resampled(wave[:300], rate), atol=1e-6)


@pytest.mark.parametrize("rate", RATES)
def test_it_is_at_most_5_ms_behind(rate):
    stream, made = Resampler(rate), 0
    for n in range(1, 40):
        made += len(stream(np.zeros(rate // 100, np.float32)))
        assert 0 < n * (rate // 100) / rate - made / 16_000 < 0.005
        assert len(stream.recent) < 1000


def test_16_khz_passes_as_it_is():
    wave = tone(16_000, 440, 0.1)
    np.testing.assert_array_equal(resampled(wave, 16_000, [1, 100, 101]), wave)


def test_kernels_stay_small():
    assert max(_kernel(rate).nbytes for rate in (44_101, 95_999, 96_000)) < 4 << 20
