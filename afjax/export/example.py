"""Inputs of a bundle's example: conversations cut into blocks, or drawn inputs."""

from collections.abc import Sequence

import numpy as np

from afjax.audio.framing import FPS, FRAME, RATE
from afjax.config import LayoutConfig
from afjax.streaming.live_step import Inputs
from afjax.user_delay import delayed

__all__ = ["BLOCKS", "Clip", "blocks_of", "random_blocks"]

BLOCKS = 8

Clip = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Sound of avatar and user `[t * 640]` at 16 kHz, and the user's motion `[t, d]`, t at least BLOCKS blocks."""


def blocks_of(layout: LayoutConfig, clips: Sequence[Clip]) -> Inputs:
    """Inputs `[BLOCKS, n, ...]` of the first blocks of n clips."""
    frames, given = BLOCKS * layout.block, []
    for avatar, user, motion in clips:
        late = delayed(user.reshape(-1, FRAME), layout.user_delay), delayed(motion, layout.user_delay)
        given.append([avatar.reshape(-1, FRAME)[:frames], *(track[:frames] for track in late)])
    tracks = [np.stack(track).reshape(len(clips), BLOCKS, -1) for track in zip(*given, strict=True)]
    avatar, user, motion = (np.moveaxis(track, 0, 1) for track in tracks)
    return Inputs(avatar, user, motion.reshape(BLOCKS, len(clips), layout.block, -1))


def random_blocks(layout: LayoutConfig, channels: int, sessions: int) -> Inputs:
    """Inputs `[BLOCKS, sessions, ...]` of made-up people who buzz and nod."""
    frames = BLOCKS * layout.block
    voices = [(_voice(frames, 2 * index), _voice(frames, 2 * index + 1)) for index in range(sessions)]
    return blocks_of(layout, [(*pair, _nods(frames, channels)) for pair in voices])


def _voice(frames: int, seed: int) -> np.ndarray:
    """A buzz that comes and goes: harmonics of a gliding pitch."""
    t = np.arange(frames * FRAME) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 30 * seed + 20 * np.sin(2 * np.pi * 0.7 * t)) / RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, 12))
    return (0.1 * tone * np.clip(np.sin(2 * np.pi * 1.5 * t + seed), 0, 1)).astype(np.float32)


def _nods(frames: int, channels: int) -> np.ndarray:
    """Slow waves of small height in every channel."""
    t, channel = np.arange(frames)[:, None] / FPS, np.arange(channels)
    return (0.1 * np.sin(2 * np.pi * (0.3 + 0.1 * channel) * t)).astype(np.float32)
