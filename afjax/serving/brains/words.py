"""The brain that knows words: what the user said is recognised, answered and spoken, sentence by sentence as it comes.

    ear    decides on turns, as in `scripted`
    mind   has a turn's sound recognised and answered; each sentence goes to the mouth as soon as it is complete
    mouth  has sentences made into sound

A recogniser that may be asked `early` begins at a pause of 0.3 s. If the turn ends there, its words are known by then.

If the user goes on before anything of the answer was heard, both pieces are one turn: the answer is thrown away and
made anew for all of it. A cut tells the reply how much of its answer was heard, by the times of its words.
"""

import dataclasses
import queue
import re
from collections import deque
from collections.abc import Callable

import numpy as np

from afjax.audio.framing import RATE
from afjax.errors import InputError
from afjax.serving.brain import UserTranscript
from afjax.serving.brains.parts import Listen, Recognise, Reply, Sign, Speak, Spoken, Turn
from afjax.serving.brains.scripted import ScriptedBrain
from afjax.serving.brains.voice import sentences

__all__ = ["Recorder", "Splitter", "WordsBrain"]

LONGEST = 30.0
"""Seconds of the user's sound that are remembered."""
GOES_ON = 5.0
"""Seconds after a turn within which the next turn continues it, if nothing of an answer was heard."""
BEFORE, AFTER = 0.3, 0.2
"""Seconds around a turn's voice that belong to it: unvoiced sounds."""


class Recorder:
    """The last seconds of the user's sound, by their times."""

    def __init__(self, seconds: float = LONGEST):
        self._pieces: deque[tuple[float, np.ndarray]] = deque()
        self._seconds = seconds

    def add(self, samples: np.ndarray, at: float) -> None:
        """Adds float32 `[n]` at 16 kHz; `at`: time of its first sample."""
        self._pieces.append((at, samples))
        while self._pieces[0][0] < at - self._seconds:
            self._pieces.popleft()

    def between(self, start: float, end: float) -> np.ndarray:
        """The remembered sound between the times `start` and `end`, pieces joined."""
        found = [np.zeros(0, np.float32)]
        for at, samples in self._pieces:
            first, last = (max(0, round((time - at) * RATE)) for time in (start, end))
            found.append(samples[first:last])
        return np.concatenate(found)


class Splitter:
    """Splits a text that comes in pieces into sentences."""

    _END = re.compile(r"""[.!?…]["'”’)\]]*(?=\s)|\n""")

    def __init__(self):
        self._text = ""

    def add(self, piece: str) -> list[str]:
        """The sentences that a piece completes. Marks that are not spoken are left out."""
        self._text += re.sub(r"[*_#`]+", "", piece)
        end = max((found.end() for found in self._END.finditer(self._text)), default=0)
        complete, self._text = self._text[:end], self._text[end:]
        return [line for text in complete.split("\n") for line in sentences(text)]

    def rest(self) -> list[str]:
        """The sentences that are left at the end of the text."""
        text, self._text = self._text, ""
        return sentences(text)


