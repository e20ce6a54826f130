"""Mel-frequency cepstral coefficients as SyncNet was trained on: 13 of 26 bands, 100 per second, from 16 kHz sound.

The steps are sound on the scale of int16, pre-emphasis x[t] - 0.97 x[t-1], windows of 400 samples every 160 without a
taper, power spectrum of 512 points over 512, triangles on the mel scale 2595 log10(1 + f/700) whose corners are whole
bins, logarithm, orthonormal cosine transform and sinusoidal lifter of 22. Coefficient 0 is the logarithm of the
window's energy.
"""

import numpy as np
from scipy.fft import dct

from afjax.audio.framing import RATE, check
from afjax.errors import InputError

COEFFICIENTS = 13
_WINDOW, _HOP, _POINTS, _BANDS, _LIFTER = 400, 160, 512, 26, 22
_STEPS, _STEPS_A_FRAME = 20, 4


def mfcc(wave: np.ndarray) -> np.ndarray:
    """Sound `[s]` in -1 .. 1 -> `[13, m]`, m = 1 + ceil((s - 400) / 160), at least 1; the end is filled with zeros."""
    wave = check(wave).astype(np.float64) * 32768.0
    wave = np.concatenate([wave[:1], wave[1:] - 0.97 * wave[:-1]])
    count = 1 + max(0, -(-(len(wave) - _WINDOW) // _HOP))
    wave = np.pad(wave, (0, max(0, (count - 1) * _HOP + _WINDOW - len(wave))))
    windows = np.lib.stride_tricks.sliding_window_view(wave, _WINDOW)[::_HOP][:count]
    power = np.square(np.abs(np.fft.rfft(windows, _POINTS))) / _POINTS
    tiny = np.finfo(np.float64).eps
    energy, bands = power.sum(axis=1), power @ _triangles().T
    logs = np.log(np.where(bands == 0, tiny, bands))
    out = dct(logs, type=2, axis=1, norm="ortho")[:, :COEFFICIENTS]
    out *= 1.0 + _LIFTER / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / _LIFTER)
    out[:, 0] = np.log(np.where(energy == 0, tiny, energy))
    return out.T


def syncnet_sound_input(wave: np.ndarray, frames: int) -> np.ndarray:
    """Sound of a clip -> `[frames - 5, 1, 13, 20]` float32; entry t is the sound of the video frames t .. t + 4.

    The last whole window is left out, as in SyncNet's own evaluation: its coefficients would reach past the clip.

    Raises:
      InputError: there is less sound than frames.
    """
    coefficients, count = mfcc(wave), frames - 5
    if count < 1 or coefficients.shape[1] < (count - 1) * _STEPS_A_FRAME + _STEPS:
        raise InputError(f"{len(wave) / RATE:.2f} s of sound for {frames} frames", "lip sync", "6 frames and more")
    windows = np.lib.stride_tricks.sliding_window_view(coefficients, _STEPS, axis=1)[:, ::_STEPS_A_FRAME]
    return np.moveaxis(windows[:, :count], 1, 0)[:, None].astype(np.float32)


def _triangles() -> np.ndarray:
    """`[26, 257]`: weights of the bands over the bins of the spectrum."""
    top = 2595.0 * np.log10(1.0 + RATE / 2 / 700.0)
    hertz = 700.0 * (10.0 ** (np.linspace(0.0, top, _BANDS + 2) / 2595.0) - 1.0)
    corner = np.floor((_POINTS + 1) * hertz / RATE)
    low, middle, high = corner[:-2, None], corner[1:-1, None], corner[2:, None]
    bin_ = np.arange(_POINTS // 2 + 1)
    rising, falling = (bin_ - low) / (middle - low), (high - bin_) / (high - middle)
    return np.maximum(np.where(bin_ < middle, rising, falling), 0.0)
