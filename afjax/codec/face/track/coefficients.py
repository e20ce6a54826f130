"""Motion coefficients from face landmarks: pure functions on arrays.

`measure` reads the 17 absolute numbers `RAW` of one frame, most of them distances on the canonical face
C = R^T (P - t) / s of `template`, in units of the outer eye corners' distance. `relative` takes away a person's neutral
and gives the 15 motion channels. With indices of mesh points, y pointing down, d = difference to the neutral:

  raw               formula                                                       channel, times GAIN
  yaw, pitch, roll  Euler angles of R in degrees                                  d
  tx, ty            t / frame width                                               d
  scale             s / frame width                                               ratio to the neutral - 1
  lip_gap           mean y(14, 87, 317) - mean y(13, 82, 312)                     in `jaw_open`
  lip_height        |0-17|, outer edges of both lips                              in `jaw_open`
  mouth_width       |61-291|                                                      d - 0.7 smile
  upper_lip         y(2) - mean y(13, 82, 312)                                    d
  smile             sum of SMILE times the measures below                         d
  brow_raise        mean y(eye corners) - mean y(brows)                           d - 0.0009 d(pitch)
  brow_furrow       -|55-285|                                                     d
  opening (2)       lid opening of each eye over its width                        in `blink`
  gaze_x, gaze_y    iris centre from the lid corners' midpoint in the eye's own   d
                    axes over its width, mean of both eyes

  jaw_open = (d(lip_gap / q) + d(lip_height) / q) / 2,  q = 1 - 0.03 d(pitch), because the mesh network sees less of an
             open mouth on a lowered face and more on a raised one; |d(pitch)| counts up to 15 degrees
  smile    : cheeks that come nearer to the lower lids and an upper lip that rises, more than they do with a mouth that
             only stretches. Speech widens the mouth too; the weights make the measure least like the mouth's width in
             speech without a smile (`python -m experiments.fit_smile`). Measures: lip_gap, mouth_width
             and upper_lip as above, corners -mean y(61, 291), cheeks -mean y(50, 280, 205, 425), lower_lids
             mean y(eye corners) - mean y(145, 374), nose |48-278|
  blink    = the mean closure of both eyes: lids move together. The closure of an eye with neutral opening o is
             clip((1 - opening / o - 0.1) / 0.6, 0, 1). An eye that is never seen to open half as far as the other one
             is left out.

Lid opening comes from the iris network's contours: mean of (lower 3..5 - upper 11..13) across the line of corners 0-8,
over that line's length. The mesh itself hardly sees blinks.

GAIN undoes the mesh network's pull towards an average face. For pose, jaw, smile, brows and lids it gives motion that
is rendered and read back a slope near 1, on average over portraits. gaze_x has a least-squares gain, which stays below
that, because it is read with more noise. mouth_width (without what a smile does to it), upper_lip, brow_furrow and
gaze_y have none: they can't be read back well enough.
"""

from collections import deque

import numpy as np

from afjax.codec.face.channels import CHANNELS, clamp
from afjax.codec.face.track.mesh import FaceLandmarks
from afjax.codec.face.track.template import angles, canonical, pose_of

__all__ = [
    "RAW",
    "RESTING_SMILE",
    "RunningNeutral",
    "measure",
    "neutral_of",
    "relative",
    "smile_measures",
    "smile_of",
    "turned",
]

RAW = (
    *("yaw", "pitch", "roll", "tx", "ty", "scale", "lip_gap", "lip_height", "mouth_width"),
    *("upper_lip", "smile", "brow_raise", "brow_furrow", "opening_left", "opening_right", "gaze_x", "gaze_y"),
)
SMILE = dict(lip_gap=-2.6, mouth_width=2.0, upper_lip=9.4, corners=-8.1, cheeks=11.1, lower_lids=-12.8, nose=-2.3)
RESTING_SMILE = -0.53
GAIN = dict.fromkeys(CHANNELS, 1.0) | {**{"yaw": 1.35, "pitch": 1.5, "jaw_open": 1.7, "brow_raise": 1.9, "gaze_x": 1.4}}
MIN_OPENING = 0.25  # a neutral eye is at least this open, however long a clip shows it closed
_DEAD_ZONE, _SPAN = 0.1, 0.6
_BROW_PITCH, _SMILE_WIDTH = 0.0009, 0.7
_PITCH_LOSS, _PITCH_LIMIT = 0.03, 15.0
_LIPS = slice(RAW.index("lip_gap"), RAW.index("lip_height") + 1)
_SMILE = RAW.index("smile")
_OPENINGS = slice(RAW.index("opening_left"), RAW.index("opening_right") + 1)

