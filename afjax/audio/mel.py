"""`mel`: causal, loudness-normalised log-mel features with voicing and pitch, one row per 25 fps frame.

Row n reads the samples before (n + 1) * 640 and nothing after them, so it can be made at the moment at
which frame n ends. Its columns:

  0 .. 95   four hops of 10 ms, each 24 mel bands of a 25 ms window, oldest hop first
  96        energy of the frame
  97        voicing v: height of the autocorrelation's peak, 0 noise .. 1 periodic
  98        v * octaves of the pitch above the speaker's own mean
  99        v * rise of the pitch in octaves over the last 0.2 s

Levels in dB are counted from a causal reference

  level[n] = max(FLOOR_DB, max_{m = n - 199 .. n} smooth[m]),   smooth[m] = dB of the mean power of frames m - 2 .. m

and a band or energy at x dB becomes  clip(1 + (x - level) / RANGE_DB, 0, 1.25).  A louder recording moves x
and level alike and gives the same features; the floor keeps silence at 0 and keeps the noise of a silent room
from being blown up to speech. Digital silence gives a row of zeros. The eight seconds of the maximum bridge the
turns in which a person listens.

In a stream, `latest` on the last WINDOW + rows frames gives the rows that `features` gives on the whole clip; `rows` is
the same for a NumPy or JAX array of whole frames, to be traced into a step.
"""

import functools

import numpy as np

from afjax.audio import framing

BANDS = 24
HOPS = 4
DIM = HOPS * BANDS + 4

LEVEL_FRAMES = 200
SMOOTH_FRAMES = 3
FLOOR_DB = -50.0
RANGE_DB = 50.0
TOP = 1.25

RISE_FRAMES = 5
WINDOW = LEVEL_FRAMES + RISE_FRAMES + 3
"""Frames of past that a row can depend on; a stream keeps WINDOW frames before the rows that it asks for."""

_HOP = framing.FRAME // HOPS
_LENGTH = 400
_FFT = 512
_HIGH_PASS = 320
_DECIMATE = 4
_PITCH_LENGTH = 224
_FINER = 2
_PITCH_HZ = (70.0, 420.0)
_PITCH_CENTRE_HZ = 160.0


def features(wave) -> np.ndarray:
    """16 kHz mono samples float `[s]` in -1..1 -> float32 `[ceil(s / 640), DIM]`.

    Raises InputError if the sound is empty, not one channel, or has samples that are not finite.
    """
    return latest(wave, framing.count(np.size(wave)))


def latest(buffer, rows: int) -> np.ndarray:
    """The last `rows` rows of `features(buffer)`; `buffer` is a stream's last WINDOW + rows frames, or all it has."""
    return _rows(framing.fill(_high_pass(framing.check(buffer))), rows)


def rows(wave, count: int):
    """The last `count` rows `[count, DIM]` of a sound of whole frames `[t * 640]`, t at least `count`, NumPy or JAX."""
    return _rows(_high_pass(wave), count)


def _rows(wave, count: int):
    xp = wave.__array_namespace__()
    level, energy = _levels(wave)
    bands = _mel_db(wave[max(len(wave) - count * framing.FRAME - _LENGTH, 0) :], count)
    scaled = xp.concat([bands, energy[-count:, None]], axis=1) - level[-count:, None]
    scaled = xp.clip(1.0 + scaled / RANGE_DB, 0.0, TOP)
    voice = _voice(wave, energy, energy - level)[-count:]
    return xp.concat([scaled, voice], axis=1).astype(xp.float32)


def _high_pass(wave):
    """Takes the mean of the last 20 ms away: no offset, no rumble, and no memory beyond those 20 ms.

    Two sums are added: over the part of a piece of 20 ms that has come, and over the rest of the piece before. Single
    precision is enough for them. A sum over the whole sound would lose digits where it is quiet.
    """
    xp = wave.__array_namespace__()
    padded = xp.pad(wave, (_HIGH_PASS, -len(wave) % _HIGH_PASS), mode="edge")
    sums = xp.cumsum(padded.reshape(-1, _HIGH_PASS), axis=1, dtype=float)
    window = sums[1:] + sums[:-1, -1:] - sums[:-1]
    return wave - window.reshape(-1)[: len(wave)] / _HIGH_PASS


