"""A live conversation at wall-clock pace: camera and microphone, tracking, the step, rendering, a screen.

The user's frame n is taken between n / 25 and (n + 1) / 25 seconds and arrives at its end. Sound arrives every 20 ms.
The avatar's speech comes two seconds ahead, as a synthesiser's does. One thread does everything, as a small product
would: it tracks each frame, makes a block as soon as the session says that it is due, and renders it, the first frame
before the others. Each part is delivered when it is there. A due block does not wait for frames that have piled up: the
newest of the frames that it reads is tracked, older ones are skipped.

Events are counterfactuals: from time t on a twin of the conversation (its buffers and slot are copied just before) sees
a user who does something else. The twin goes through the same steps at the same times. Its tracked rows are made
beforehand: a tracker that did both would be twice as slow as that of a product.
"""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import jax
import numpy as np

from afjax.audio.framing import FPS, RATE
from afjax.codec.face.render.renderer import render_frames
from afjax.codec.face.track.live_tracker import LiveFace
from afjax.streaming import latency, live_step
from afjax.streaming.engine import Engine
from afjax.streaming.session import BlockInputs, Session

__all__ = ["Conversation", "Event", "Scene", "Screen", "calibrate"]

PART = 4
"""Frames that are rendered at once: few, so that none waits long for those that are shown after it."""
_CHUNK = 0.02
_SPEECH_AHEAD = 2.0
_CLOSE = 1e-6  # seconds that are no difference


@dataclass(frozen=True)
class Event:
    """A user who does something else from `time` on: tracked rows `[d]` (or None) from frame floor(25 time) on."""

    time: float
    rows: Sequence[np.ndarray | None]


@dataclass(frozen=True)
class Scene:
    """Inputs, played over and over: the user's pictures `[t, h, w, 3]`, both voices `[t * 640]`, and events."""

    pictures: np.ndarray
    user_wave: np.ndarray
    avatar_wave: np.ndarray
    events: Sequence[Event] = ()


class Screen:
    """Renders an identity: first a block's first frame alone, so that it can be shown, then parts of several frames."""

    def __init__(self, identity):
        self._identity = jax.device_put(identity)

    def show(self, motion: np.ndarray):
        """Yields the pictures uint8 `[n, size, size, 3]` of motion `[b, 15]`, part by part."""
        yield self._pictures(motion[:1], 1)
        size = min(len(motion) - 1, PART)
        for first in range(1, len(motion), size or 1):
            yield self._pictures(motion[first : first + size], size)

    def _pictures(self, part: np.ndarray, size: int) -> np.ndarray:
        padded = np.pad(part, [(0, size - len(part)), (0, 0)], mode="edge")
        return np.rint(np.asarray(render_frames(self._identity, padded))[: len(part)]).astype(np.uint8)


@dataclass
class Twin:
    """A counterfactual under way, and both motions from frame `first` on."""

    event: Event
    session: Session
    slot: int
    first: int
    base: list = field(default_factory=list)
    other: list = field(default_factory=list)


