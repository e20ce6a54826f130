"""The avatar's speech against the play-out clock: words become captions, heard seconds go to the brain.

Positions are seconds of all that has been queued since the last cut. A block takes the next seconds of the queue from
its first sample on; where they are too few its end is silent. So each block that takes speech is a segment (frame,
start, seconds), and a position in it is heard at `frame + (position - start) * 25`.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from afjax.audio.framing import FPS

__all__ = ["Transcript"]

_CLOSE = 1e-6


@dataclass
class _Utterance:
    start: float
    end: float
    complete: bool = False
    told: float = 0.0


class Transcript:
    """The speech of one call since the last cut."""

    def __init__(self):
        self._total = self._taken = 0.0
        self._segments: deque[tuple[int, float, float]] = deque()
        self._utterances: deque[_Utterance] = deque()
        self._words: deque[tuple[str, float, float]] = deque()

    def queue(self, seconds: float, words: Sequence[tuple[str, float, float]], last: bool) -> None:
        """Notes a piece of speech of `seconds` that has been queued; `words` and `last` as in `brain.Speech`."""
        if not self._utterances or self._utterances[-1].complete:
            self._utterances.append(_Utterance(self._total, self._total))
        self._words.extend((text, self._total + start, self._total + end) for text, start, end in words)
        self._total += seconds
        self._utterances[-1].end, self._utterances[-1].complete = self._total, last

    def take(self, first: int, frames: int, empty: bool) -> list[tuple[str, int, int]]:
        """Notes that a block has taken speech for its frames; `empty`: whether the queue is empty after it.

        Returns (text, first frame, last frame) of each word that begins in the block.
        """
        before = self._taken
        if self._total - before < _CLOSE:
            return []
        self._taken = self._total if empty else min(self._total, before + frames / FPS)
        self._segments.append((first, before, self._taken - before))
        words = []
        while self._words and self._words[0][1] < self._taken:
            text, start, end = self._words.popleft()
            begin = first + max(0, math.floor((start - before) * FPS))
            words.append((text, begin, max(begin, begin + math.ceil((end - start) * FPS) - 1)))
        return words

    def taken_at(self, first: int) -> tuple[float, float]:
        """(start, seconds) of the speech that the block from frame `first` on has taken; 0 seconds without any."""
        found = self._segments[-1] if self._segments else (-1, self._taken, 0.0)
        return found[1:] if found[0] == first else (self._taken, 0.0)

    def position(self, frame: float) -> float:
        """Seconds that have been heard when the play-out clock is at `frame`, which may lie between two frames."""
        while len(self._segments) > 1 and self._segments[1][0] <= frame:
            self._segments.popleft()
        if not self._segments or self._segments[0][0] > frame:
            return 0.0 if not self._segments else self._segments[0][1]
        begin, start, seconds = self._segments[0]
        return start + min((frame - begin) / FPS, seconds)

    def news(self, frame: float) -> list[tuple[float, bool]]:
        """(seconds heard, whether that is all) of each utterance that went on since the last call, in order."""
        heard, news = self.position(frame), []
        while self._utterances:
            one = self._utterances[0]
            seconds, done = min(heard, one.end) - one.start, one.complete and heard >= one.end - _CLOSE
            if seconds > one.told or done:
                news.append((seconds, done))
                one.told = seconds
            if not done:
                break
            self._utterances.popleft()
        return news

    def speaking(self, frame: float) -> bool:
        """Whether there is speech that has not been heard."""
        return self._total - self.position(frame) > _CLOSE or any(not one.complete for one in self._utterances)

    def cut(self, frame: float) -> float:
        """Forgets all speech; -> seconds of the utterance under way that were heard."""
        heard = self.position(frame)
        one = next((one for one in self._utterances if heard < one.end or not one.complete), None)
        self.__init__()
        return 0.0 if one is None else max(0.0, heard - one.start)
