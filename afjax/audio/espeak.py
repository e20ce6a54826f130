"""Client of the synthesis process: text in, int16 sound with the times of phonemes and words out.

espeak-ng is GPL-3: `espeak_worker` loads it in a process of its own, and only bytes pass between the two.
"""

import json
import struct
import subprocess
import sys
from dataclasses import dataclass

import numpy as np

from afjax.errors import InputError

_WORKER = "afjax.audio.espeak_worker"
_MAX_HEADER = 1 << 20
_MAX_SAMPLES = 22050 * 60


@dataclass(frozen=True)
class Said:
    """int16 sound `[s]` at `rate`; phonemes as (name, sample), words as (position in the text from 1 on, sample)."""

    pcm: np.ndarray
    rate: int
    phonemes: list
    words: list


class Espeak:
    """The process, for one thread; `with Espeak() as espeak: espeak.say("hello", "en-us+m3", 175, 50, 50)`."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", _WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                pipe.close()
            except BrokenPipeError:  # a request was under way when the process died
                pass
        self._process.wait()

    def say(self, ssml: str, voice: str, rate: int, pitch: int, spread: int) -> Said:
        """Speaks SSML. Raises InputError for an unknown voice, or if the process can't start or answers nonsense."""
        query = {"text": ssml, "voice": voice, "rate": rate, "pitch": pitch, "range": spread}
        request = json.dumps(query).encode()
        try:
            self._process.stdin.write(struct.pack("<I", len(request)) + request)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._gone() from None
        (size,) = struct.unpack("<I", self._read(4))
        if size > _MAX_HEADER:
            raise InputError("the speech synthesis process sent no reply of ours", _WORKER)
        reply = json.loads(self._read(size))
        if "error" in reply:
            raise InputError(reply["error"], "speech synthesis")
        if not 0 <= reply["samples"] <= _MAX_SAMPLES:
            raise InputError("the speech synthesis process announced too much sound", _WORKER)
        pcm = np.frombuffer(self._read(2 * reply["samples"]), "<i2")
        return Said(pcm, reply["sample_rate"], reply["phonemes"], reply["words"])

    def _read(self, size: int) -> bytes:
        data = self._process.stdout.read(size)
        if len(data) != size:
            raise self._gone()
        return data

    def _gone(self) -> InputError:
        return InputError(
            "the speech synthesis process ended",
            _WORKER,
            "pip install -r requirements-media.txt (espeakng-loader)",
        )
