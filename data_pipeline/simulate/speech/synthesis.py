"""Voices and utterances: the client of the synthesis process.

An `Utterance` is 16 kHz sound with its facts: when each phoneme starts and ends, which phonemes are stressed, where the
emphasised word ends. Times are seconds from the utterance's first sample.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from afjax.audio.espeak import Espeak, Said
from afjax.audio.framing import RATE
from afjax.errors import InputError
from data_pipeline.simulate.speech.sentences import Phrase

_RISE = (0.45, 1.75)
_ACCENTS = ("en-us", "en-us", "en", "en-gb-x-rp", "en-gb-scotland", "en-us-nyc", "en-gb-x-gbclan")
_VARIANTS = {
    "train": "m1 m2 m3 m4 m5 m6 f1 f2 f3 f4 Alicia Andrea Lee Mario Michael Reed anika adam boris david ed edward "
    "iven3 grandma linda marcelo michel mike2 norbert paul quincy robert steph travis zac klatt4",
    "eval": "m7 m8 f5 Annie Alex aunty belinda max rob shelby victor sandro",
}
_HIGH = "f1 f2 f3 f4 f5 Alicia Andrea Annie anika aunty belinda grandma linda shelby steph zac"


@dataclass(frozen=True)
class Voice:
    """One speaker: espeak-ng voice name and its settings. `hz` is about the pitch, for hums and laughs."""

    name: str
    rate: int
    pitch: int
    spread: int
    hz: float


@dataclass(frozen=True)
class Utterance:
    """Sound `[s]` in -1..1 with its phonemes: names, start and end `[p]` in seconds, stressed `[p]`.

    `tone` is falling, rising, surprise, hum or laugh; `emphasis_end` is seconds or -1.
    """

    wave: np.ndarray
    names: tuple[str, ...] = ()
    starts: np.ndarray = field(default_factory=lambda: np.zeros(0))
    ends: np.ndarray = field(default_factory=lambda: np.zeros(0))
    stressed: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    tone: str = "falling"
    emphasis_end: float = -1.0

    @property
    def seconds(self) -> float:
        return len(self.wave) / RATE

    def cut(self, seconds: float) -> "Utterance":
        """The first `seconds`, faded out over 80 ms."""
        wave = self.wave[: int(seconds * RATE)].copy()
        fade = min(len(wave), int(0.08 * RATE))
        wave[len(wave) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
        keep = int((self.starts < seconds - 0.04).sum())
        return replace(
            self,
            wave=wave,
            names=self.names[:keep],
            starts=self.starts[:keep],
            ends=np.minimum(self.ends[:keep], seconds),
            stressed=self.stressed[:keep],
            emphasis_end=self.emphasis_end if self.emphasis_end < seconds else -1.0,
        )


def sample_voice(rng: np.random.Generator, split: str) -> Voice:
    """A random speaker of the split; the voices of the two splits are different."""
    variants = _VARIANTS[split].split()
    name = f"{_ACCENTS[rng.integers(len(_ACCENTS))]}+{variants[rng.integers(len(variants))]}"
    pitch = int(rng.integers(30, 71))
    return Voice(name, int(rng.integers(155, 206)), pitch, int(rng.integers(40, 81)), _hz(name, pitch))


def _hz(name: str, pitch: int) -> float:
    variant = name.split("+")[1]
    return (195.0 if variant in _HIGH.split() else 100.0) * 2.0 ** ((pitch - 50) / 60.0)


class Speaker:
    """The synthesis process; `with Speaker() as speaker: speaker.say(phrase, voice)`."""

    def __init__(self):
        self._espeak = Espeak()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the process."""
        self._espeak.close()

    def say(self, phrase: Phrase, voice: Voice) -> Utterance:
        """Synthesises a phrase. Raises InputError if the synthesis process can't start or answers nonsense."""
        return _utterance(phrase, self._espeak.say(phrase.ssml, voice.name, voice.rate, voice.pitch, voice.spread))


def bend(utterance: Utterance, seconds: float, ratio: float) -> Utterance:
    """Raises the pitch of the last `seconds`, by `ratio` at the very end, by playing them ever faster.

    espeak-ng's own question contour is too flat in many voices to be heard as a question.
    """
    count = len(utterance.wave)
    tail = min(int(seconds * RATE), count)
    # at playing speed 1 + (ratio - 1) u the tail takes tail * ln(ratio) / (ratio - 1) samples
    length = int(tail * np.log(ratio) / (ratio - 1.0))
    rate = np.log(ratio) / length
    inside = (count - tail) + tail * np.expm1(rate * np.arange(length)) / (ratio - 1.0)
    positions = np.concatenate([np.arange(count - tail), inside])
    wave = np.interp(positions, np.arange(count), utterance.wave).astype(np.float32)

    def moved(times):
        return np.interp(times * RATE, positions, np.arange(len(positions))) / RATE

    return replace(utterance, wave=wave, starts=moved(utterance.starts), ends=moved(utterance.ends))


def _utterance(phrase: Phrase, said: Said) -> Utterance:
    import soxr

    rate = said.rate
    spoken = said.phonemes
    bounds = np.array([at for _, at in spoken] + [len(said.pcm)], np.float64) / rate
    voiced = np.array([not name.startswith("_") for name, _ in spoken], bool)
    if not voiced.any():
        raise InputError(f"no speech came of {phrase.ssml!r}", "speech synthesis")
    end = bounds[1:][voiced].max()
    wave = soxr.resample(said.pcm[: int(end * rate)].astype(np.float32) / 32768.0, rate, RATE)
    names = tuple(name for (name, _), keep in zip(spoken, voiced, strict=True) if keep)
    emphasis = -1.0
    if phrase.emphasis >= 0:
        words = [at for _, at in said.words] + [int(end * rate)]
        emphasis = words[min(phrase.emphasis + 1, len(words) - 1)] / rate
    utterance = Utterance(
        wave=wave.astype(np.float32),
        names=tuple(name.lstrip("',%=") for name in names),
        starts=bounds[:-1][voiced],
        ends=bounds[1:][voiced],
        stressed=np.array([name.startswith("'") for name in names]),
        tone=phrase.tone,
        emphasis_end=emphasis,
    )
    return bend(utterance, *_RISE) if phrase.tone == "rising" else utterance