class WordsBrain(ScriptedBrain):
    """A `Brain` of four parts. Without `threads` everything is done inside `hear` and `say`, as in `ScriptedBrain`."""

    def __init__(self, listen: Listen, recognise: Recognise, reply: Reply, speak: Speak, threads: bool = True):
        self._recognise, self._recorder = recognise, Recorder()
        self._turns: queue.Queue = queue.Queue()
        self._open: list[np.ndarray] = []  # sound of turns whose answer has not been heard at all
        self._open_until = 0.0
        self._words: list[tuple[str, float, float]] = []  # of the utterance under way
        self._said, self._answering = 0.0, False
        self._early: tuple[tuple, list[str]] = (), []
        super().__init__(listen, reply, speak, threads)

    def close(self) -> None:
        """Ends the threads and what the parts hold."""
        self._forget(0.0)
        super().close()
        self._recognise.close()
        getattr(self._reply, "close", lambda: None)()

    def spoken(self, seconds: float, done: bool) -> None:
        """Follows the play-out."""
        with self._lock:
            if seconds > 0:
                self._open.clear()
            super().spoken(seconds, done)
            if done:
                rest = [(word, start - seconds, end - seconds) for word, start, end in self._words]
                self._words = [one for one in rest if one[1] > -1e-3]
                self._said, self._answering = max(0.0, self._said - seconds), self._answering and self._talking

    def cut(self, heard: float) -> None:
        """Forgets the rest, and tells the reply what was heard."""
        with self._lock:
            self._forget(heard)
            super().cut(heard)

    def _forget(self, heard: float):
        tell = getattr(self._reply, "heard", None)
        if tell is not None and self._answering:
            tell(" ".join(word for word, start, end in self._words if (start + end) / 2 <= heard))
        self._words, self._said, self._answering = [], 0.0, False
        for part in (self._recognise, self._speak):
            getattr(part, "cancel", lambda: None)()

    def _loops(self) -> list[tuple[queue.Queue, Callable]]:
        return [*super()._loops(), (self._turns, self._thinks)]

    # the ear

    def _hears(self, samples: np.ndarray, at: float):
        self._recorder.add(samples, at)
        super()._hears(samples, at)

    def _follow(self, sign: Sign):
        with self._lock:
            if sign.kind == "turn" and self._state == "thinking" and self._open:  # goes on before it was answered
                self._forget(0.0)
                self._stop()
            super()._follow(sign)
            early = self._threads and getattr(self._recognise, "early", False)
            if sign.kind == "pause" and sign.turn and early and not self._talking:
                self._turns.put((self._round, sign.turn, self._sounds(sign.turn), True))

    def _sounds(self, turn: Turn) -> np.ndarray:
        """Sound of a turn, after that of the turns before it that have not been answered."""
        if turn.at > self._open_until + GOES_ON:
            self._open.clear()
        sound = self._recorder.between(turn.at - BEFORE, turn.at + turn.seconds + AFTER)
        return np.concatenate([*self._open, sound])[-int(LONGEST * RATE) :]

    def _answer(self, turn: Turn) -> str:
        """Nothing at once: the turn goes to the mind."""
        samples = self._sounds(turn)
        self._open, self._open_until = [samples], turn.at + turn.seconds
        self._talking, self._minor, self._answering = True, False, True
        self._unheard += 1
        self._set("thinking")
        item = self._round, turn, samples, False
        if self._threads:
            self._turns.put(item)
        else:
            self._thinks(*item)
        return ""

    # the mind

    def _thinks(self, at_round: int, turn: Turn, samples: np.ndarray, early: bool):
        if at_round != self._round:
            return
        key = turn.at, turn.seconds, len(samples)
        try:
            words = self._early[1] if self._early[0] == key else self._recognise.words(samples)
            if early:
                if words and at_round == self._round:
                    self._early = key, words
                return
            with self._lock:
                if at_round != self._round:
                    return
                if not words:  # a sound without words
                    self._open.clear()
                    self._stop()
                    return
                self._events.append(UserTranscript(words))
            said = self._reply.answer(dataclasses.replace(turn, words=tuple(words)))
            self._reads([said] if isinstance(said, str) else said, at_round)
        except InputError as error:
            with self._lock:
                if at_round == self._round and not early:
                    self._open.clear()
                    self._fail(error)

    def _reads(self, pieces, at_round: int):
        splitter, any_line = Splitter(), False
        for piece in pieces:
            if at_round != self._round:
                return
            any_line |= self._passes(splitter.add(piece), at_round)
        any_line |= self._passes(splitter.rest(), at_round)
        with self._lock:
            if at_round != self._round:
                return
            if any_line:
                self._lines.put((at_round, "", True))
            else:
                self._open.clear()
                self._stop()
        self._drain()

    def _passes(self, lines: list[str], at_round: int) -> bool:
        for line in lines:
            self._lines.put((at_round, line, False))
        self._drain()
        return bool(lines)

    # the mouth

    def _made(self, made: Spoken, last: bool):
        self._words += [(word, self._said + start, self._said + end) for word, start, end in made.words]
        self._said += len(made.samples) / made.rate
        super()._made(made, last)
