"""A model of a few numbers, a codec that draws grey pictures, and a brain that does what it is told."""

import dataclasses
import time

import numpy as np

from afjax.audio.framing import FRAME
from afjax.codec.face.channels import CHANNELS
from afjax.config import Config
from afjax.errors import InputError
from afjax.serving.brain import Cut, Speech

BLOCK, DELAY = 5, 5
JAW, SMILE = CHANNELS.index("jaw_open"), CHANNELS.index("smile")


def config_of(block: int = BLOCK, delay: int = DELAY) -> Config:
    base = Config()
    layout = dataclasses.replace(base.layout, block=block, look_ahead=0, user_delay=delay)
    return dataclasses.replace(base, layout=layout, data=dataclasses.replace(base.data, window=50))


class Engine:
    """The mouth opens as the voice is loud, the smile is the user's, the yaw is a sum over the whole past."""

    has_guidance = False

    def __init__(self, sessions: int = 1, block: int = BLOCK, delay: int = DELAY, seconds: float = 0.0):
        self.config, self.sessions, self.seconds = config_of(block, delay), sessions, seconds
        self.taken, self.past, self.steps = set(), np.zeros((sessions, 2)), 0

    def join(self, seed=0, reference_motion=0.0):
        free = [slot for slot in range(self.sessions) if slot not in self.taken]
        if not free:
            raise InputError("all slots are taken")
        self.taken.add(free[0])
        self.past[free[0]] = seed % 7, 0
        return free[0]

    def leave(self, slot):
        self.taken.discard(slot)

    def state(self, slot):
        return self.past[slot].copy()

    def rollback(self, slot, state):
        self.past[slot] = state

    def step(self, inputs, only=None):
        time.sleep(self.seconds)
        self.steps += 1
        sounds = [np.asarray(s, np.float64).reshape(self.sessions, -1, FRAME) for s in inputs[:2]]
        loud = [np.abs(sound).mean(-1) for sound in sounds]
        motion = np.zeros((*inputs.user_motion.shape[:2], len(CHANNELS)), np.float32)
        for slot in self.taken if only is None else only:
            for n in range(motion.shape[1]):
                mouth = 0.4 * self.past[slot, 1] + loud[0][slot, n]
                self.past[slot] = 0.9 * self.past[slot, 0] + loud[0][slot, n] - loud[1][slot, n], mouth
                motion[slot, n] = inputs.user_motion[slot, n]
                motion[slot, n, 0] = self.past[slot, 0]
                motion[slot, n, JAW] = mouth
        return motion


class Codec:
    """Pictures of one grey level, the jaw's opening; a dark frame shows no face, another's smile is its brightness."""

    channels, size = CHANNELS, 16

    def tracker(self):
        return self

    def step(self, frame):
        row = np.zeros(len(CHANNELS), np.float32)
        row[SMILE] = frame.mean() / 2550
        return row if frame.mean() > 20 else None

    def identity(self, portrait, face=0):
        if portrait.mean() < 20:
            raise InputError("no face found in the portrait", do="use another")
        return float(portrait.mean())

    def reference_motion(self, identity):
        return 0.0

    def render(self, identity, motion):
        level = np.clip(255 * motion[:, JAW], 0, 255).astype(np.uint8)
        return np.broadcast_to(level[:, None, None, None], (len(motion), self.size, self.size, 3)).copy()


class Brain:
    """Says a tone of a second for each word of a line, hears everything, is cut by the word `cut`."""

    voices = ("tone",)

    def __init__(self, voice=""):
        self.heard, self.told, self.cuts, self.queue, self.closed = [], [], [], [], False

    def hear(self, samples, at):
        self.heard.append((len(samples), at))

    def say(self, text):
        if text == "cut":
            self.queue.append(Cut("voice"))
        else:
            words = text.split()
            self.queue.append(speech(len(words), words))

    def spoken(self, seconds, done):
        self.told.append((seconds, done))

    def cut(self, heard):
        self.cuts.append(heard)

    def events(self):
        found, self.queue = self.queue, []
        return found

    def close(self):
        self.closed = True


def speech(seconds: float, words=("hum",), last=True, rate=16_000) -> Speech:
    tone = 0.5 * np.sin(np.arange(round(seconds * rate)) * 0.3).astype(np.float32)
    each = seconds / max(1, len(words))
    return Speech(tone, rate, [(word, n * each, (n + 1) * each) for n, word in enumerate(words)], last)
