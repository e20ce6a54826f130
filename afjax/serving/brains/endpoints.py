"""Parts of a brain that are servers which speak like OpenAI's: recognition, answers and voices.

POST /audio/transcriptions   `Transcription`   many: OpenAI, speaches, vLLM, whisper.cpp
POST /chat/completions       `Chat`            OpenAI, Ollama, llama.cpp, vLLM
POST /audio/speech           `Voice`           OpenAI, Kokoro-FastAPI, speaches
"""

import io
import json
import secrets
import threading
import wave
from collections.abc import Callable, Iterator

import numpy as np

from afjax.audio.framing import RATE
from afjax.errors import InputError
from afjax.serving.brains.endpoint import Cancelled, Endpoint
from afjax.serving.brains.parts import Spoken, Turn
from afjax.serving.brains.timing import spread
from afjax.serving.brains.voice import LEVEL

__all__ = ["Chat", "PROMPT", "Transcription", "Voice", "wav"]

PROMPT = (
    "You are a friendly person in a video call. What you write is spoken: answer in one to three short sentences, "
    "without lists, headings or emoji."
)
GREETING = "Hello! What would you like to talk about?"
LONGEST = 4000
"""Letters after which an answer is ended, some five minutes of speech."""
REMEMBERED = 40
"""Messages of a conversation that are sent along."""


