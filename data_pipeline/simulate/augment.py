"""The way from a voice to its recording: microphone, room, the other's voice, noise, level, gain control.

    recorded = control(gain * (microphone * room * (voice + echo) + noise))        all but control in one spectrum

A model that has only heard the bare synthesiser reads real recordings badly. Each side of a conversation therefore
draws a chain of its own. `echo` is the other person's voice out of a loudspeaker.
"""

import numpy as np
from scipy import fft
from scipy.signal import lfilter

from afjax.audio.framing import RATE

_ROOM_SECONDS = (0.12, 0.35)


def record(wave: np.ndarray, rng: np.random.Generator, other: np.ndarray | None = None) -> np.ndarray:
    """A random recording of a clean voice `[s]`, float32 `[s]` in -1..1.

    `other`: the voice `[s]` that a loudspeaker may bring into the recording.
    """
    wave = wave.astype(np.float32)
    count = fft.next_fast_len(len(wave) + int(_ROOM_SECONDS[1] * RATE), real=True)
    hz = np.linspace(0.0, RATE / 2.0, count // 2 + 1, dtype=np.float32)
    spoken = np.abs(wave) > 0.02 * np.abs(wave).max()
    level = float(np.sqrt(np.square(wave[spoken]).mean())) if spoken.any() else 1.0
    if other is not None and rng.random() < 0.4:
        delay = int(rng.uniform(0.005, 0.08) * RATE)
        wave[delay:] += np.float32(10.0 ** (-rng.uniform(15.0, 35.0) / 20.0)) * other[: len(wave) - delay]
    spectrum = fft.rfft(wave, count) * _microphone(hz, rng)
    if rng.random() < 0.5:
        spectrum *= fft.rfft(_room(rng), count)
    spectrum += level * 10.0 ** (-rng.uniform(25.0, 50.0) / 20.0) * _noise(hz, count, rng)
    gain = 10.0 ** (-rng.uniform(14.0, 30.0) / 20.0) / level
    heard = gain * fft.irfft(spectrum, count)[: len(wave)]
    if rng.random() < 0.3:
        heard = _controlled(heard, rng.uniform(0.3, 0.7))
    return np.clip(heard, -1.0, 1.0).astype(np.float32)


def _controlled(wave: np.ndarray, share: float) -> np.ndarray:
    """Automatic gain: `share` of the level's changes over the last second is taken away, 20 dB at most."""
    pole = np.exp(-1.0 / RATE)
    level = np.sqrt(lfilter([1.0 - pole], [1.0, -pole], np.square(wave)) + 1e-12)
    usual = np.sqrt(np.square(wave).mean()) + 1e-6
    return wave * np.clip(level / usual, 0.1, 10.0) ** -share


def _microphone(hz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gain over frequency: no bass below 50 .. 150 Hz, a shelf of +-8 dB above 1 kHz, often a top end."""
    corner = rng.uniform(50.0, 150.0)
    gain = hz / np.sqrt(hz**2 + corner**2)
    shelf = rng.uniform(-8.0, 8.0)
    gain *= np.exp(np.float32(shelf * np.log(10.0) / 20.0) * (hz**2 / (hz**2 + 1e6)))
    if rng.random() < 0.4:
        gain /= np.sqrt(1.0 + (hz / np.float32(rng.uniform(3500.0, 7600.0))) ** 4)
    return gain.astype(np.float32)


def _room(rng: np.random.Generator) -> np.ndarray:
    """Impulse response: the direct sound, then noise that decays by 60 dB in the room's time."""
    count = int(rng.uniform(*_ROOM_SECONDS) * RATE)
    tail = rng.standard_normal(count, np.float32) * np.exp(np.linspace(0.0, -6.9, count, dtype=np.float32))
    tail[: int(0.002 * RATE)] = 0.0
    tail *= 10.0 ** (-rng.uniform(8.0, 20.0) / 20.0) / np.sqrt(np.square(tail).sum())
    tail[0] = 1.0
    return tail.astype(np.float32)


def _noise(hz: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Spectrum of noise of unit level between hiss and rumble."""
    shape = 1.0 / np.sqrt(1.0 + (hz / np.float32(rng.uniform(100.0, 8000.0))) ** 2)
    shape *= np.sqrt(count / 2.0 / np.square(shape).mean())
    parts = rng.standard_normal((2, len(hz)), np.float32)
    return (parts[0] + 1j * parts[1]) * np.float32(np.sqrt(0.5)) * shape.astype(np.float32) * np.sqrt(2.0)
