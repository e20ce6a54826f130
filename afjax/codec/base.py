"""The protocol of a codec: frames to motion, a portrait to an identity, and motion back to frames."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

__all__ = ["Codec", "Encoded", "FPS", "Tracker"]

FPS = 25.0


@dataclass(frozen=True)
class Encoded:
    """Motion read from frames.

    Attributes:
      motion: `[t, d]` float32.
      found: `[t]` bool, False where the frame showed no face and the motion is filled in.
      confidence: `[t]` float32 in [0, 1], 0 where not found.
      report: plain numbers and strings for `summary.json`.
      rest: `[d]` or a number, the motion in which this face rests.
    """

    motion: np.ndarray
    found: np.ndarray
    confidence: np.ndarray
    report: dict[str, Any] = field(default_factory=dict)
    rest: np.ndarray | float = 0.0


class Tracker(Protocol):
    """Reads one live camera, frame by frame."""

    def step(self, frame: np.ndarray) -> np.ndarray | None:
        """Motion float32 `[d]` of the next frame, uint8 `[h, w, 3]` RGB; None where no face is found."""


class Codec(Protocol):
    """Turns faces into motion and back.

    Attributes:
      channels: names of the d columns of the motion.
      size: side of rendered frames in pixels.
    """

    channels: tuple[str, ...]
    size: int

    def encode(self, frames: Iterable[np.ndarray], fps: float = FPS, causal: bool = False) -> Encoded:
        """Motion of a clip; frames uint8 `[h, w, 3]` RGB, read once and in order.

        With `causal` the resting face comes from the past alone, as for a live camera.
        """

    def tracker(self) -> Tracker:
        """A tracker that reads a live camera as `encode` reads a clip, without its future."""

    def identity(self, portrait: np.ndarray, face: int = 0) -> Any:
        """All that `render` needs of one person; portrait uint8 `[h, w, 3]` RGB.

        `face`: which one of several, counted from the left from 1 on; 0 takes the largest, with an InputWarning. A
        portrait that does not stand upright is turned, with an InputWarning.
        """

    def reference_motion(self, identity: Any) -> np.ndarray | float:
        """The portrait's own motion `[d]`, which the generator is told; 0 where motion is relative to it."""

    def render(self, identity: Any, motion: np.ndarray) -> np.ndarray:
        """Frames uint8 `[t, size, size, 3]` of an identity under motion `[t, d]`."""
