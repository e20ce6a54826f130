"""One call: buffers, play-out clock, generations. No sockets, no threads, no clock of its own.

The caller passes `now`, seconds on any clock; stamps (`at`) are on the page's clock, which is at 0 when the call
begins. `take` gives a block to compute; the call's group (`afjax.serving.group`) computes it and gives it to `made`.
The same inputs at the same times give the same blocks.

**A cut** at the time `now`, when frame n is the last that has been shown:

    block      ...  c: .... n | n+1 ....      c+1          c+2     taken, perhaps computed, perhaps rendered
    from here on          cut | lips close    again        again   generation + 1
                                in 3 frames   with silence

The rest of block c keeps its motion, but for the lips, which close from where frame n had them. Blocks that have not
been shown are taken again, with the inputs of the user that they had, from the state before the first of them. The
motion is then the one that the model would have made if the speech had ended with block c. Lips go over to it within
JOIN frames, from SHUT frames after the cut on at the earliest.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from afjax.audio.framing import FPS, FRAME
from afjax.serving import gestures
from afjax.serving.brain import Speech
from afjax.serving.clock import PageClock
from afjax.serving.transcript import Transcript
from afjax.streaming.latency import Playout, offset
from afjax.streaming.session import BlockInputs, Counts, Session

__all__ = ["Block", "Call", "Cut", "Entry"]

LIPS = ("jaw_open", "mouth_width", "upper_lip")
CLOSE, SHUT, JOIN = 3, 5, 4
"""Frames after a cut: in which lips close, until which they stay closed, in which they go over to the model's."""
MARGIN = 0.02
"""Seconds that are added to the delay of a late block."""
LONGEST = 2.0
"""Most seconds by which late blocks move the play-out clock."""
CALM, BACK = 50, 1 / FPS
"""After CALM blocks in a row with more than BACK + 2 MARGIN seconds to spare the clock goes back by up to BACK seconds,
at most to where it began, and only while the avatar does not speak."""
_NEAR = 1e-6


@dataclass
class Entry:
    """A block that was taken and has not yet been shown to its end.

    `state` is the model's state before it, `back` an entry to whose state the model goes back first; both belong to
    whoever computes.
    """

    first: int
    inputs: BlockInputs
    generation: int
    words: list[tuple[str, int, int]] = field(default_factory=list)
    speech: tuple[float, float] = (0.0, 0.0)
    fresh: bool = True
    seen: float | None = None
    started: bool = False
    guide: float | None = None
    back: "Entry | None" = None
    state: Any = None
    motion: np.ndarray | None = None
    rows: np.ndarray | None = None


@dataclass
class Block:
    """A block to be rendered and heard from frame `first` on.

    Attributes:
      motion: float32 `[n, d]`, gestures and closing lips in it; sound: float32 `[n * 640]` at 16 kHz.
      words: (text, first frame, last frame) that begin in it.
      speech: (start, seconds) of the speech since the last cut that is heard from its first sample on.
      fresh: False for frames that are made again after a cut.
      seen: time of the newest of the user's pictures that it read; taken: when it was taken.
      parts: (frames, time) of what was delivered.
    """

    generation: int
    first: int
    motion: np.ndarray
    sound: np.ndarray
    words: list[tuple[str, int, int]]
    fresh: bool
    seen: float | None = None
    taken: float = 0.0
    parts: list[tuple[int, float]] = field(default_factory=list)
    speech: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Cut:
    """The generation after the cut, its first frame, seconds of speech that were heard, and the rest of the block."""

    generation: int
    frame: int
    heard: float
    rest: Block | None


