"""Conditions of one kind without end, chained from held-out conversations.

`listening` is made of the frames in which the avatar is silent, `speaking` of those in which it speaks. A piece is all
that a conversation holds of a kind: its spans of at least SHORTEST frames, with all tracks as they were recorded. A
chain plays random pieces one after the other. Spans and pieces are joined by cross-fades of FADE frames.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from afjax.errors import InputError
from data_pipeline.schema import Conversation

KINDS = ("listening", "speaking")
SHORTEST, FADE = 25, 5
TRACKS = ("avatar_motion", "avatar_features", "user_features", "user_motion")
Tracks = dict[str, np.ndarray]


def pieces(clips: Sequence[Conversation], kind: str) -> list[Tracks]:
    """The piece of each conversation of a kind: float32 tracks `[T_i, ...]`; conversations without one are left out."""
    found = []
    for clip in clips:
        spans = [
            {name: getattr(clip, name)[start:stop].astype(np.float32) for name in TRACKS}
            for start, stop in runs(clip.avatar_speaking == (kind == "speaking"))
            if stop - start >= SHORTEST
        ]
        if spans:
            found.append(join(spans))
    if len(found) < 4:
        raise InputError(f"{len(found)} conversations with {kind}, at least 4 are needed", do="build more of them")
    return found


def runs(chosen: np.ndarray) -> np.ndarray:
    """Runs of True in bool `[t]`: first frame, and frame after the last, of each, `[n, 2]`."""
    return np.flatnonzero(np.diff(np.pad(chosen.astype(np.int8), 1))).reshape(-1, 2)


def join(parts: Sequence[Mapping[str, np.ndarray]]) -> Tracks:
    """Joins parts of more than 2 FADE frames, each faded into the next over FADE frames."""
    share = ((np.arange(FADE) + 1.0) / (FADE + 1.0)).astype(np.float32)[:, None]

    def joined(name):
        whole = [parts[0][name][:-FADE]]
        for before, after in zip(parts[:-1], parts[1:], strict=True):
            faded = (1.0 - share) * before[name][-FADE:] + share * after[name][:FADE]
            whole += [faded, after[name][FADE:-FADE]]
        return np.concatenate([*whole, parts[-1][name][-FADE:]])

    return {name: joined(name) for name in parts[0]}


class Chain:
    """Sessions that play pieces, each in an order of its own; `take` goes on where its last call ended."""

    def __init__(self, played: Sequence[Tracks], sessions: int, seed: int):
        self._pieces = played
        self._rng = [np.random.default_rng((seed, session)) for session in range(sessions)]
        self._left = [self._sample(rng) for rng in self._rng]

    def take(self, frames: int) -> Tracks:
        """The next frames of all sessions, tracks `[sessions, frames, ...]`."""
        for session, rng in enumerate(self._rng):
            while len(next(iter(self._left[session].values()))) < frames + FADE:
                self._left[session] = join([self._left[session], self._sample(rng)])
        taken = {name: np.stack([left[name][:frames] for left in self._left]) for name in self._pieces[0]}
        self._left = [{name: track[frames:] for name, track in left.items()} for left in self._left]
        return taken

    def _sample(self, rng: np.random.Generator) -> Tracks:
        return self._pieces[rng.integers(len(self._pieces))]
