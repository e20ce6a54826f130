"""A page and a server without a network, on a virtual clock: a voice goes into a call and its brain, blocks come out.

What a brain without threads does takes no time of this clock; `Stopwatch` measures what it took.
"""

import time

import numpy as np

from afjax.audio.feature_extractors import MelFeatures
from afjax.audio.framing import FPS, FRAME, RATE
from afjax.audio.resampling import Resampler
from afjax.config.dicts import from_dict
from afjax.normalizer import Normalizer
from afjax.serving.brain import Cut, Speech, State, Trouble, UserTranscript
from afjax.serving.group import Group
from afjax.streaming.engine import Engine
from afjax.streaming.live_step import LiveParams
from experiments.configs import smoke
from tests.small_model import scrambled

HEADROOM = 0.1
STEP = 0.02


class Page:
    """One call in an engine, and its brain; blocks are there at once.

    Attributes: `events`: (time, event) of the brain; `captions`: (word, first frame, last frame) of what was shown;
    `sound`: float32 `[frames * 640]` of what was played; `begun`: seconds in it at which speech began;
    `late`: most seconds that the real clock was ahead of this one.
    """

    def __init__(self, engine, brain, channels=(), live=False):
        """`live`: on the real clock, at its pace."""
        self.started, self.begun, self.late = time.monotonic() if live else None, None, 0.0
        self.group, self.brain, self.now = Group(engine, channels), brain, 0.0
        self.call = self.group.begin(engine.join(0), 0.0, HEADROOM)
        self.events, self.captions, self._sound, self.cuts = [], [], {}, []

    @property
    def sound(self) -> np.ndarray:
        """What was played, from frame 0 on."""
        sound = np.zeros((max(self._sound, default=-1) + 1, FRAME), np.float32)
        for frame, samples in self._sound.items():
            sound[frame] = samples
        return sound.ravel()

    def live(self, wave: np.ndarray) -> None:
        """The user's voice, float32 `[n]` at 16 kHz, 20 ms at a time."""
        step = round(STEP * RATE)
        for first in range(0, len(wave) - step + 1, step):
            chunk = wave[first : first + step]
            self.call.hear((np.clip(chunk, -1, 1) * 32767).astype(np.int16), RATE, self.now)
            self.brain.hear(chunk, self.now)
            self.now += STEP
            if self.started is not None:
                left = self.started + self.now - time.monotonic()
                self.late = max(self.late, -left)
                time.sleep(max(0.0, left))
            self._tick()

    def quiet(self, seconds: float) -> None:
        """The user is silent, but for a room's faint noise."""
        self.live(1e-4 * np.random.default_rng(0).standard_normal(round(seconds * RATE)).astype(np.float32))

    def until(self, kind: type, seconds: float = 20.0) -> float:
        """Waits in silence for an event of that kind from now on; -> when it came."""
        begun, count = self.now, len(self.events)
        while self.now < begun + seconds:
            self.quiet(0.1)
            for at, event in self.events[count:]:
                if isinstance(event, kind):
                    return at
        raise AssertionError(f"no {kind.__name__} within {seconds} s; {self.events[count:]}")

    def of(self, kind: type) -> list:
        """The events of one kind."""
        return [event for _, event in self.events if isinstance(event, kind)]

    def cut(self) -> float:
        """The avatar stops; -> seconds of the speech that were heard."""
        cut = self.call.cut(self.now)
        for frame in [frame for frame in self._sound if frame >= cut.frame]:
            del self._sound[frame]
        self.captions = [one for one in self.captions if one[1] < cut.frame]
        self.cuts.append(cut)
        self.brain.cut(cut.heard)
        if cut.rest is not None:
            self._show(cut.rest)
        return cut.heard

    def _tick(self):
        for seconds, done in self.call.heard(self.now):
            self.brain.spoken(seconds, done)
        for event in self.brain.events():
            assert isinstance(event, Cut | UserTranscript | Speech | State | Trouble)
            self.events.append((self.now, event))
            if isinstance(event, Speech):
                self.call.say(event)
            elif isinstance(event, Cut):
                self.cut() if self.call.speaking(self.now) else self.brain.cut(0.0)
        for _, block in self.group.step(self.now):
            self._show(block)

    def _show(self, block):
        self.call.delivered(block, len(block.motion), self.now)
        self.captions += block.words
        if block.speech[1] > 0 and self.begun is None:
            self.begun = block.first / FPS
        for n, sound in enumerate(block.sound.reshape(-1, FRAME)):
            self._sound[block.first + n] = sound

    def heard_at(self, frame: int) -> float:
        """When a frame is heard, on this clock."""
        return self.call.due_at(frame)

    def first_sound(self, after: float = 0.0) -> float:
        """When the avatar is first heard from `after` on."""
        frames = (n for n, sound in sorted(self._sound.items()) if np.abs(sound).max() > 1e-3)
        return next(self.heard_at(n) for n in frames if self.heard_at(n) >= after)


class Stopwatch:
    """A part of a brain whose calls are timed: `times` has (name, seconds, when it ended) of each."""

    def __init__(self, part, times: list):
        self._part, self._times = part, times

    def __getattr__(self, name):
        found = getattr(self._part, name)
        if not callable(found):
            return found

        def timed(*arguments):
            begun = time.perf_counter()
            try:
                return found(*arguments)
            finally:
                ended = time.perf_counter()
                self._times.append((name, ended - begun, ended))

        return timed


def smoke_engine() -> Engine:
    """The model of the smoke preset, with random weights."""
    config, features = from_dict(smoke.get_config().to_dict()), MelFeatures()
    sizes = (config.model.motion_dim, 0), (config.model.motion_dim, 1), (features.dim, 0), (features.dim, 1)
    numbers = [np.full(n, value, np.float32) for n, value in sizes]
    return Engine(config, LiveParams.of(scrambled(config, 0.1), features.params, Normalizer(*numbers)), features)


def at_16k(samples: np.ndarray, rate: int) -> np.ndarray:
    """A whole sound at 16 kHz."""
    resample = Resampler(rate)
    return np.concatenate([resample(samples), resample.flush()])
