"""Host's side of one conversation: sound and frames in as they come, the inputs of block after block out.

Block b holds the avatar's frames [b B, (b + 1) B) and reads the user's frames [b B - d, (b + 1) B - d), B = `block`,
d = `delay`; before frame 0 there are silence and rest. All times are seconds on one clock that begins with the user's
frame 0: the stamps of the input, and `now`, which the caller passes. There is no other clock here, no thread and no
randomness: the same calls give the same blocks.

A block is due when its last user frame has ended and the user's sound is there up to its end. It waits `patience`
seconds for sound that is on its way. A caller who is late by more than a block beyond that does not race through old
blocks: the next one reads what the user does at present (`Counts.rebased`), and the user's frames of later blocks move
with it.

No input raises an exception: `Session.counts` counts what is wrong with it. The output is finite, of fixed shape and
float32; its sound lies in [-1, 1].
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from afjax.audio.framing import FPS, FRAME
from afjax.errors import InputError
from afjax.media.audio import MAX_VALUE, RATES
from afjax.streaming.input_buffers import Speech, UserMotion, UserSound

__all__ = ["BlockInputs", "Counts", "Session"]

MAX_MOTION = 1000.0
"""Largest motion of any codec; a row beyond it is refused."""
MAX_SECONDS = 1e9
_CLOSE = 1e-6


class BlockInputs(NamedTuple):
    """Inputs of one block of t frames for one session, float32: sound `[t * 640]` at 16 kHz, user motion `[t, d]`."""

    avatar_wave: Float[np.ndarray, " s"]  # what is heard while the block is seen
    user_wave: Float[np.ndarray, " s"]
    user_motion: Float[np.ndarray, "t d"]  # in the codec's units


@dataclasses.dataclass
class Counts:
    """Counts of faulty input and of what was done about it.

    Calls refused as a whole: `corrupt` (not finite, or of a wrong type, shape, rate or size), `duplicate`, `backwards`
    (time stamps). Calls refused as a whole or in part: `overflow` (too far ahead, or the queue is full), `late` (its
    block was taken). Frames of the user: `silent` (lacks sound), `held` (no row of its own), `absent` (no face: fading
    or at rest). `rebased`: how often the clock was moved; `skipped`: frames that no block has read because of it.
    """

    corrupt: int = 0
    duplicate: int = 0
    backwards: int = 0
    overflow: int = 0
    late: int = 0
    silent: int = 0
    held: int = 0
    absent: int = 0
    rebased: int = 0
    skipped: int = 0


class Session:
    """The buffers of one conversation. Attribute `counts`: `Counts` since the beginning."""

    def __init__(
        self, block: int, delay: int = 0, channels: int = 15, rest: np.ndarray | float = 0.0, patience: float = 0.04
    ):
        """Begins a conversation.

        Args:
          block: frames of a block.
          delay: `layout.user_delay` of the model, frames.
          channels: d, of the codec's motion.
          rest: motion of a face at rest, `[d]` or one number.
          patience: seconds for which a block waits for the user's sound.

        Raises InputError for impossible sizes or rest.
        """
        if block < 1 or delay < 0 or channels < 1 or not 0 <= patience < math.inf:
            sizes = f"block {block}, delay {delay}, channels {channels}, patience {patience}"
            raise InputError(f"no session has {sizes}", "session")
        rest = np.asarray(rest, np.float32)
        if rest.shape not in ((), (channels,)) or not np.isfinite(rest).all():
            raise InputError(f"rest must be one finite number or {channels}", "session")
        self.block, self.delay, self.patience = block, delay, patience
        self.sound = UserSound(block, delay)
        self.motion = UserMotion(block, delay, np.broadcast_to(rest, channels).copy())
        self.speech = Speech()
        self.counts = Counts()

    def user_sound(self, samples: np.ndarray, rate: float, at: float | None = None) -> None:
        """Takes a chunk of the user's sound.

        Args:
          samples: `[s]` floats in -1..1 or int16; any s.
          rate: 8 to 96 kHz, whole Hz.
          at: time of the first sample; None: it follows the last chunk.
        """
        wave, stamp = _wave(samples, rate), None if at is None else _seconds(at)
        if wave is None or (at is not None and stamp is None):
            self._count("corrupt")
        elif wave.size:
            self._count(self.sound.add(wave, int(rate), stamp))

    def user_motion(self, row: np.ndarray | None, at: float) -> None:
        """Takes the tracked motion `[d]` of one video frame, in the codec's units; None where no face was found.

        `at`: time in seconds; frames may come at any rate.
        """
        stamp, motion = _seconds(at), None if row is None else _row(row, len(self.motion.rest))
        if stamp is None or (row is not None and motion is None):
            self._count("corrupt")
        else:
            self._count(self.motion.add(motion, stamp))

    def say(self, samples: np.ndarray, rate: float) -> None:
        """Queues a chunk of the avatar's speech, as `user_sound` takes it; it may come faster than real time."""
        wave = _wave(samples, rate)
        if wave is None:
            self._count("corrupt")
        elif wave.size:
            self._count(self.speech.add(wave, int(rate)))

    def interrupt(self, faded: bool = False) -> None:
        """Drops all speech that no block has taken. The next block dies away within 5 ms and then is silent.

        `faded`: the speech taken last has already died away, so that the next block is silent from the beginning.
        """
        self.speech.clear(faded)

    @property
    def end(self) -> float:
        """Time at which the next block's last user frame ends."""
        return self._end()

    def due(self, now: float) -> bool:
        """Whether `take` can make the next block at the time `now`."""
        late = now - self._end()
        return late >= -_CLOSE and (late >= self.patience - _CLOSE or not self.sound.awaited(self.block * FRAME))

    def take(self, now: float) -> BlockInputs:
        """The inputs of the next block; moves the clock first where `now` is late by more than a block."""
        late = now - self._end() - self.patience
        if self.block / FPS + _CLOSE < late < MAX_SECONDS:
            frames = int(late * FPS)
            self.sound.skip(frames * FRAME)
            self.motion.skip(frames)
            self._count("rebased")
            self._count("skipped", frames)
        sound, silent = self.sound.take(self.block * FRAME)
        motion, held, absent = self.motion.take(self.block)
        for name, frames in (("silent", silent), ("held", held), ("absent", absent)):
            self._count(name, frames)
        return BlockInputs(self.speech.take(self.block * FRAME), sound, motion)

    def snapshot(self) -> dict[str, np.ndarray | float]:
        """All that the session knows, as arrays and numbers by name, which `np.savez` can store."""
        stored = {}
        for owner, name, key in _state(self):
            value = getattr(owner, name)
            if isinstance(value, bytearray):
                value = np.frombuffer(bytes(value), np.uint8)
            stored[key] = value.copy() if isinstance(value, np.ndarray) else value
        return stored

    @classmethod
    def restore(cls, snapshot: Mapping[str, np.ndarray | float]) -> "Session":
        """The session as it was at `snapshot`; it goes on to the same bits. Raises InputError for anything else."""
        try:
            session = cls(
                int(snapshot["block"]),
                int(snapshot["delay"]),
                len(snapshot["motion.rest"]),
                snapshot["motion.rest"],
                float(snapshot["patience"]),
            )
            for owner, name, key in list(_state(session)):
                kind, value = type(getattr(owner, name)), snapshot[key]
                if kind is bytearray:
                    value = value.tobytes()
                setattr(owner, name, np.array(value) if kind is np.ndarray else kind(value))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"not a snapshot of a session ({error})", "session") from None
        return session

    def _end(self) -> float:
        """Time at which the next block's last user frame ends."""
        return (self.motion.base + self.block) / FPS

    def _count(self, name: str | None, times: int = 1):
        if name is not None:
            setattr(self.counts, name, getattr(self.counts, name) + times)


