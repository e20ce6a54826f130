"""The brain that needs no server: `listen`, `reply` and `speak`, joined by two threads.

    ear    a thread that takes the user's sound and decides on turns and interruptions
    mouth  a thread that has sentences made into sound, one after the other, ahead of their time

Slow synthesis makes words late and nothing else. An interruption is decided 0.24 s after the onset of the user's words
at the earliest (`vad.Settings`), mostly within 0.4 s; a sentence whose synthesis is under way then is thrown away.

The avatar's echo: sound that is heard while it speaks counts only if it is louder than the loudest of the speech around
the play-out position, less 20 dB. A page cancels echoes itself; the rest lies at -30 dB or below.
"""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from afjax.audio.framing import RATE
from afjax.errors import InputError
from afjax.serving.brain import Cut, Event, Speech, State, Trouble
from afjax.serving.brains.parts import Listen, Reply, Sign, Speak, Spoken, Turn
from afjax.serving.brains.voice import sentences

log = logging.getLogger("afjax.serving")
COUPLING = -20.0
"""dB from the avatar's speech to its loudest echo in the microphone."""
_AROUND = (0.6, 0.3)
_ENVELOPE = 50
_QUEUE = 400
_END = Spoken(np.zeros(0, np.float32), RATE, [])


class _Echo:
    """Level of what the avatar says, 50 values per second, and how far it has been heard."""

    def __init__(self):
        self._levels: list[np.ndarray] = []
        self._position: float | None = None

    def add(self, samples: np.ndarray, rate: int):
        step = rate // _ENVELOPE
        blocks = np.pad(samples, (0, -len(samples) % step)).reshape(-1, step)
        self._levels.append(10 * np.log10(np.mean(blocks**2, axis=1) + 1e-10))

    def at(self, position: float | None):
        self._position = position

    def drop(self, seconds: float):
        """Forgets the first `seconds`, which have been heard; positions count from there."""
        self._levels = [np.concatenate(self._levels)[round(seconds * _ENVELOPE) :]] if self._levels else []
        self._position = 0.0

    def clear(self):
        self._levels, self._position = [], None

    def level(self) -> float:
        """The most dB that an echo may have at the position."""
        if self._position is None or not self._levels:
            return -np.inf
        levels = np.concatenate(self._levels)
        first = max(0, int((self._position - _AROUND[0]) * _ENVELOPE))
        near = levels[first : int((self._position + _AROUND[1]) * _ENVELOPE) + 1]
        return float(near.max()) + COUPLING if near.size else -np.inf