_UPPER_LIP, _LOWER_LIP = [13, 82, 312], [14, 87, 317]
_CORNERS, _CHEEKS, _LOWER_LIDS = [61, 291], [50, 280, 205, 425], [145, 374]
_EYE_CORNERS = [33, 133, 362, 263]
_BROWS = [105, 66, 107, 63, 334, 296, 336, 293]


def measure(landmarks: FaceLandmarks, width: int, template: np.ndarray) -> np.ndarray:
    """The 17 numbers `RAW` of one frame.

    Args:
      landmarks: of a frame `width` pixels wide.
      template: `[468, 3]` of `load_template`.
    """
    pose = pose_of(landmarks.mesh, template)
    face = canonical(landmarks.mesh.astype(np.float64), pose)
    y, lips = face[:, 1], _lips(face)
    eyes = np.stack([_eye(contour, iris) for contour, iris in zip(landmarks.eyes, landmarks.iris, strict=True)])
    raw = [
        *angles(pose.rotation),
        pose.translation[0] / width,
        pose.translation[1] / width,
        pose.scale / width,
        *lips.values(),
        smile_of(face),
        y[_EYE_CORNERS].mean() - y[_BROWS].mean(),
        -_distance(face, 55, 285),
        *eyes[:, 0],
        *eyes[:, 1:].mean(0),
    ]
    return np.array(raw, np.float64)


def smile_of(face: np.ndarray) -> float:
    """How much a canonical face `[468, 3]` smiles, `RAW`'s smile; people at rest are near RESTING_SMILE."""
    measures = smile_measures(face)
    return sum(weight * measures[name] for name, weight in SMILE.items())


def smile_measures(face: np.ndarray) -> dict[str, float]:
    """The measures of a canonical face `[468, 3]` that SMILE weighs, by name."""
    y, lips = face[:, 1], _lips(face)
    return dict(
        lip_gap=lips["lip_gap"], mouth_width=lips["mouth_width"], upper_lip=lips["upper_lip"],
        corners=-y[_CORNERS].mean(), cheeks=-y[_CHEEKS].mean(), nose=_distance(face, 48, 278),
        lower_lids=y[_EYE_CORNERS].mean() - y[_LOWER_LIDS].mean(),
    )  # fmt: skip


def _lips(face: np.ndarray) -> dict[str, float]:
    upper, lower = face[_UPPER_LIP, 1].mean(), face[_LOWER_LIP, 1].mean()
    return dict(
        lip_gap=lower - upper, lip_height=_distance(face, 0, 17),
        mouth_width=_distance(face, 61, 291), upper_lip=face[2, 1] - upper,
    )  # fmt: skip


def _distance(face: np.ndarray, a: int, b: int) -> float:
    return float(np.linalg.norm(face[a] - face[b]))


def _eye(contour: np.ndarray, iris: np.ndarray) -> np.ndarray:
    """Opening and gaze `[3]` in eye widths, of one eye's contour `[71, 3]` and iris `[5, 2]`."""
    points = contour[:16, :2].astype(np.float64)
    along = points[8] - points[0]
    width = max(float(np.linalg.norm(along)), 1e-6)
    along = along * (np.sign(along[0]) or 1.0) / width
    axes = np.stack([along, (-along[1], along[0])])
    down = points @ axes[1]
    opening = down[3:6].mean() - down[11:14].mean()
    gaze = axes @ (iris[0].astype(np.float64) - (points[0] + points[8]) / 2)
    return np.array([opening, *gaze]) / width