def _state(part: object, prefix: str = "") -> Iterator[tuple[object, str, str]]:
    """(owner, attribute, dotted name) of every number and array of a session."""
    for name, value in vars(part).items():
        if hasattr(value, "__dict__"):
            yield from _state(value, f"{prefix}{name}.")
        else:
            yield part, name, prefix + name


def _number(value: object) -> float | None:
    """A finite real number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _seconds(value: object) -> float | None:
    """A time stamp, else None."""
    number = _number(value)
    return None if number is None or abs(number) > MAX_SECONDS else number


def _row(row: object, channels: int) -> np.ndarray | None:
    """A row of motion, float32 `[d]`, else None."""
    if not isinstance(row, np.ndarray) or row.shape != (channels,) or row.dtype.kind != "f":
        return None
    row = np.asarray(row)
    return np.array(row, np.float32) if np.abs(row).max() <= MAX_MOTION else None


def _wave(samples: object, rate: object) -> np.ndarray | None:
    """Sound, float32 `[s]` on the scale of 1; None where sound or rate is invalid."""
    hertz = _number(rate)
    if hertz is None or not RATES[0] <= hertz <= RATES[1] or hertz % 1:
        return None
    if not isinstance(samples, np.ndarray) or samples.ndim != 1:
        return None
    samples = np.asarray(samples)
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / 32768
    if samples.dtype.kind != "f" or not np.abs(samples).max(initial=0) <= MAX_VALUE:
        return None
    return np.array(samples, np.float32)