def _levels(wave):
    """Reference level and energy of every frame in dB, `[t]` each."""
    xp = wave.__array_namespace__()
    power = xp.square(wave.reshape(-1, framing.FRAME)).mean(axis=1)
    smooth = _past(power, SMOOTH_FRAMES).mean(axis=1)
    peak = _past(smooth, LEVEL_FRAMES).max(axis=1)
    return xp.maximum(_db(peak), FLOOR_DB), _db(power)


def _past(track, frames: int):
    """The last `frames` values at every frame, 0 before the first: `[t]` -> `[t, frames]`."""
    padded = track.__array_namespace__().pad(track, (frames - 1, 0))
    return padded[np.arange(len(track))[:, None] + np.arange(frames)]


def _db(power):
    xp = power.__array_namespace__()
    return 10.0 * xp.log10(xp.maximum(power, 1e-12))


def _mel_db(wave, rows: int):
    """Mean power of each band in dB for the last `rows` frames: `[rows, HOPS * BANDS]`."""
    xp = wave.__array_namespace__()
    windows = framing.past_windows(wave[len(wave) % _HOP :], _LENGTH, _HOP)[-rows * HOPS :]
    power = _power(windows.astype(xp.float32) * _window())
    return _db(_product(power, _filters())).reshape(rows, HOPS * BANDS)


def _product(a, b):
    """a @ b in full float32, which accelerators would round."""
    xp = a.__array_namespace__()
    return a @ b if xp is np else xp.matmul(a, b, precision="highest")


def _power(windows):
    """Squared magnitudes of the spectrum, `[n, s]` filled up with zeros -> `[n, _FFT / 2 + 1]`.

    JAX arrays are multiplied with cosines and sines: the FFT of jaxlib 0.11 can wait for its own threads for ever on a
    CPU.
    """
    xp = windows.__array_namespace__()
    if xp is np:
        spectrum = np.fft.rfft(windows, _FFT)
        return np.square(spectrum.real) + np.square(spectrum.imag)
    parts = (_product(windows, wave) for wave in _waves(windows.shape[1]))
    return sum(xp.square(part) for part in parts)


