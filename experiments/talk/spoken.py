"""A text as a voice: what the avatar says, without a recording."""

import tempfile
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from afjax.errors import InputError
from afjax.serving.brains.voice import VOICES, EspeakVoice, sentences

__all__ = ["VOICES", "spoken"]


@contextmanager
def spoken(text: str, voice: str) -> Iterator[str]:
    """The name of a WAV file that holds a text spoken by one of VOICES; empty for no text. Gone after the block.

    Raises InputError where there is nothing to say, or no synthesiser.
    """
    if not text:
        yield ""
        return
    pieces = sentences(text)
    if not pieces:
        raise InputError("there is no word in it", "--avatar_text")
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
