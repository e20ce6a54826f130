"""Taps give a call's pictures and sound to one more player: tracks of WebRTC, a virtual camera, a stream."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import numpy as np

from afjax.audio.framing import FPS
from afjax.serving.brain import Speech
from afjax.serving.call import Block, Call
from afjax.serving.pieces import Picture, Pieces

__all__ = ["RATE", "Player", "Tap"]

RATE = 48_000
"""Hz of the sound that players take."""
AHEAD = 0.06
"""Seconds before its time at which sound is handed over, by which the studio's loop may be late."""


class Player(Protocol):
    """A player. Times are on the studio's clock; none of its methods waits.

    Attribute `dropped`: pictures that it was given and did not play.
    """

    dropped: int

    def hear(self, end: float, samples: np.ndarray) -> None:
        """Sound, float32 `[n]` in -1..1 at RATE, whose last sample is heard just before `end`."""

    def show(self, due: float, pixels: np.ndarray) -> None:
        """The picture uint8 `[h, w, 3]` RGB that is due now."""

    def cut(self) -> None:
        """Drops sound that is not due yet."""

    def leave(self) -> None:
        """The call has ended."""


class Tap:
    """Gives a call to a player, on the studio's loop, until it is closed."""

    def __init__(self, call: Call, clock: Callable[[], float], player: Player):
        self._clock, self._player, self._pieces = clock, player, Pieces(call, clock, RATE, AHEAD)
        self._playing = asyncio.get_running_loop().create_task(self._play())

    @property
    def dropped(self) -> int:
        """Pictures that were not played."""
        return self._pieces.dropped + self._player.dropped

    def speech(self, event: Speech) -> None:
        """A piece of the avatar's speech; players hear it as it came, not at the model's 16 kHz."""
        samples = event.samples
        if len(samples):
            wave = samples.astype(np.float32) / (32768 if samples.dtype == np.int16 else 1)
            self._pieces.voice.add(wave, event.rate)

    def play(self, block: Block) -> None:
        """The sound of a block."""
        self._pieces.play(block)

    def put(self, frame: int, pixels: np.ndarray) -> None:
        """The picture of a frame."""
        self._pieces.put(frame, pixels)

    def cut(self) -> None:
        """Drops what has not been played."""
        self._pieces.played(self._clock())
        self._pieces.clear()
        self._player.cut()

    async def _play(self):
        async for piece in self._pieces:
            if isinstance(piece, Picture):
                self._player.show(piece.due, piece.pixels)
            else:
                self._player.hear(piece.due + 1 / FPS, piece.samples)

    def close(self) -> None:
        """Nothing more is played."""
        self._pieces.close()
        self._playing.cancel()
        self._player.cut()
        self._player.leave()
