"""Drawn people that move: pictures of faces whose motion is known."""

import numpy as np

from afjax.codec.face.channels import CHANNELS, POSE, USUAL_HIGH, USUAL_LOW, channel, usual
from afjax.codec.face.codec import FaceCodec
from data_pipeline.simulate.portrait.draw import paint_portrait

__all__ = ["sample_motion", "moving_person"]

_STEP = 128  # sides that the renderer knows
_ROOM = 1.5  # of a picture's side: a cut-out of it is then not magnified


def sample_motion(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Independent poses and expressions `[frames, 15]`; the first is rest.

    Poses are normal; three deviations reach the channel's end. Expressions are uniform in half of the frames, else at
    rest; the eyes are open in two frames of three.
    """
    pose = usual(rng.standard_normal((frames, len(CHANNELS))) * USUAL_HIGH / 3)
    face = rng.uniform(USUAL_LOW, USUAL_HIGH, pose.shape) * (rng.random(pose.shape) < 0.5)
    face[:, channel("blink")] = np.clip(rng.uniform(-2, 1, frames), 0, 1)
    motion = np.where(np.isin(CHANNELS, POSE), pose, face)
    motion[0] = 0
    return motion.astype(np.float32)


def moving_person(seed: int, motion: np.ndarray, size: int) -> np.ndarray:
    """Frames uint8 `[t, s, s, 3]` of a seed's person under motion `[t, 15]`; s is large enough to cut `size` out."""
    side = -(-int(_ROOM * size) // _STEP) * _STEP
    codec = FaceCodec(size=side)
    return codec.render(codec.identity(paint_portrait(seed, side)), motion)
