"""A voice of espeak-ng, in a process of its own (GPL-3 stays there): a sentence to sound and times of words."""

import html
import re

import numpy as np

from afjax.audio.espeak import Espeak, Said
from afjax.errors import InputError
from afjax.serving.brains.parts import Spoken

VOICES = {
    "Clara": ("en-us+f2", 165, 52, 55),
    "Alma": ("en-gb-x-rp+f4", 160, 46, 60),
    "Martin": ("en-us+m3", 165, 45, 50),
    "Oscar": ("en-gb-scotland+m7", 160, 50, 60),
}
"""Name on the page: espeak-ng's voice, words per minute, pitch and its spread."""
LEVEL = 0.1
"""Rms of speech, -20 dB below full scale."""
_GAP = 0.12
_LONGEST = 240


def sentences(text: str) -> list[str]:
    """Pieces of a text that are spoken one after the other: sentences, and parts of long sentences."""
    pieces = []
    for sentence in re.split(r"(?<=[.!?…])\s+", " ".join(text.split())):
        while len(sentence) > _LONGEST:
            at = max(sentence.rfind(mark, 0, _LONGEST) for mark in (", ", "; ", " "))
            at = _LONGEST if at <= 0 else at + 1
            pieces.append(sentence[:at].strip())
            sentence = sentence[at:].strip()
        if re.search(r"\w", sentence):
            pieces.append(sentence)
    return pieces


def word_times(sentence: str, words: list, count: int, rate: int) -> list[tuple[str, float, float]]:
    """Times of the words between blanks, from espeak-ng's word events (position in the escaped text from 1, sample).

    A word without an event (a dash) has no time of its own and begins where the next one does.
    """
    tokens = list(re.finditer(r"\S+", html.escape(sentence, quote=False)))
    starts = []
    for token in tokens:
        within = [sample for position, sample in words if token.start() < position <= token.end()]
        starts.append(min(within) if within else None)
    following = count
    for n in reversed(range(len(starts))):
        starts[n] = following = min(following, following if starts[n] is None else starts[n])
    ends = [*starts[1:], count]
    return [(html.unescape(t.group()), a / rate, b / rate) for t, a, b in zip(tokens, starts, ends, strict=True)]


class EspeakVoice:
    """`speak` of a brain; `voice` may be changed between sentences.

    Raises InputError for a voice that is not in VOICES, and if espeak-ng is missing.
    """

    def __init__(self, voice: str = "Clara"):
        self.voice = voice
        self._check()
        self._process = Espeak()
        try:
            self.say("Hello.")
        except InputError:
            self.close()
            raise

    def _check(self):
        if self.voice not in VOICES:
            raise InputError(f"no voice {self.voice!r}", "voice", f"one of {', '.join(VOICES)}")

    def say(self, sentence: str) -> Spoken:
        """Speaks one sentence. A process that has died is started again, once."""
        self._check()
        # characters that XML forbids would end the sentence early
        text = html.escape("".join(c for c in sentence if c.isprintable()), quote=False)
        try:
            said = self._process.say(text, *VOICES[self.voice])
        except InputError:
            self._process.close()
            self._process = Espeak()
            said = self._process.say(text, *VOICES[self.voice])
        return _spoken("".join(c for c in sentence if c.isprintable()), said)

    def close(self):
        """Ends the process."""
        self._process.close()


def _spoken(sentence: str, said: Said) -> Spoken:
    """The speech at our level, with a short gap in place of espeak-ng's silence at the end."""
    ends = [at for _, at in said.phonemes[1:]] + [len(said.pcm)]
    voiced = [end for (name, _), end in zip(said.phonemes, ends, strict=True) if not name.startswith("_")]
    count = max(voiced, default=0)
    wave = said.pcm[:count].astype(np.float32) / 32768.0
    if count:
        wave *= min(LEVEL / (np.sqrt(np.mean(wave**2)) + 1e-6), 0.95 / (np.abs(wave).max() + 1e-6))
    gap = np.zeros(int(_GAP * said.rate), np.float32)
    return Spoken(np.concatenate([wave, gap]), said.rate, word_times(sentence, said.words, count, said.rate))