class Conversation:
    """One session of an engine of two slots, the second for counterfactuals; `run` fills the lists.

    Attributes:
      block: frames of a block.
      tracked: (frame, arrived, done) of every user frame that was tracked.
      skipped: user frames that were not tracked, since a newer one was there when a block was due.
      blocks: one dict per block: first frame, times at which it was due, taken and computed, the screen's offset behind
        the frames' own time, which grows when the clock is moved, and its delivered parts.
      twins: finished counterfactuals.
      playout: the clock of the screen.
    """

    def __init__(self, engine: Engine, scene: Scene, screen: Screen, headroom: float, face=None, clock=time):
        """Begins a conversation.

        Args:
          headroom: seconds for computing a block, on top of what is collected.
          face: tracks the user's pictures with `step`; a `LiveFace` by default.
          clock: has `perf_counter` and `sleep`.
        """
        layout = engine.config.layout
        self._engine, self._scene, self._screen = engine, scene, screen
        self.block = layout.block
        self._session = Session(layout.block, layout.user_delay, engine.config.model.motion_dim)
        self._face, self._slot, self._clock = face or LiveFace(), engine.join(), clock
        self._behind = latency.offset(layout, 0.0)
        self._frame = self._sound = self._speech = self._made = 0
        self._camera, self._rendering, self._following = deque(), None, 0
        self._events, self._twin, self._seen = list(scene.events), None, 0
        self.playout = latency.Playout(self._behind + headroom)
        self.tracked, self.blocks, self.twins, self.skipped = [], [], [], 0

    @property
    def counts(self):
        """The session's counts of faulty input."""
        return self._session.counts

    def run(self, seconds: float):
        """Lives through `seconds` seconds."""
        self._start = self._clock.perf_counter()
        while (now := self._now()) < seconds:
            self._receive(now)
            if self._rendering is not None:
                self._render()
            elif self._session.due(now):
                self._track(self._read(now))
                self._make(now)
            elif self._camera:
                self._track(1)
            else:
                following = min((self._frame + 1) / FPS, (self._sound + 1) * _CHUNK, now + 0.005)
                self._clock.sleep(max(following - self._now(), 0.0))
        while self._rendering is not None:
            self._render()
        self._engine.leave(self._slot)

    @property
    def _next_block(self) -> float:
        """Time at which all that the next block reads has happened."""
        return self._made / FPS + self._behind

    def _now(self) -> float:
        return self._clock.perf_counter() - self._start

    def _receive(self, now: float):
        """Takes everything that has arrived by `now`."""
        while self._speech < now + _SPEECH_AHEAD:
            self._to_sessions("say", self._piece(self._scene.avatar_wave, self._speech, 1.0), RATE)
            self._speech += 1
        while (self._sound + 1) * _CHUNK <= now:
            at = self._sound * _CHUNK
            self._to_sessions("user_sound", self._piece(self._scene.user_wave, at, _CHUNK), RATE, at)
            self._sound += 1
        while (self._frame + 1) / FPS <= now:
            self._camera.append(self._frame)
            self._frame += 1

    def _to_sessions(self, method: str, *arguments):
        for session in (self._session, self._twin.session if self._twin else None):
            if session is not None:
                getattr(session, method)(*arguments)

    @staticmethod
    def _piece(sound: np.ndarray, at: float, seconds: float) -> np.ndarray:
        places = round(at * RATE) + np.arange(round(seconds * RATE))
        return sound[places % len(sound)]

    def _read(self, now: float) -> int:
        """Number of camera frames that a block made at this time reads, after any move of its clock."""
        present = now - self._session.patience
        moves = present - self._next_block > self.block / FPS
        end = (present if moves else self._next_block) + _CLOSE
        return sum((frame + 1) / FPS <= end for frame in self._camera)

    def _track(self, count: int):
        """Takes `count` frames off the camera and tracks the last of them."""
        if not count:
            return
        *skipped, frame = (self._camera.popleft() for _ in range(count))
        for other in skipped:
            self._see(other, seen=False)
        self.skipped += len(skipped)
        self._see(frame)
        self.tracked.append((frame, (frame + 1) / FPS, self._now()))

    def _see(self, frame: int, seen: bool = True):
        """Passes a frame in both worlds, where there are two; the sessions get it if it is `seen`."""
        if self._events and not self._twin and int((self._events[0].time + _CLOSE) * FPS) <= frame:
            self._fork(self._events.pop(0))
        at = (frame + 0.5) / FPS
        if seen:
            picture = self._scene.pictures[frame % len(self._scene.pictures)]
            self._session.user_motion(self._face.step(picture), at)
        if self._twin:
            if seen:
                self._twin.session.user_motion(self._twin.event.rows[self._seen], at)
            self._seen += 1
            if self._seen == len(self._twin.event.rows):
                self._engine.leave(self._twin.slot)
                self.twins.append(self._twin)
                self._twin = None

    def _fork(self, event: Event):
        session = Session.restore(self._session.snapshot())
        slot = self._engine.fork(self._slot)
        self._twin, self._seen = Twin(event, session, slot, self._made), 0

    def _make(self, now: float):
        """Makes the next block, from its inputs to its first picture on the screen."""
        first, given = self._made, live_step.silence(self._engine.config, self._engine.sessions)
        skipped = self.counts.skipped
        self._place(given, self._slot, self._session.take(now))
        lost = (self.counts.skipped - skipped) / FPS  # a moved clock shows everything later by this
        self.playout.offset, self._behind = self.playout.offset + lost, self._behind + lost
        if self._twin:
            self._place(given, self._twin.slot, self._twin.session.take(now))
        taken, due = self._now(), self._next_block
        motion = np.asarray(self._engine.step(given))
        if self._twin:
            self._twin.base.append(motion[self._slot])
            self._twin.other.append(motion[self._twin.slot])
        times = {"due": due, "offset": self.playout.offset, "taken": taken, "computed": self._now()}
        self.blocks.append({"first": first, **times, "parts": []})
        self._rendering, self._following = self._screen.show(motion[self._slot]), first
        self._made += self.block
        self._render()

    def _render(self):
        """Delivers the next part of the last block."""
        block = self.blocks[-1]
        pictures = next(self._rendering)
        block["parts"].append((len(pictures), self._now()))
        self._following += len(pictures)
        if self._following == self._made:
            self.playout.delivered(block["first"], block["parts"])
            self._rendering = None

    @staticmethod
    def _place(given: live_step.Inputs, slot: int, one: BlockInputs):
        for whole, part in zip(given, one, strict=True):
            whole[slot] = part


def calibrate(engine: Engine, scene: Scene, screen: Screen, blocks: int, face=None, clock=time) -> float:
    """Seconds of headroom: one and a half times the longest time of a block in a trial conversation without events.

    Blocks of a conversation wait for tracking and rendering, unlike blocks computed one after the other. Other
    arguments are those of `Conversation`.
    """
    list(
        screen.show(np.asarray(engine.step(live_step.silence(engine.config, engine.sessions)))[0])
    )  # compiles all of it
    trial = Conversation(engine, replace(scene, events=()), screen, 0.0, face, clock)
    trial.run(blocks * trial.block / FPS)
    return -1.5 * min(trial.playout.slack)
