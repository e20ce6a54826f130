"""A whole brain by OpenAI's Realtime protocol over a WebSocket: the user's voice goes up, speech comes down.

    up    session.update, input_audio_buffer.append, response.create, response.cancel, conversation.item.truncate
    down  input_audio_buffer.speech_started, response.output_audio.delta (before 2025-08: response.audio.delta), ...

The server decides on turns. When the user speaks over the avatar, or the page cuts it, the server is told up to which
millisecond its answer was heard (`audio_end_ms`), so that the model knows what it has not said. An utterance is an item
of a response. Its words come without times: they are taken to be spoken at PACE.

A thread of its own holds the connection. A server that is away is tried again after 1, 2, 4, ... 30 seconds. The user
is told once, and the avatar listens on.
"""

import base64
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np

from afjax.serving.brain import Cut, Event, Speech, State, Trouble, UserTranscript
from afjax.serving.brains.endpoint import checked_url
from afjax.serving.brains.endpoints import PROMPT
from afjax.serving.brains.realtime_link import RATE, Link

__all__ = ["RealtimeBrain"]

log = logging.getLogger("afjax.serving")
PACE = 15.0
"""Letters and blanks per second of speech."""
_LEAST = 0.05
"""Least seconds between the starts of an utterance's last words, and from the last start to the end."""
ASKED = "asked for"
"""Stands for the id of a response that has not been created."""
_IGNORED = ("response_cancel_not_active", "conversation_already_has_active_response")


@dataclass
class _Item:
    """An utterance: its id, seconds of its sound that have come, text without a time, start of its next word."""

    id: str
    seconds: float = 0.0
    text: str = ""
    word: float = 0.0
    complete: bool = False

    def timed(self, origin: float) -> list[tuple[str, float, float]]:
        """Words whose sound has come, with times in seconds from `origin`; all that are left once it is complete."""
        words, whole = self.text.split(), self.complete or self.text.endswith((" ", "\n"))
        left = max(0.0, self.seconds - self.word)
        pace = max(PACE, len(self.text) / max(left, 0.1)) if self.complete else PACE
        least, timed = _LEAST * self.complete, []
        while len(words) > (not whole) and (self.complete or self.word < self.seconds):
            begin = min(self.word, max(0.0, self.seconds - least * len(words)))
            self.word += (len(words[0]) + 1) / pace
            timed.append((words.pop(0), begin - origin, min(self.word, self.seconds) - origin))
        self.text = " ".join(words) + " " * (whole and bool(words))
        return timed


