"""A text as a voice, for an avatar without a recording."""

import tempfile
import unicodedata
import warnings
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from afjax.errors import InputError, InputWarning
from afjax.serving.brains.voice import VOICES, EspeakVoice, sentences

__all__ = ["VOICES", "spoken"]


@contextmanager
def spoken(text: str, voice: str) -> Iterator[str]:
    """Yields the name of a WAV file of a text spoken by one of VOICES; empty for no text. It is gone after the block.

    Raises InputError where there is nothing to say, for letters other than Latin ones, or without a synthesiser.
    """
    if not text:
        yield ""
        return
    pieces = sentences(text)
    if not pieces:
        raise InputError("there is no word in it", "--avatar_text")
    letters = [letter for letter in text if letter.isalpha()]
    strange = [letter for letter in letters if not unicodedata.name(letter, "").startswith("LATIN")]
    if len(strange) > len(letters) / 2:
        raise InputError("the voices speak English", "--avatar_text", "give a recording by --avatar_audio")
    if strange:
        warnings.warn(
            f"--avatar_text: the voices speak English and can't read {strange[0]!r}", InputWarning, stacklevel=2
        )
    speaker = EspeakVoice(voice)
    try:
        said = [speaker.say(piece) for piece in pieces]
    finally:
        speaker.close()
    samples = np.concatenate([part.samples for part in said])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "avatar_text.wav")
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(said[0].rate)
            file.writeframes(np.round(32767 * samples.clip(-1, 1)).astype("<i2").tobytes())
        yield str(path)