class ScriptedBrain:
    """A `Brain`. Without `threads`, for virtual clocks and tests, everything is done inside `hear` and `say`."""

    def __init__(self, listen: Listen, reply: Reply, speak: Speak, threads: bool = True):
        self._listen, self._reply, self._speak = listen, reply, speak
        self._events: deque[Event] = deque()
        self._lock = threading.RLock()
        self._echo = _Echo()
        self._state = ""
        self._talking = False  # speech is on its way or heard
        self._minor = False  # it is a backchannel, over which the user goes on
        self._unheard = 0  # utterances that have not been heard to their end
        self._begun = False  # more of an utterance is to come
        self._round = 0  # a cut begins another: older sentences are thrown away
        self._quiet_since: float | None = None
        self._now = 0.0
        self._sound: queue.Queue = queue.Queue(_QUEUE)
        self._lines: queue.Queue = queue.Queue()
        loops = self._loops() if threads else ()
        self._threads = [threading.Thread(target=self._run, args=loop, daemon=True) for loop in loops]
        for thread in self._threads:
            thread.start()
        self._set("listening")
        self._talk(self._reply.greeting())

    # what a call asks

    def hear(self, samples: np.ndarray, at: float) -> None:
        """Takes the user's sound; drops it where more than some seconds of sound wait."""
        if not self._threads:
            self._hears(samples, at)
            return
        try:
            self._sound.put_nowait((samples, at))
        except queue.Full:
            pass

    def say(self, text: str) -> None:
        """Speaks a line after what is being said."""
        self._talk(text)

    def use_voice(self, name: str) -> None:
        """Takes another voice from the next sentence on."""
        self._speak.voice = name

    def spoken(self, seconds: float, done: bool) -> None:
        """Follows the play-out."""
        with self._lock:
            if not self._talking:
                return
            self._echo.at(seconds)
            self._unheard -= done
            if done and self._unheard <= 0:
                self._ends()
            elif done:
                self._echo.drop(seconds)
            elif seconds > 0:
                self._set("speaking")

    def cut(self, heard: float) -> None:
        """Forgets the rest of the speech, as after an interruption that the brain heard itself."""
        with self._lock:
            self._stop()

    def events(self) -> list[Event]:
        """The events since the last call."""
        with self._lock:
            found = list(self._events)
            self._events.clear()
        return found

    def close(self) -> None:
        """Ends both threads and the voice's process."""
        if self._threads:
            while not self._sound.empty():
                self._sound.get_nowait()
            self._stop()
            for items, _ in self._loops():
                items.put(None)
            for thread in self._threads:
                thread.join(10)
        self._speak.close()

    # threads

    def _loops(self) -> list[tuple[queue.Queue, Callable]]:
        """Queues and the functions that take their items, one thread for each pair."""
        return [(self._sound, self._hears), (self._lines, self._speaks)]

    @staticmethod
    def _run(items: queue.Queue, take: Callable):
        while (item := items.get()) is not None:
            take(*item)

    # state

    def _set(self, state: str):
        if state != self._state:
            self._state = state
            self._events.append(State(state))

    def _stop(self):
        self._round += 1
        self._ends()

    def _ends(self):
        self._talking = self._minor = self._begun = False
        self._unheard = 0
        self._quiet_since = self._now
        self._echo.clear()
        self._set("listening")

    def _talk(self, text: str, minor: bool = False):
        lines = sentences(text)
        if not lines:
            return
        with self._lock:
            if not self._talking:
                self._set("thinking")
            self._talking, self._minor = True, minor
            self._unheard += 1
            for n, line in enumerate(lines):
                self._lines.put((self._round, line, n == len(lines) - 1))
        self._drain()

    def _drain(self):
        """Speaks the lines that wait, where the mouth has no thread."""
        while not self._threads and not self._lines.empty():
            self._speaks(*self._lines.get())

    def _fail(self, error: InputError):
        """Handles a missing voice or answer: the face listens on, after what it has begun to say."""
        log.warning("%s", error)
        self._events.append(Trouble(str(error)))
        if self._begun:
            self._round, self._unheard = self._round + 1, 1
            self._made(_END, True)
        else:
            self._stop()

    # the mouth

    def _speaks(self, at_round: int, sentence: str, last: bool):
        """Makes a sentence into sound; an empty one only ends the utterance."""
        if at_round != self._round:
            return
        try:
            made = self._speak.say(sentence) if sentence else _END
        except InputError as error:
            with self._lock:
                if at_round == self._round:
                    self._fail(error)
            return
        with self._lock:
            if at_round == self._round:
                self._made(made, last)

    def _made(self, made: Spoken, last: bool):
        if len(made.samples):
            self._echo.add(made.samples, made.rate)
        self._begun = not last
        self._events.append(Speech(made.samples, made.rate, made.words, last))

    # the ear

    def _hears(self, samples: np.ndarray, at: float):
        with self._lock:
            echo = self._echo.level()
        for sign in self._listen.hear(samples, at, echo):
            self._follow(sign)
        with self._lock:
            self._now = at
            if self._quiet_since is None or self._talking:
                self._quiet_since = at
            silent = at - self._quiet_since
            text = "" if self._talking else self._reply.silence(silent)
        self._talk(text)

    def _follow(self, sign: Sign):
        text, minor = "", False
        with self._lock:
            if sign.kind == "interruption" and self._talking and not self._minor:
                self._events.append(Cut("the user speaks"))
                self._stop()
            elif sign.kind == "begin":
                self._quiet_since = sign.at
            elif sign.kind == "turn" and sign.turn and (not self._talking or self._minor):
                self._quiet_since = sign.at
                text = self._answer(sign.turn)
            elif sign.kind == "pause" and sign.turn and not self._talking:
                self._quiet_since = sign.at
                text, minor = self._reply.backchannel(sign.turn), True
        self._talk(text, minor)

    def _answer(self, turn: Turn) -> str:
        """The text that answers a turn at once."""
        return self._reply.answer(turn)


def scripted(voice: str = "Clara", seed: int = 0, talks: bool = True) -> ScriptedBrain:
    """The default brain: our ear, small talk (or, without `talks`, only what is typed) and espeak-ng.

    Raises InputError if espeak-ng is not installed.
    """
    from afjax.serving.brains.small_talk import OnlyListens, SmallTalk
    from afjax.serving.brains.vad import TurnDetector
    from afjax.serving.brains.voice import EspeakVoice

    return ScriptedBrain(TurnDetector(), SmallTalk(seed) if talks else OnlyListens(), EspeakVoice(voice))