class RealtimeBrain:
    """A `Brain`. Attribute `name`: the server's name in errors."""

    def __init__(
        self, url: str, key: str = "", model: str = "", voice: str = "", prompt: str = "", greets: bool = True,
        transcription: str = "whisper-1",
    ):  # fmt: skip
        """Connects in a thread of its own.

        Args:
          url: ws:// or wss://, without a query; the model is added to it.
          key: bearer token, sent over TLS or to this machine only.
          prompt: who the model is told to be.
          greets: whether the avatar speaks first.
          transcription: the server's model that writes down what the user says; "" for none.

        Raises InputError where the address can't be used.
        """
        self.name = f"{checked_url(url, key, ('ws', 'wss')).scheme}://{url.partition('://')[2]}"
        url = f"{url}?{urlencode({'model': model})}" if model else url
        self._key, self._voice, self._prompt, self._greets = key, voice, prompt or PROMPT, greets
        self._transcription = transcription
        self._events: deque[Event] = deque()
        self._lock = threading.Lock()
        self._items: deque[_Item] = deque()
        self._silenced: set[str] = set()
        self._response, self._state, self._told = "", "", False
        self._lines: deque[str] = deque()
        self._on: dict[str, Callable[[dict], None]] = {
            "session.created": self._created,
            "error": self._error,
            "input_audio_buffer.speech_started": self._speech_started,
            "input_audio_buffer.speech_stopped": lambda event: self._set("thinking"),
            "conversation.item.input_audio_transcription.completed": self._transcribed,
            "response.created": self._response_created,
            "response.done": self._response_done,
            "response.output_audio.delta": self._audio,
            "response.audio.delta": self._audio,
            "response.output_audio.done": self._audio_done,
            "response.audio.done": self._audio_done,
            "response.output_audio_transcript.delta": self._text,
            "response.audio_transcript.delta": self._text,
        }
        self._set("listening")
        self._link = Link(url, key, self._take, self._lost)
        self._link.start()

    # what a call asks

    def hear(self, samples: np.ndarray, at: float) -> None:
        """The user's voice; while the server is away it is dropped."""
        self._link.sound(samples)

    def say(self, text: str) -> None:
        """Speaks a line after what is being said."""
        with self._lock:
            self._lines.append(f"Say exactly this, and nothing else: {text}")
            self._next_line()

    def spoken(self, seconds: float, done: bool) -> None:
        """Follows the play-out."""
        with self._lock:
            if done and self._items:
                self._items.popleft()
                if not self._items and not self._response:
                    self._set("listening")
            elif self._items and seconds > 0:
                self._set("speaking")

    def cut(self, heard: float) -> None:
        """Tells the server what was heard, and that no more is wanted."""
        with self._lock:
            if self._response and self._response != ASKED:
                self._link.send({"type": "response.cancel"})
            self._silence()
            for n, item in enumerate(self._items):
                end = 0.0 if n else min(heard, item.seconds)
                self._link.send(
                    {"type": "conversation.item.truncate", "item_id": item.id, "content_index": 0,
                     "audio_end_ms": int(1000 * end)}
                )  # fmt: skip
            self._items.clear()
            self._lines.clear()
            self._events = deque(event for event in self._events if not isinstance(event, Speech))
            self._set("listening")

    def events(self) -> list[Event]:
        """The events since the last call."""
        with self._lock:
            found = list(self._events)
            self._events.clear()
        return found

    def close(self) -> None:
        """Hangs up."""
        self._link.close()

    def _set(self, state: str):
        if state != self._state:
            self._state = state
            self._events.append(State(state))

    def _silence(self):
        """Leaves out the rest of the answer under way."""
        self._silenced.update(item.id for item in self._items)
        if self._response:
            self._silenced.add(self._response)

    def _next_line(self):
        if self._lines and not self._response and self._link.ready:
            self._response = ASKED
            self._link.send({"type": "response.create", "response": {"instructions": self._lines.popleft()}})

    # what the link says

    def _lost(self, trouble: str):
        """Ends the utterances under way where their sound ends, and forgets the lines that wait."""
        with self._lock:
            self._finish_all()
            self._response = ""
            self._lines.clear()
            if not self._items:
                self._set("listening")
            if not self._told:
                self._told = True
                self._tell(f"{trouble}; it is tried again")

    def _tell(self, text: str):
        text = text.replace(self._key, "...") if self._key else text
        log.warning("%s: %s", self.name, text)
        self._events.append(Trouble(f"{self.name}: {text}"))

    # what the server says

    def _take(self, event: dict):
        take = self._on.get(event["type"])
        if take is not None:
            with self._lock:
                take(event)

    def _created(self, event: dict):
        """Sets up a session that has begun, in the words of its protocol's version."""
        session = event.get("session") or {}
        turns = {"type": "server_vad", "create_response": True, "interrupt_response": True}
        written = {"model": self._transcription} if self._transcription else None
        if "modalities" in session or "input_audio_format" in session:
            wanted = {
                "modalities": ["audio", "text"], "input_audio_format": "pcm16", "output_audio_format": "pcm16",
                "turn_detection": turns, "input_audio_transcription": written,
            }  # fmt: skip
            if self._voice:
                wanted["voice"] = self._voice
        else:
            pcm = {"type": "audio/pcm", "rate": RATE}
            wanted = {
                "type": "realtime", "output_modalities": ["audio"],
                "audio": {"input": {"format": pcm, "turn_detection": turns, "transcription": written},
                          "output": {"format": pcm}},
            }  # fmt: skip
            if self._voice:
                wanted["audio"]["output"]["voice"] = self._voice
        wanted["instructions"] = self._prompt
        self._link.send({"type": "session.update", "session": wanted})
        self._link.ready, self._told = True, False
        if self._greets:
            self._greets = False
            self._lines.append("Greet the user in one short sentence.")
        self._next_line()

    def _error(self, event: dict):
        error = event.get("error") or {}
        if error.get("code") in _IGNORED:
            return
        text = " ".join(str(error.get("message") or error.get("code") or "an error").split())[:200]
        self._tell(text)
        if self._response == ASKED:
            self._silenced.discard(ASKED)
            self._response = ""

    def _speech_started(self, event: dict):
        if self._items or self._response:
            self._events.append(Cut("the user speaks"))
            self._silence()
        self._set("listening")

    def _transcribed(self, event: dict):
        if words := str(event.get("transcript") or "").split():
            self._events.append(UserTranscript(words))

    def _response_created(self, event: dict):
        late, self._response = ASKED in self._silenced, event["response"]["id"]
        if late:  # it was cut before it began
            self._silenced.discard(ASKED)
            self._silenced.add(self._response)
            self._link.send({"type": "response.cancel"})
        else:
            self._set("thinking")

    def _response_done(self, event: dict):
        self._finish_all()
        self._silenced.discard(self._response)
        self._response = ""
        response = event.get("response") or {}
        if response.get("status") == "failed":
            detail = (response.get("status_details") or {}).get("error") or {}
            self._error({"error": {"message": detail.get("message") or "an answer failed"}})
        if not self._items:
            self._set("listening")
        self._next_line()

    def _item(self, event: dict) -> _Item | None:
        """The utterance that an event belongs to; None where it was cut."""
        name = event["item_id"]
        if name in self._silenced or event.get("response_id", self._response) in self._silenced:
            return None
        if not self._items or self._items[-1].id != name:
            self._items.append(_Item(name))
        return self._items[-1]

    def _audio(self, event: dict):
        item = self._item(event)
        if item is None:
            return
        pcm = base64.b64decode(event["delta"])
        wave = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32) / 32768
        before, item.seconds = item.seconds, item.seconds + len(wave) / RATE
        self._events.append(Speech(wave, RATE, item.timed(before), False))

    def _audio_done(self, event: dict):
        item = self._item(event)
        if item is not None and not item.complete:
            self._finish(item)

    def _finish_all(self):
        """Completes all utterances that have begun and were not cut."""
        for item in self._items:
            if not item.complete and item.id not in self._silenced:
                self._finish(item)

    def _finish(self, item: _Item):
        item.complete = True
        self._events.append(Speech(np.zeros(0, np.float32), RATE, item.timed(item.seconds), True))

    def _text(self, event: dict):
        item = self._item(event)
        if item is not None and not item.complete:
            item.text += event["delta"]
