"""Filters on motion: the One-Euro filter for head pose, and filling of frames without a face."""

import numpy as np

__all__ = ["BRIDGE", "FADE", "OneEuro", "fill_gaps"]

BRIDGE = 0.5
"""Seconds without a face that are interpolated; longer gaps are held at rest."""
FADE = 0.2
"""Seconds in which motion fades to rest and back around a longer gap."""


class OneEuro:
    """The One-Euro filter (Casiez et al. 2012): a low-pass whose cut-off grows with speed.

    y_n = y_{n-1} + a (x_n - y_{n-1}),  a = 1 / (1 + fps / (2 pi f)),  f = minimum + beta |dy|, dy the derivative per
    second, itself smoothed at 1 Hz. The slowest motion is delayed by 1 / (2 pi minimum) = 0.1 s, faster motion by less.

    Args:
      fps: frames per second.
      minimum: cut-off at rest in Hz.
      beta: growth of the cut-off, Hz for each unit per second.
    """

    def __init__(self, fps: float, minimum: float = 1.5, beta: float = 0.25):
        self._fps, self._minimum, self._beta = fps, minimum, beta
        self._value: np.ndarray | None = None
        self._slope: np.ndarray | float = 0.0

    def _share(self, cutoff):
        return 1 / (1 + self._fps / (2 * np.pi * cutoff))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The next frame's values `[k]`, filtered."""
        if self._value is None:
            self._value = values
            return values
        slope = (values - self._value) * self._fps
        self._slope = self._slope + self._share(1.0) * (slope - self._slope)
        cutoff = self._minimum + self._beta * np.abs(self._slope)
        self._value = self._value + self._share(cutoff) * (values - self._value)
        return self._value

    def reset(self) -> None:
        """Forgets the past: the next frame passes as it is."""
        self._value, self._slope = None, 0.0


def fill_gaps(motion: np.ndarray, found: np.ndarray, bridge: int, fade: int) -> np.ndarray:
    """Motion `[t, d]` with every frame of `found` `[t]` kept and the others filled in.

    A gap of at most `bridge` frames between two found ones is interpolated linearly. In a longer one the motion fades
    to rest (zero) within `fade` frames, stays there, and fades in over `fade` frames before the face is back. Before
    the first and after the last found frame there is only one side to fade from.
    """
    filled = np.where(found[:, None], motion, 0).astype(np.float32)
    frames = np.arange(len(found))
    known = frames[found]
    if not known.size or known.size == len(found):
        return filled
    after = np.searchsorted(known, frames)
    left, right = known[np.maximum(after - 1, 0)], known[np.minimum(after, known.size - 1)]
    inner = ~found & (after > 0) & (after < known.size)
    short = inner & (right - left - 1 <= bridge)
    for n in frames[short]:
        share = (n - left[n]) / (right[n] - left[n])
        filled[n] = (1 - share) * motion[left[n]] + share * motion[right[n]]
    for n in frames[~found & ~short]:
        out = max(0.0, 1 - (n - left[n]) / fade) if after[n] > 0 else 0.0
        back = max(0.0, 1 - (right[n] - n) / fade) if after[n] < known.size else 0.0
        filled[n] = out * motion[left[n]] + back * motion[right[n]]
    return filled


POSE_SCALE = np.array(
    [1.0, 1.0, 1.0, 100.0, 100.0, 100.0]
)  # pose in degrees and percent: one speed scale for the filter
