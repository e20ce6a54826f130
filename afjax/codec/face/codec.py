"""The `face` codec: explicit, named coefficients of a face, read by a tracker and rendered by warping a portrait."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from afjax.codec.base import FPS, Encoded
from afjax.codec.face.channels import CHANNELS, POSE
from afjax.codec.face.track.coefficients import RAW, RunningNeutral, measure, neutral_of, relative, turned
from afjax.codec.face.track.live_tracker import LiveFace
from afjax.codec.face.track.mesh import FaceLandmarks
from afjax.codec.face.track.portraits import portrait_face
from afjax.codec.face.track.smoothing import BRIDGE, FADE, POSE_SCALE, OneEuro, fill_gaps
from afjax.codec.face.track.template import load_template
from afjax.codec.face.track.tracker import FaceTracker
from afjax.errors import InputError, InputWarning

__all__ = ["FaceCodec"]


MIN_PORTRAIT, MAX_PORTRAIT = 64, 8192  # pixels per side
MAX_PIXELS = 40_000_000
OPEN_EYE = 0.15
"""Least lid opening over the eye's width of a portrait's more open eye. Closed eyes have .03 to .14."""
SURE = 0.9
"""Confidence from which a portrait's landmarks are taken at their word: people and drawn people have .99 and more."""


@dataclass(frozen=True)
class FaceCodec:
    """Frames to the 15 motion channels of `channels`, and back.

    Attributes:
      size: side of identities and rendered frames in pixels.
      bridge: seconds without a face that are interpolated; longer gaps are held at rest.
      fade: seconds in which motion fades to rest and back around a longer gap.
      smooth_pose: whether the head pose is smoothed (One-Euro, about one frame late in conversation); nothing else is.
    """

    size: int = 256
    bridge: float = BRIDGE
    fade: float = FADE
    smooth_pose: bool = True
    channels = CHANNELS

    def encode(
        self,
        frames: Iterable[np.ndarray],
        fps: float = FPS,
        causal: bool = False,
        seen: Callable[[FaceLandmarks | None], None] = lambda landmarks: None,
    ) -> Encoded:
        """Motion `[t, 15]` of a clip relative to the person's resting face in it, clamped to the channels' ranges.

        The resting face is that of the whole clip. With `causal` it is that of the frames so far, as for a live camera
        (`tracker`): the motion is then what a stream will see of a user.

        Frames are uint8 `[h, w, 3]` RGB and are read once, in order; only 17 numbers of each are kept. `seen` is called
        with the landmarks of each frame, or None. Raises InputError where there is no frame at all or no face in any.
        """
        tracker, template = FaceTracker(), load_template()
        rows, confidence = [], []
        for frame in frames:
            landmarks = tracker.step(frame)
            seen(landmarks)
            rows.append(None if landmarks is None else measure(landmarks, frame.shape[1], template))
            confidence.append(0.0 if landmarks is None else landmarks.confidence)
        if not rows:
            raise InputError("the video has no frames", do="check that it plays in a video player")
        found = np.array([row is not None for row in rows], bool)
        if not found.any():
            do = "use a video that shows one face from the front"
            raise InputError(f"no face found in {len(rows)} frames", do=do)
        raw = np.stack([np.full(len(RAW), np.nan) if row is None else row for row in rows])
        if causal:
            running = RunningNeutral()
            neutral = np.stack([running.update(row) for row in raw[found]])
        else:
            neutral = neutral_of(raw[found])
        motion = np.zeros((len(rows), len(CHANNELS)), np.float32)
        motion[found] = relative(raw[found], neutral)
        if self.smooth_pose:
            breaks = set(tracker.cuts) | {int(n) for n in np.flatnonzero(np.diff(found.astype(int)) == 1) + 1}
            motion = _smooth(motion, found, breaks, fps)
        filled = fill_gaps(motion, found, round(self.bridge * fps), max(1, round(self.fade * fps)))
        report = {
            "frames": len(rows),
            "frames_with_face": int(found.sum()),
            "longest_gap_seconds": float(_longest_gap(found) / fps),
            "detections": tracker.detections,
            "cuts": len(tracker.cuts),
            "mean_confidence": float(np.mean(confidence)),
            **turned(raw[found]),
        }
        return Encoded(filled, found, np.array(confidence, np.float32), report)

    def tracker(self) -> LiveFace:
        """A tracker of a live camera."""
        return LiveFace()

    def identity(self, portrait: np.ndarray, face: int = 0):
        """The identity of a portrait, uint8 `[h, w, 3]` RGB; InputError where it can't be used.

        Args:
          face: which one of several, counted from the left from 1 on; 0 takes the largest.

        InputWarnings say what was decided for the user: the picture was turned upright, one face of several was taken,
        an open mouth is closed. They also say that the picture cuts the face off or that the tracker doubts it.
        """
        import jax

        from afjax.codec.face.render.portrait import make_identity

        height, width = portrait.shape[:2]
        if min(height, width) < MIN_PORTRAIT:
            do = f"use a picture of at least {MIN_PORTRAIT} px a side"
            raise InputError(f"the portrait is too small ({width} x {height} px)", do=do)
        if max(height, width) > MAX_PORTRAIT or height * width > MAX_PIXELS:
            do = f"scale it down to at most {MAX_PORTRAIT} px a side and {MAX_PIXELS // 1_000_000} megapixels"
            raise InputError(f"the portrait is too large ({width} x {height} px)", do=do)
        upright, landmarks = portrait_face(portrait, face)
        raw = dict(zip(RAW, measure(landmarks, upright.shape[1], load_template()), strict=True))
        if max(raw["opening_left"], raw["opening_right"]) < OPEN_EYE:
            raise InputError("the portrait's eyes are closed", do="use a picture with open eyes")
        sure = landmarks.confidence >= SURE
        if not sure:
            words = (
                f"the tracker doubts that the portrait shows a human face ({landmarks.confidence:.2f} of 1): "
                "eyes and mouth may move beside their places"
            )
            warnings.warn(words, InputWarning, stacklevel=2)
        return jax.device_put(make_identity(upright, landmarks, size=self.size, sure=sure))

    def reference_motion(self, identity) -> float:
        """Motion is relative to the neutral face, which a portrait is taken to show."""
        return 0.0

    def render(self, identity, motion: np.ndarray) -> np.ndarray:
        """Frames uint8 `[t, size, size, 3]` of an identity under motion `[t, 15]`."""
        from afjax.codec.face.render.renderer import render

        return np.asarray(render(identity, motion))


def _smooth(motion: np.ndarray, found: np.ndarray, breaks: set[int], fps: float) -> np.ndarray:
    """Motion `[t, 15]` with the pose filtered over found frames, starting anew at each frame of `breaks`."""
    smooth, pose = OneEuro(fps), len(POSE)
    motion = motion.copy()
    for n in np.flatnonzero(found):
        if int(n) in breaks:
            smooth.reset()
        motion[n, :pose] = smooth(motion[n, :pose] * POSE_SCALE) / POSE_SCALE
    return motion


def _longest_gap(found: np.ndarray) -> int:
    """Length of the longest run of frames without a face."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], ~found, [0]]).astype(int)))
    return int(max((edges[1::2] - edges[::2]), default=0))
