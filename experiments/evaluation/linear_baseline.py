"""The best linear guess of the avatar's motion from the last second of the user's.

    y[t] = b + sum_{k = 0 .. 24} W_k x[t - k],    W = argmin |Y - X W|^2 + ridge |W|^2    over the training split

Simulated conversations must hold more than this guess: reactions to the voice, and gestures that start at a cause and
run by themselves. A model that is no better than it has learned none of them.
"""

from collections.abc import Iterable

import numpy as np

from data_pipeline.schema import Conversation

FRAMES = 25


def _history(motion: np.ndarray) -> np.ndarray:
    """The last second of motion `[t, d]` up to each frame, and a constant: `[t, 25 d + 1]`."""
    past = np.pad(motion, ((FRAMES - 1, 0), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(past, FRAMES, axis=0)
    return np.concatenate([windows.reshape(len(motion), -1), np.ones((len(motion), 1))], axis=1)


def fit(clips: Iterable[Conversation], scale: np.ndarray, ridge: float = 100.0) -> np.ndarray:
    """Weights `[25 d + 1, d]` for user motion divided by `scale` `[d]`."""
    gram = cross = 0.0
    for clip in clips:
        past = _history(clip.user_motion / scale)
        gram = gram + past.T @ past
        cross = cross + past.T @ clip.avatar_motion
    return np.linalg.solve(gram + ridge * np.eye(len(gram)), cross)


def predict(user_motion: np.ndarray, weights: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """User motion `[t, d]` -> avatar motion `[t, d]`, raw units."""
    return _history(user_motion / scale) @ weights