def neutral_of(raw: np.ndarray) -> np.ndarray:
    """The resting face `[17]` of a clip's raw numbers `[t, 17]`, t >= 1.

    The median, except where people rest at one end of what they do: the 10th percentile of the lips' gap and height,
    the 30th of the smile, and the 85th of the lid openings, at least MIN_OPENING because eyes may be closed for most of
    a short clip.
    """
    neutral = np.median(raw, axis=0)
    neutral[_LIPS] = np.percentile(raw[:, _LIPS], 10, axis=0)
    neutral[_SMILE] = np.percentile(raw[:, _SMILE], 30)
    neutral[_OPENINGS] = np.maximum(np.percentile(raw[:, _OPENINGS], 85, axis=0), MIN_OPENING)
    return neutral


class RunningNeutral:
    """The neutral of a live stream, from what has been seen so far.

    `update` gives `neutral_of` the last `length` frames (30 s at 25 fps); it is computed anew every frame for the first
    `length / 10` frames and then every tenth. The first frames are thus measured against themselves: let a person
    settle for a few seconds before relying on the motion.
    """

    def __init__(self, length: int = 750):
        self._seen = deque(maxlen=length)
        self._count = 0
        self._neutral: np.ndarray | None = None

    def update(self, raw: np.ndarray) -> np.ndarray:
        """The neutral `[17]` after one more frame's raw numbers `[17]`."""
        self._seen.append(raw)
        self._count += 1
        if self._neutral is None or 10 * self._count <= self._seen.maxlen or self._count % 10 == 0:
            self._neutral = neutral_of(np.stack(self._seen))
        return self._neutral


def relative(raw: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """Motion `[..., 15]` float32, clamped to the channels' ranges, of raw numbers `[..., 17]`.

    `neutral` is `[17]`, or `[..., 17]` where each frame has one of its own. A portrait's is its own raw numbers, a
    clip's `neutral_of`, a stream's `RunningNeutral`.
    """
    value = dict(zip(RAW, np.moveaxis(raw, -1, 0), strict=True))
    rest = dict(zip(RAW, np.moveaxis(neutral, -1, 0), strict=True))
    difference = {name: value[name] - rest[name] for name in RAW}
    difference["scale"] = difference["scale"] / rest["scale"]
    seen = 1 - _PITCH_LOSS * np.clip(difference["pitch"], -_PITCH_LIMIT, _PITCH_LIMIT)
    difference["jaw_open"] = (value["lip_gap"] / seen - rest["lip_gap"] + difference["lip_height"] / seen) / 2
    difference["mouth_width"] = difference["mouth_width"] - _SMILE_WIDTH * difference["smile"]
    difference["brow_raise"] = difference["brow_raise"] - _BROW_PITCH * difference["pitch"]
    difference["blink"] = _closure(raw[..., _OPENINGS], neutral[..., _OPENINGS])
    motion = np.stack([GAIN[name] * difference[name] for name in CHANNELS], -1)
    return clamp(motion).astype(np.float32)


def turned(raw: np.ndarray) -> dict[str, float]:
    """How far a head turns against the camera in raw numbers `[n, 17]`: `yaw` and `pitch` in degrees, either way.

    Each is the value that one frame in fifty exceeds, so that a frame in which the tracker errs doesn't count.
    """
    return {name: float(np.percentile(np.abs(GAIN[name] * raw[:, RAW.index(name)]), 98)) for name in ("yaw", "pitch")}


def _closure(opening: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """Closure `[...]` in [0, 1] of both lids, from openings `[..., 2]` and their neutral, `[2]` or `[..., 2]`."""
    neutral = np.maximum(neutral, 1e-3)
    closure = np.clip((1 - opening / neutral - _DEAD_ZONE) / _SPAN, 0, 1)
    seen = neutral >= neutral.max(-1, keepdims=True) / 2
    return (closure * seen).sum(-1) / seen.sum(-1)
