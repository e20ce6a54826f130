"""A live conversation with one avatar: camera, microphone and the avatar's speech in, pictures and sound out.

    session = avatar.session(portrait)
    while talking:
        session.see(frame, at); session.hear(samples, rate); session.say(speech, rate)
        if session.due(now):
            show(session.block(now))

All times are seconds on one clock that begins with the user's first frame. `afjax.streaming.session` says what happens
to input that comes late, twice, or not at all. One thread calls all methods; `block` computes a block and renders it.
"""

from typing import Any, NamedTuple

import numpy as np

from afjax.codec.base import Codec
from afjax.streaming import live_step
from afjax.streaming.engine import Engine
from afjax.streaming.session import Counts, Session

__all__ = ["Block", "LiveSession"]


class Block(NamedTuple):
    """Pictures and sound of the next t = `layout.block` frames of 1/25 s."""

    pictures: np.ndarray  # uint8 [t, size, size, 3]
    sound: np.ndarray  # float32 [t * 640] at 16 kHz, the avatar's voice
    motion: np.ndarray  # float32 [t, d], raw units


class LiveSession:
    """One conversation; `with` ends it."""

    def __init__(self, engine: Engine, codec: Codec, identity: Any, seed: int = 0):
        """Begins a conversation.

        Args:
          engine: an engine of one free slot, of the model whose motion the codec renders. A step of an engine with
            more slots goes on with all sessions at once, so that no session could take its block alone.
          identity: `codec.identity` of the avatar's portrait; a user whose face is not seen rests like it.
          seed: seed of the motion's noise.
        """
        if engine.sessions != 1:
            raise ValueError(f"a live session has an engine of one slot, not of {engine.sessions}")
        layout, channels = engine.config.layout, engine.config.model.motion_dim
        rest = codec.reference_motion(identity)
        self._buffers = Session(layout.block, layout.user_delay, channels, rest)
        self._engine, self._codec, self._identity, self._tracker = engine, codec, identity, codec.tracker()
        self._slot = engine.join(seed, rest)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()

    @property
    def counts(self) -> Counts:
        """Counts of input that was not as it should be."""
        return self._buffers.counts

    def see(self, frame: np.ndarray, at: float) -> bool:
        """Takes a camera frame uint8 `[h, w, 3]` RGB; -> whether it shows a face. Any frame rate."""
        motion = self._tracker.step(frame)
        self._buffers.user_motion(motion, at)
        return motion is not None

    def hear(self, samples: np.ndarray, rate: float, at: float | None = None) -> None:
        """Takes a chunk of the user's sound, `[n]` floats in -1..1 or int16; without `at` it follows the last chunk."""
        self._buffers.user_sound(samples, rate, at)

    def say(self, samples: np.ndarray, rate: float) -> None:
        """Queues a chunk of the avatar's speech; it may come faster than real time."""
        self._buffers.say(samples, rate)

    def interrupt(self) -> None:
        """Drops all speech that no block has taken."""
        self._buffers.interrupt()

    def due(self, now: float) -> bool:
        """Whether `block` can make the next block at the time `now`."""
        return self._buffers.due(now)

    def block(self, now: float) -> Block:
        """The next block, computed and rendered."""
        if self._slot is None:
            raise ValueError("the session is closed")
        one = self._buffers.take(now)
        motion = np.asarray(self._engine.step(live_step.Inputs(*(part[None] for part in one)))[0])
        return Block(self._codec.render(self._identity, motion), one.avatar_wave, motion)

    def close(self) -> None:
        """Ends the conversation; a second time does nothing."""
        if self._slot is not None:
            self._engine.leave(self._slot)
        self._slot = None