def wav(samples: np.ndarray, rate: int) -> bytes:
    """A WAV file, s16 mono, of float32 `[n]` in -1..1."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()


class Transcription:
    """`recognise` of a brain."""

    def __init__(self, endpoint: Endpoint, model: str, language: str = ""):
        """`language`: a code such as `en`; "" lets the server find out."""
        self._endpoint, self._fields = endpoint, {"model": model, "response_format": "json"}
        if language:
            self._fields["language"] = language

    def words(self, samples: np.ndarray) -> list[str]:
        """Words of one turn, float32 `[n]` at 16 kHz. Raises InputError if the server gives no text."""
        mark = secrets.token_hex(16)
        parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in self._fields.items()]
        head = b'name="file"; filename="turn.wav"\r\nContent-Type: audio/wav\r\n\r\n'
        parts.append(head + wav(samples, RATE))
        body = b"".join(f"--{mark}\r\nContent-Disposition: form-data; ".encode() + part + b"\r\n" for part in parts)
        kind = f"multipart/form-data; boundary={mark}"
        try:
            answer, _ = self._endpoint.post("/audio/transcriptions", body + f"--{mark}--\r\n".encode(), kind)
            text = json.loads(answer)["text"]
        except Cancelled:
            return []
        except InputError:
            raise
        except (ValueError, KeyError, TypeError):
            raise InputError("the answer has no text", self._endpoint.name, "is it a server of this kind?") from None
        return str(text).split()

    def cancel(self) -> None:
        """Ends the request under way; returns at once."""
        self._endpoint.cancel()

    def close(self) -> None:
        """Ends its connection."""
        self._endpoint.close()


class Chat:
    """`reply` of a brain: a conversation with a language model, which knows how much of its answers was heard."""

    def __init__(
        self, endpoint: Callable[[], Endpoint], model: str, prompt: str = PROMPT, greeting: str = GREETING,
        settings: dict | None = None, remembered: int = REMEMBERED,
    ):  # fmt: skip
        """A conversation that begins with the greeting.

        Args:
          endpoint: gives the server, at each answer.
          settings: more fields of requests, such as max_tokens.
          remembered: most messages that are sent along, besides the prompt.
        """
        self._endpoint, self._model, self._settings = endpoint, model, settings or {}
        self._greeting, self._remembered = greeting, remembered
        self._lock, self._asked, self._kept = threading.Lock(), None, None
        self.messages: list[dict[str, str]] = [{"role": "system", "content": prompt}] if prompt else []
        self._first = len(self.messages)
        if greeting:
            self._add("assistant", greeting)

    def greeting(self) -> str:
        """The greeting that was given."""
        return self._greeting

    def answer(self, turn: Turn) -> Iterator[str]:
        """Pieces of the answer as they come. If the turn before had no answer, this turn takes its place.

        Raises InputError if the server fails or its answer ends early.
        """
        with self._lock:
            if self.messages and self.messages[-1]["role"] == "user":
                self.messages.pop()
            self._add("user", " ".join(turn.words))
            query = {"model": self._model, "messages": list(self.messages), "stream": True, **self._settings}
            self._add("assistant", "")
            own = self.messages[-1]
        try:
            asked = self._endpoint()
            if asked is not self._kept:
                self.close()
            with self._lock:
                self._asked = self._kept = asked
            ended = False
            for data in asked.stream("/chat/completions", query):
                if data == "[DONE]":
                    ended = True
                    continue
                text, over = _piece(data, asked.name)
                ended |= over
                with self._lock:
                    if self.messages[-1] is not own:  # it was cut
                        return
                    own["content"] += text
                if text:
                    yield text
                if len(own["content"]) > LONGEST:
                    ended = True
                    break
            if not ended:
                raise InputError("the answer ended in the middle", asked.name)
        except Cancelled:
            return
        finally:
            with self._lock:
                self._asked = None
                if not own["content"] and self.messages[-1] is own:
                    self.messages.pop()

    def heard(self, text: str) -> None:
        """Ends the last answer, of which only `text` was heard."""
        with self._lock:
            if self.messages[self._first :] and self.messages[-1]["role"] == "assistant":
                if text:
                    self.messages[-1] = {"role": "assistant", "content": text + " —"}
                else:
                    self.messages.pop()
            asked = self._asked
        if asked is not None:
            asked.cancel()

    def backchannel(self, turn: Turn) -> str:
        """None."""
        return ""

    def silence(self, seconds: float) -> str:
        """It waits."""
        return ""

    def close(self) -> None:
        """Ends its connection."""
        if self._kept is not None:
            self._kept.close()

    def _add(self, role: str, content: str):
        self.messages.append({"role": role, "content": content})
        del self.messages[self._first : -self._remembered]


def _piece(data: str, name: str) -> tuple[str, bool]:
    """The text of one event of a streamed answer, and whether it is the last."""
    try:
        event = json.loads(data)
        if "error" in event:
            said = event["error"]
            raise InputError(str(said.get("message", said) if isinstance(said, dict) else said)[:200], name)
        choice = (event.get("choices") or [{}])[0]
        return str((choice.get("delta") or {}).get("content") or ""), bool(choice.get("finish_reason"))
    except InputError:
        raise
    except (ValueError, AttributeError, TypeError, KeyError, IndexError):
        raise InputError("the answer is no chat completion", name, "is it a server of this kind?") from None


class Voice:
    """`speak` of a brain. Servers give no times of words, so words are spread over the sound (`timing.spread`)."""

    def __init__(self, endpoint: Endpoint, model: str, voice: str, rate: int = 24_000):
        """`rate`: Hz of the server's `pcm`; a WAV file has its own."""
        self.voice = voice
        self._endpoint, self._model, self._rate = endpoint, model, rate

    def say(self, sentence: str) -> Spoken:
        """A sentence as sound. Raises InputError if the server gives none."""
        query = {"model": self._model, "voice": self.voice, "input": sentence, "response_format": "pcm"}
        try:
            data, kind = self._endpoint.post("/audio/speech", json.dumps(query).encode())
        except Cancelled:
            raise InputError("was ended", self._endpoint.name) from None
        if kind.startswith("text/") or kind == "application/json":
            raise InputError(f"the answer is no sound but {kind}", self._endpoint.name, "does it give pcm?")
        wave_, rate = self._sound(data)
        loud = np.sqrt(np.mean(wave_**2)) if len(wave_) else 0.0
        if loud < 1e-5:
            raise InputError("there is no sound in the answer", self._endpoint.name, "does it give pcm?")
        wave_ = wave_ * min(LEVEL / loud, 0.95 / np.abs(wave_).max())
        return Spoken(wave_.astype(np.float32), rate, spread(sentence.split(), wave_, rate))

    def _sound(self, data: bytes) -> tuple[np.ndarray, int]:
        rate = self._rate
        if data[:4] == b"RIFF":
            try:
                with wave.open(io.BytesIO(data)) as file:
                    if (file.getsampwidth(), file.getnchannels()) != (2, 1):
                        raise InputError("sends no s16 mono", self._endpoint.name)
                    rate, data = file.getframerate(), file.readframes(file.getnframes())
            except (wave.Error, EOFError):
                raise InputError("sends a broken WAV file", self._endpoint.name) from None
        return np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / 32768, rate

    def cancel(self) -> None:
        """Ends the request under way; returns at once."""
        self._endpoint.cancel()

    def close(self) -> None:
        """Ends its connection."""
        self._endpoint.close()
