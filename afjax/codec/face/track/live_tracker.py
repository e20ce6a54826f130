"""The `face` codec on a live camera: frame in, motion out, nothing of the future.

It does what `FaceCodec.encode` does, as far as that is possible frame by frame. The resting face is that of the last
30 s (`coefficients.RunningNeutral`). A frame without a face gives None; the caller holds and fades the motion.
"""

import copy

import numpy as np

from afjax.codec.face.channels import CHANNELS, POSE
from afjax.codec.face.track.coefficients import RunningNeutral, measure, relative
from afjax.codec.face.track.smoothing import POSE_SCALE, OneEuro
from afjax.codec.face.track.template import load_template
from afjax.codec.face.track.tracker import FaceTracker

__all__ = ["LiveFace"]


class LiveFace:
    """Motion of one person as the frames come, about `fps` per second."""

    channels = CHANNELS

    def __init__(self, fps: float = 25.0):
        self._tracker, self._template = FaceTracker(), load_template()
        self._neutral, self._smooth = RunningNeutral(), OneEuro(fps)
        self._cuts = 0

    def step(self, frame: np.ndarray) -> np.ndarray | None:
        """Motion float32 `[15]` of the next frame, uint8 `[h, w, 3]` RGB; None where no face is found."""
        landmarks = self._tracker.step(frame)
        if landmarks is None:
            self._smooth.reset()
            return None
        if len(self._tracker.cuts) != self._cuts:
            self._cuts = len(self._tracker.cuts)
            self._smooth.reset()
        raw = measure(landmarks, frame.shape[1], self._template)
        motion = relative(raw, self._neutral.update(raw))
        motion[: len(POSE)] = self._smooth(motion[: len(POSE)] * POSE_SCALE) / POSE_SCALE
        return motion

    def fork(self) -> "LiveFace":
        """Another tracker that goes on from here. The two share networks and must not run at the same time."""
        other = copy.copy(self)
        other._tracker = copy.copy(self._tracker)
        other._tracker.cuts = list(self._tracker.cuts)
        other._neutral, other._smooth = copy.deepcopy(self._neutral), copy.deepcopy(self._smooth)
        return other
