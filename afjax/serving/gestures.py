"""Nod, smile and look on demand: short curves added to the model's motion, of which the model knows nothing."""

from collections.abc import Sequence

import numpy as np

from afjax.audio.framing import FPS

__all__ = ["GESTURES", "curve"]

_Shape = dict[str, list[tuple[float, float]]]  # channel: (seconds, value), joined by half cosines

GESTURES: dict[str, _Shape] = {
    "nod": {
        "pitch": [(0, 0), (0.20, 7.0), (0.42, -0.8), (0.62, 4.0), (0.90, 0)],
        "ty": [(0, 0), (0.20, 0.008), (0.42, 0), (0.62, 0.004), (0.90, 0)],
    },
    "smile": {
        "smile": [(0, 0), (0.35, 0.11), (1.6, 0.10), (2.4, 0)],
        "mouth_width": [(0, 0), (0.35, 0.05), (1.6, 0.045), (2.4, 0)],
        "brow_raise": [(0, 0), (0.35, 0.02), (2.2, 0)],
    },
    "look": {
        "gaze_x": [(0, 0), (0.10, 0.14), (1.0, 0.10), (1.12, 0)],
        "yaw": [(0, 0), (0.35, 7.0), (1.0, 7.0), (1.5, 0)],
        "blink": [(0, 0), (0.06, 0.9), (0.20, 0), (1.0, 0), (1.08, 0.9), (1.24, 0)],
    },
}
"""Channels of the face codec, in its units."""


def curve(name: str, channels: Sequence[str]) -> np.ndarray | None:
    """Rows float32 `[t, d]` to add from one frame on; None for a name that isn't there or a codec without the channels.

    The rows begin and end with no more than one frame's share of their height, so that they can be added anywhere.
    """
    shape = GESTURES.get(name)
    if shape is None or not set(shape) <= set(channels):
        return None
    length = round(max(points[-1][0] for points in shape.values()) * FPS)
    rows = np.zeros((length, len(channels)), np.float32)
    times = (np.arange(length) + 1) / FPS
    for channel, points in shape.items():
        column = rows[:, list(channels).index(channel)]
        for (begin, low), (end, high) in zip(points, points[1:], strict=False):
            inside = (times > begin) & (times <= end)
            share = 0.5 - 0.5 * np.cos(np.pi * (times[inside] - begin) / (end - begin))
            column[inside] = low + (high - low) * share
    return rows