@functools.cache
def _waves(length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines of the spectrum's bins: float32 `[length, bins]` each."""
    turns = np.arange(length)[:, None] * np.arange(_FFT // 2 + 1) % _FFT / _FFT
    return np.cos(2 * np.pi * turns).astype(np.float32), np.sin(2 * np.pi * turns).astype(np.float32)


@functools.cache
def _window() -> np.ndarray:
    """Hann window, scaled so that the power summed over all bins is the mean power of the samples."""
    window = np.hanning(_LENGTH + 1)[:-1]
    return (window * np.sqrt(2.0 / (_FFT * np.square(window).sum()))).astype(np.float32)


@functools.cache
def _filters() -> np.ndarray:
    """Triangles of equal width on the mel scale from 60 to 7600 Hz: float32 `[bins, BANDS]`."""
    low, high = (2595.0 * np.log10(1.0 + hz / 700.0) for hz in (60.0, 7600.0))
    edges = 700.0 * (10.0 ** (np.linspace(low, high, BANDS + 2) / 2595.0) - 1.0)
    hz = np.fft.rfftfreq(_FFT, 1.0 / framing.RATE)[:, None]
    rising = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(rising, falling), 0.0, None).astype(np.float32)


def _voice(wave, energy, relative):
    """Voicing, pitch above the speaker's mean, and rise of the pitch: `[t, 3]`.

    `energy` and `relative` are dB, absolute and above the level. The mean weighs a frame by voicing and loudness,
    not by the level, whose eight seconds would double the past that a row depends on.
    """
    xp = wave.__array_namespace__()
    voicing, octaves = _pitch(wave)
    weight = voicing * 10.0 ** (energy / 40.0)
    total = _past(weight, LEVEL_FRAMES).sum(axis=1)
    mean = _past(weight * octaves, LEVEL_FRAMES).sum(axis=1) / (total + 1e-9)
    voicing = voicing * xp.clip(1.0 + relative / 30.0, 0.0, 1.0)
    return xp.stack([voicing, voicing * (octaves - mean), voicing * _rise(voicing, octaves)], axis=1)


def _pitch(wave):
    """Voicing in 0..1 and octaves above 160 Hz of each frame from the autocorrelation of its last 56 ms.

    The autocorrelation of the windowed sound is divided by the window's own, which makes a periodic sound reach
    1 at its period (Boersma 1993); a small cost for long periods settles ties between octaves.
    """
    xp = wave.__array_namespace__()
    rate = framing.RATE // _DECIMATE
    slow = wave.reshape(-1, _DECIMATE).mean(axis=1, dtype=xp.float32)
    windows = framing.past_windows(slow, _PITCH_LENGTH, framing.FRAME // _DECIMATE)
    windows = windows - windows.mean(axis=1, keepdims=True)
    shape = np.hanning(_PITCH_LENGTH + 2)[1:-1].astype(np.float32)
    correlation = _autocorrelation(windows * shape) / _autocorrelation(shape[None])
    rate = rate * _FINER
    correlation = correlation / xp.maximum(correlation[:, :1], 1e-12)
    first, last = int(rate / _PITCH_HZ[1]), int(rate / _PITCH_HZ[0])
    lags = np.arange(first, last + 1)
    cost = 0.05 * np.log2(lags / first)
    inner = correlation[:, first : last + 1]
    # The shoulder of the peak at lag 0 is no period.
    peak = (inner >= correlation[:, first - 1 : last]) & (inner >= correlation[:, first + 1 : last + 2])
    best = first + xp.argmax(xp.where(peak, inner - cost, -1.0), axis=1)
    row = np.arange(len(best))
    left, top, right = (correlation[row, best + step] for step in (-1, 0, 1))
    bend = left - 2.0 * top + right
    shift = xp.where(bend < -1e-6, 0.5 * (left - right) / xp.minimum(bend, -1e-6), 0.0)
    octaves = xp.log2(rate / (best + xp.clip(shift, -0.5, 0.5)) / _PITCH_CENTRE_HZ)
    # A peak below 0.4 is as likely one of noise.
    return xp.clip((top - 0.4) / 0.5, 0.0, 1.0), octaves


def _autocorrelation(windows):
    """`[n, _PITCH_LENGTH]` -> lags of 0, 1, .. / _FINER samples; short periods need the finer grid."""
    xp, power, lags = windows.__array_namespace__(), _power(windows), _PITCH_LENGTH * _FINER // 2
    if xp is np:
        return np.fft.irfft(power, _FFT * _FINER)[:, :lags]
    return _product(power, _back(lags))


@functools.cache
def _back(lags: int) -> np.ndarray:
    """Matrix from a squared spectrum to its first lags, on a grid _FINER times as fine: float32 `[bins, lags]`."""
    turns = np.arange(_FFT // 2 + 1)[:, None] * np.arange(lags) / (_FFT * _FINER)
    weight = np.where(np.arange(_FFT // 2 + 1) > 0, 2.0, 1.0)[:, None] / (_FFT * _FINER)
    return (weight * np.cos(2 * np.pi * turns)).astype(np.float32)


def _rise(voicing, octaves):
    """Slope of the voicing-weighted line through the last RISE_FRAMES + 1 pitches, over RISE_FRAMES frames."""
    xp = voicing.__array_namespace__()
    time = np.arange(RISE_FRAMES + 1) - RISE_FRAMES / 2.0
    weight, pitch = _past(voicing, RISE_FRAMES + 1), _past(octaves, RISE_FRAMES + 1)
    total = weight.sum(axis=1, keepdims=True) + 1e-6
    centred = time - (weight * time).sum(axis=1, keepdims=True) / total
    slope = (weight * centred * pitch).sum(axis=1) / ((weight * centred**2).sum(axis=1) + 1.0)
    return xp.clip(slope * RISE_FRAMES, -1.0, 1.0)