class Call:
    """One conversation in slot `slot` of an engine.

    Attributes:
      generation: counts cuts, modulo 65536; playout: the clock of the screen, on the session's time.
      lead: seconds before its time at which a picture must be there.
      reactions: seconds from the newest of the user's frames that a block read until the block's first frame is due.
    """

    def __init__(
        self, slot: int, config, channels: Sequence[str] = (), rest=0.0, headroom: float = 0.2,
        begun: float = 0.0, shift: float = 0.0, patience: float = 0.04,
    ):  # fmt: skip
        """Begins a conversation.

        Args:
          config: the model's `Config`; channels: names of its motion, of a codec that has them.
          rest: motion `[d]` of a user whose face is not seen.
          headroom: seconds between the last of the user's frames that a block reads and its first picture.
          begun: `now` at the page's 0.
          shift: seconds by which the session's frames begin before the page's 0, so that blocks of several calls are
            due together; less than 0 where the call was made after its page's 0.
          patience: seconds for which a block waits for the user's sound.
        """
        layout, dim = config.layout, config.model.motion_dim
        self.slot, self.block, self.lead = slot, layout.block, 0.0
        self.session = Session(layout.block, layout.user_delay, dim, rest, patience)
        self.playout = Playout(offset(layout, headroom))
        self.transcript, self.clock, self.generation = Transcript(), PageClock(), 0
        self.reactions: deque[float] = deque(maxlen=100)
        self._channels = tuple(channels) if len(channels) == dim else ()
        self._lips = [self._channels.index(name) for name in LIPS if name in self._channels]
        self._begun, self._shift = begun, shift
        self._entries: deque[Entry] = deque()
        self._again: deque[Entry] = deque()
        self._taken = self._sounded = self._delivered = 0
        self._guide: float | None = None
        self._guided, self._grown, self._calm = True, 0.0, 0
        self._gestures: list[tuple[int, np.ndarray]] = []
        self._closing: tuple[int, np.ndarray, int] | None = None
        self._newest: float | None = None

    @property
    def counts(self) -> Counts:
        """Counts of input that was not as it should be."""
        return self.session.counts

    @property
    def offset(self) -> float:
        """Seconds of the page's clock at which frame 0 is due."""
        return self.playout.offset - self._shift - self.clock.moved

    def time(self, now: float) -> float:
        """The session's time."""
        return now - self._begun + self._shift

    def frame(self, now: float) -> float:
        """Where the play-out clock is, in frames."""
        return (self.time(now) - self.playout.offset) * FPS

    # What comes in

    def hear(self, samples: np.ndarray, rate: int, at: float) -> None:
        """A chunk of the user's sound, as `Session.user_sound` takes it."""
        self.session.user_sound(samples, rate, self._own(at))

    def follow(self, at: float, now: float) -> None:
        """Follows the page's clock where it drifts from ours: something that ended at `at` on it has arrived."""
        self.clock.follow(at, now)

    def _own(self, at: float) -> float:
        """A page's stamp on the session's time."""
        return at + self._shift + self.clock.moved

    def see(self, row: np.ndarray | None, at: float) -> None:
        """The tracked motion `[d]` of a picture of the user; None where it shows no face."""
        self.session.user_motion(row, self._own(at))
        if row is not None:
            self._newest = self._own(at)

    def say(self, speech: Speech) -> bool:
        """Queues a piece of the avatar's speech; False where it is no sound, which is only counted."""
        bad = self.counts.corrupt + self.counts.overflow
        self.session.say(speech.samples, speech.rate)
        refused = self.counts.corrupt + self.counts.overflow > bad
        seconds = 0.0 if refused else len(speech.samples) / speech.rate
        self.transcript.queue(seconds, [] if refused else speech.words, speech.last)
        return not refused

    def gesture(self, name: str) -> bool:
        """Adds a gesture from the next block on; False where the codec has no such gesture."""
        rows = gestures.curve(name, self._channels)
        if rows is not None:
            self._gestures.append((self._taken, rows))
        return rows is not None

    def guide(self, scale: float) -> None:
        """Guides the model by `scale` from the next block on (`Engine.set_guidance_scale`)."""
        self._guide, self._guided = scale, False

    # Blocks

    @property
    def urgent(self) -> bool:
        """Whether blocks wait to be made again; they have been due for long."""
        return bool(self._again)

    def due(self, now: float) -> bool:
        """Whether `take` can make a block."""
        return self.urgent or self.session.due(self.time(now))

    def awaits_sound(self, now: float) -> bool:
        """Whether only the user's sound is missing; true for `patience` at most."""
        return not self.due(now) and self.session.end <= self.time(now) + _NEAR

    def next_due(self) -> float:
        """`now` at which the next block's last user frame ends."""
        return self.session.end + self._begun - self._shift

    def shown_at(self) -> float:
        """`now` at which the first frame of the next block to take is due on the screen."""
        first = self._again[0].first if self._again else self._taken
        return self.due_at(first)

    def due_at(self, frame: int) -> float:
        """`now` at which a frame is due on the screen."""
        return self.playout.due(frame) + self._begun - self._shift

    def take(self, now: float) -> Entry:
        """The next block to compute: a block that is made again after a cut, or a fresh one."""
        entry = self._again.popleft() if self._again else self._fresh(now)
        entry.started = True
        if not self._guided or entry.back is not None:  # an earlier state has an earlier guidance
            entry.guide, self._guided = self._guide, True
        return entry

    def _fresh(self, now: float) -> Entry:
        skipped = self.counts.skipped
        inputs = self.session.take(self.time(now))
        # the session skipped frames: all is shown that much later
        self.playout.offset += (self.counts.skipped - skipped) / FPS
        words = self.transcript.take(self._taken, self.block, not self.session.speech.queue)
        speech = self.transcript.taken_at(self._taken)
        entry = Entry(self._taken, inputs, self.generation, words, speech, seen=self._newest)
        self._taken += self.block
        self._entries.append(entry)
        return entry

    def made(self, entry: Entry, motion: np.ndarray) -> Block | None:
        """The block to show of computed motion `[t, d]`; None where a cut has made it void."""
        if entry.generation != self.generation:
            return None
        entry.motion, entry.rows = motion, self._shown(entry.first, motion)
        self._sounded = entry.first + self.block
        sound = entry.inputs.avatar_wave
        block = Block(self.generation, entry.first, entry.rows, sound, entry.words, entry.fresh, entry.seen)
        block.speech = entry.speech
        return block

    def delivered(self, block: Block, count: int, now: float) -> None:
        """`count` more frames of a block are on their way to the page.

        A late block moves the clock; many early ones move it back.
        """
        block.parts.append((count, self.time(now)))
        done = sum(count for count, _ in block.parts)
        if block.generation != self.generation:
            return
        self._delivered = max(self._delivered, block.first + done)
        shown = self.frame(now)
        while len(self._entries) > 1 and self._entries[1].first <= min(shown, self._delivered - 1):
            self._entries.popleft()
        if block.fresh and done == len(block.motion):
            self.playout.delivered(block.first, block.parts)
            del self.playout.slack[:-1000]
            if block.seen is not None:
                self.reactions.append(self.playout.due(block.first) - block.seen)
            self._move(self.playout.slack[-1] - self.lead, now)

    def _move(self, slack: float, now: float):
        """Moves the play-out clock after a block that came `slack` seconds before it was due."""
        self._calm = self._calm + 1 if slack > BACK + 2 * MARGIN else 0
        more = min(MARGIN - slack, LONGEST - self._grown) if slack < 0 else 0.0
        if self._calm >= CALM and self._grown > 0 and not self.speaking(now):
            more, self._calm = -min(BACK, self._grown), 0
        self.playout.offset, self._grown = self.playout.offset + more, self._grown + more

    # Cuts

    def speaking(self, now: float) -> bool:
        """Whether there is speech that has not been heard."""
        return self.transcript.speaking(self._heard(now))

    def heard(self, now: float) -> list[tuple[float, bool]]:
        """What `Brain.spoken` is told, utterance by utterance."""
        return self.transcript.news(self._heard(now))

    def _heard(self, now: float) -> float:
        """Where the play-out clock is in the sound that has been made."""
        return min(self.frame(now), self._sounded)

    def cut(self, now: float) -> Cut:
        """Stops the avatar's speech."""
        clock = self.frame(now)
        last = max(-1, min(math.floor(clock + _NEAR), self._delivered - 1))
        heard = self.transcript.cut(self._heard(now))
        self.session.interrupt(faded=True)
        self.generation = (self.generation + 1) & 0xFFFF
        lips = self._row(last)
        kept = [entry for entry in self._entries if entry.first <= last]
        solid = max(kept[-1].first + self.block if kept else 0, last + 1 + SHUT)
        self._closing = None if lips is None else (last + 1, lips, solid)
        self._again.clear()
        for n, old in enumerate([entry for entry in self._entries if entry.first > last]):
            silent = old.inputs._replace(avatar_wave=np.zeros_like(old.inputs.avatar_wave))
            back = None if n else old if old.started else old.back
            self._again.append(Entry(old.first, silent, self.generation, fresh=False, back=back))
        self._entries = deque([*kept, *self._again])
        self._delivered = self._sounded = last + 1
        return Cut(self.generation, last + 1, heard, self._rest(kept, last + 1))

    def _rest(self, kept: list[Entry], frame: int) -> Block | None:
        """The rest of the block at hand, from `frame` on."""
        if not kept or kept[-1].motion is None or kept[-1].first + self.block <= frame:
            return None
        entry = kept[-1]
        rows = entry.rows.copy()
        rows[frame - entry.first :] = self._shown(frame, entry.motion[frame - entry.first :])
        entry.rows = rows
        left = rows[frame - entry.first :]
        return Block(self.generation, frame, left, np.zeros(len(left) * FRAME, np.float32), [], False)

    def _row(self, frame: int) -> np.ndarray | None:
        """A frame's motion as it was shown, if it is still known."""
        for entry in self._entries:
            if entry.rows is not None and 0 <= frame - entry.first < self.block:
                return entry.rows[frame - entry.first]
        return None

    def _shown(self, first: int, motion: np.ndarray) -> np.ndarray:
        """Motion `[n, d]` of frames from `first` on with gestures, and with closing lips after a cut."""
        rows = np.array(motion, np.float32)
        for begin, curve in self._gestures:
            low, high = max(begin, first), min(begin + len(curve), first + len(rows))
            if low < high:
                rows[low - first : high - first] += curve[low - begin : high - begin]
        self._gestures = [one for one in self._gestures if one[0] + len(one[1]) > first - 2 * self.block]
        if self._closing is not None and self._lips:
            frame, lips, solid = self._closing
            number = first + np.arange(len(rows))
            held = np.clip(1 - (number - frame + 1) / CLOSE, 0, 1)[:, None] * lips[self._lips]
            share = np.clip(1 - (number - solid + 1) / (JOIN + 1), 0, 1)[:, None]
            rows[:, self._lips] = share * held + (1 - share) * rows[:, self._lips]
        return rows
