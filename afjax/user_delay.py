"""The user's delay: all of the user's tracks come `layout.user_delay` frames late, in training, clips and streams.

A block that starts at frame s then reads no user frame from s + block - user_delay on, so that with a delay of a block
it can be made when it starts.
"""

import numpy as np


def delayed(track: np.ndarray, frames: int) -> np.ndarray:
    """`[..., T, C]` with every frame `frames` later: zeros first, the last `frames` frames gone."""
    if not frames:
        return track
    shifted = np.zeros_like(track)
    shifted[..., frames:, :] = track[..., :-frames, :]
    return shifted
