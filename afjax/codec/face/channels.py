"""Names, units and ranges of the `face` codec's motion channels.

Zero is the person's own neutral face: for a portrait the portrait as it is, for a video its resting pose.
Angles are degrees; `tx`, `ty` are fractions of the frame's width; `scale` is relative (0.1 = 10 % larger).
All distances on the face are in canonical units, 1 = the distance between the outer corners of the eyes.

  yaw          + turns the nose to the image's right       jaw_open     gap of the inner lips
  pitch        + looks down                                mouth_width  + stretched, - puckered
  roll         + tilts clockwise in the image              smile        mouth corners out and up
  tx, ty       + to the image's right, down                upper_lip    + raised
  scale        + nearer                                    brow_raise   + raised
  gaze_x/y     + to the image's right, down, in eye widths brow_furrow  + drawn together
                                                           blink        0 open, 1 closed, both eyes
"""

import numpy as np

RANGE = {
    "yaw": (-45.0, 45.0),
    "pitch": (-40.0, 40.0),
    "roll": (-45.0, 45.0),
    "tx": (-0.4, 0.4),
    "ty": (-0.4, 0.4),
    "scale": (-0.5, 0.5),
    "jaw_open": (-0.15, 0.70),
    "mouth_width": (-0.25, 0.25),
    "smile": (-0.20, 0.40),
    "upper_lip": (-0.15, 0.15),
    "brow_raise": (-0.20, 0.20),
    "brow_furrow": (-0.10, 0.10),
    "blink": (0.0, 1.0),
    "gaze_x": (-0.40, 0.40),
    "gaze_y": (-0.25, 0.25),
}
"""Limits of what the tracker reports, so wide that real faces hardly ever touch them (`docs/face.md`)."""
USUAL = {
    "yaw": (-25.0, 25.0),
    "pitch": (-15.0, 15.0),
    "roll": (-15.0, 15.0),
    "tx": (-0.08, 0.08),
    "ty": (-0.08, 0.08),
    "scale": (-0.08, 0.08),
    "jaw_open": (-0.05, 0.25),
    "mouth_width": (-0.12, 0.12),
    "smile": (-0.06, 0.12),
    "upper_lip": (-0.06, 0.06),
    "brow_raise": (-0.06, 0.10),
    "brow_furrow": (-0.05, 0.05),
    "blink": (0.0, 1.0),
    "gaze_x": (-0.15, 0.15),
    "gaze_y": (-0.10, 0.10),
}
"""Ranges of a calm conversation: their upper ends are a full smile, a wide vowel, a head well turned."""
CHANNELS = tuple(RANGE)
POSE = ("yaw", "pitch", "roll", "tx", "ty", "scale")
EXPRESSION = tuple(name for name in CHANNELS if name not in POSE)
LOW, HIGH = (np.array([RANGE[name][end] for name in CHANNELS], np.float32) for end in (0, 1))
USUAL_LOW, USUAL_HIGH = (np.array([USUAL[name][end] for name in CHANNELS], np.float32) for end in (0, 1))


def channel(name: str) -> int:
    """Index of a channel by its name."""
    return CHANNELS.index(name)


def mirrored(motion: np.ndarray) -> np.ndarray:
    """Motion `[..., d]` as seen in a mirror."""
    return motion * np.where(np.isin(CHANNELS, ("yaw", "roll", "tx", "gaze_x")), -1, 1).astype(np.float32)


def clamp(motion):
    """Motion `[..., d]` limited to what the tracker reports."""
    return motion.clip(LOW, HIGH)


def usual(motion):
    """Motion `[..., d]` limited to what a calm conversation has."""
    return motion.clip(USUAL_LOW, USUAL_HIGH)
