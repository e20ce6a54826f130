"""Sounds that are no words: hums ("mm-hm") and laughs ("ha ha ha"), made of harmonics under a formant envelope.

    wave(t) = e(t) sum_k |H(k f0(t))| sin(k phi(t)) + noise,     phi' = 2 pi f0(t)

H is a sum of resonances 1 / (1 + ((f - F) / B)^2), e the loudness. A laugh carries phonemes as speech does, so that
lips follow it by the same rule. A hum has none and leaves the lips as they are.
"""

import numpy as np

from afjax.audio.framing import RATE
from data_pipeline.simulate.speech.synthesis import Utterance

_NASAL = ((250.0, 90.0, 1.0), (1100.0, 200.0, 0.08), (2300.0, 300.0, 0.03))
_OPEN = ((750.0, 160.0, 1.0), (1250.0, 200.0, 0.6), (2600.0, 300.0, 0.2))


def _harmonics(hz: np.ndarray, formants) -> np.ndarray:
    """Sound `[s]` of a voice with pitch `hz` `[s]`, about unit peak."""
    phase = (2.0 * np.pi * np.cumsum(hz) / RATE).astype(np.float32)
    wave = np.zeros_like(phase)
    slow = hz[::64].astype(np.float32)
    for k in range(1, int(3800.0 / hz.max()) + 1):
        level = sum(gain / (1.0 + ((k * slow - centre) / width) ** 2) for centre, width, gain in formants)
        wave += np.repeat(level + 0.01, 64)[: len(wave)] * np.sin(k * phase + 0.7 * k * k)
    return wave / (np.abs(wave).max() + 1e-6)


def _arch(count: int) -> np.ndarray:
    return np.sin(np.pi * (np.arange(count) + 0.5) / count) ** 0.6


def hum(rng: np.random.Generator, hz: float) -> Utterance:
    """ "mm-hm": two closed-lip pulses, the second higher, about half a second."""
    first, gap, second = (int(RATE * rng.uniform(*span)) for span in ((0.15, 0.22), (0.03, 0.06), (0.2, 0.3)))
    high = rng.uniform(1.12, 1.3)
    rise = np.linspace(high * 0.95, high, second)
    pitch = hz * np.concatenate([np.linspace(1.0, 0.93, first), np.full(gap, 1.0), rise])
    loud = np.concatenate([_arch(first), np.zeros(gap), _arch(second)])
    wave = 0.16 * loud * _harmonics(pitch * rng.uniform(0.95, 1.1), _NASAL)
    return Utterance(wave.astype(np.float32), tone="hum")


def laugh(rng: np.random.Generator, hz: float) -> Utterance:
    """ "ha ha ha": four to six breathy pulses at about five per second, with falling pitch."""
    pulses = int(rng.integers(4, 7))
    period = int(RATE * rng.uniform(0.17, 0.22))
    breath = int(0.4 * period)
    pitch = hz * rng.uniform(1.35, 1.7) * np.linspace(1.15, 0.9, pulses * period)
    vowel = _harmonics(pitch, _OPEN)
    loud = np.concatenate([np.concatenate([np.zeros(breath), _arch(period - breath)])] * pulses)
    hiss = np.concatenate([np.concatenate([_arch(breath), 0.25 * np.ones(period - breath)])] * pulses)
    fall = np.repeat(np.linspace(1.0, 0.6, pulses), period)
    wave = fall * (0.3 * loud * vowel + 0.02 * hiss * rng.standard_normal(len(hiss)))
    starts = (np.arange(pulses)[:, None] * period + np.array([0, breath])).ravel() / RATE
    ends = np.append(starts[1:], pulses * period / RATE)
    names = ("h", "a") * pulses
    return Utterance(wave.astype(np.float32), names, starts, ends, np.zeros(2 * pulses, bool), tone="laugh")
