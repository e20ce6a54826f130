"""The weights of the smile: a ridge regression on labelled clips and on rendered portraits.

x are the measures of a face (`smile_measures`) less those of its rest. The weights w minimise, each clip and each
portrait weighing the same,

    mean (w x - target)^2           labelled frames, with the target of each label in TARGETS
    + mean (w x - smile)^2          rendered frames, whose smile is known among other motion (`evaluation.faces.DRAWN`)
    + TALK mean (w x)^2 + APART cov(w x, width)^2        frames without a smile; the mouth's width is standardised
    + RIDGE |w|^2

and are then scaled so that a clear smile is 0.1 on average. APART separates a smile from a wide mouth."""

from pathlib import Path

import numpy as np

from afjax.codec.face.channels import channel
from afjax.codec.face.codec import FaceCodec
from afjax.codec.face.track.coefficients import SMILE, smile_measures
from afjax.codec.face.track.mesh import landmarks_of
from afjax.codec.face.track.template import canonical, load_template, pose_of
from afjax.codec.face.track.tracker import FaceTracker
from afjax.media.video import probe, read_frames
from experiments import cli
from experiments.evaluation.faces import sample_motion

__all__ = ["NAMES", "Seen", "clip", "fit", "judge", "portrait", "calibration_factor"]

NAMES = tuple(SMILE)
TARGETS = np.array([0.0, 0.04, 0.10, 0.17])
TALK, APART, RIDGE, CLEAR = 0.3, 30.0, 1e-6, 0.1
FRAMES = 90


class Seen:
    """One clip or portrait: measures `x` `[t, k]` and `width` `[t]` less those of rest, with known smiles.

    `asked` are the frames whose smile is known to be `smile`; `still` `[t]` marks frames without a smile.
    """

    def __init__(self, x: np.ndarray, asked: np.ndarray, smile: np.ndarray, still: np.ndarray):
        self.x, self.asked, self.smile, self.still = x, asked, smile, still
        self.width = x[:, NAMES.index("mouth_width")]


def measures(landmarks, template: np.ndarray) -> list[float]:
    """The numbers `NAMES` of a face."""
    face = canonical(landmarks.mesh.astype(np.float64), pose_of(landmarks.mesh, template))
    return [smile_measures(face)[name] for name in NAMES]


def clip(path: Path, labels: dict) -> Seen:
    """A labelled clip; rest is its median without a smile."""
    template, rows = load_template(), []
    with cli.quiet():
        tracker = FaceTracker()
        for frame in read_frames(probe(path), 960):
            found = tracker.step(frame)
            rows.append(measures(found, template) if found else rows[-1])
    x, seen = np.array(rows), np.array(labels["smile"])
    asked = np.arange(len(seen)) * labels["step"]
    x -= np.median(x[asked[seen == 0]], axis=0)
    return Seen(x, asked, TARGETS[seen], np.interp(np.arange(len(x)), asked, seen) < 0.01)


def portrait(picture: np.ndarray, seed: int) -> Seen:
    """A rendered portrait; rest is its first frame."""
    codec, template = FaceCodec(), load_template()
    motion = sample_motion(FRAMES, seed)
    with cli.quiet():
        found = [landmarks_of(frame) for frame in codec.render(codec.identity(picture), motion)]
    kept = [n for n, each in enumerate(found) if each is not None]
    x = np.array([measures(found[n], template) for n in kept])
    return Seen(x - x[0], np.arange(len(x)), motion[kept, channel("smile")], np.zeros(len(x), bool))


def fit(clips: list[Seen], portraits: list[Seen]) -> np.ndarray:
    """Weights `[k]` before they are scaled."""
    square, target = RIDGE * np.eye(len(NAMES)), np.zeros(len(NAMES))
    for group in (clips, portraits):
        for one in group:
            x, share = one.x[one.asked], len(one.asked) * len(group)
            square, target = square + x.T @ x / share, target + x.T @ one.smile / share
    for one in clips:
        x, width = one.x[one.still] - one.x[one.still].mean(0), one.width[one.still]
        along = x.T @ ((width - width.mean()) / width.std()) / len(x)
        square = square + (TALK * x.T @ x / len(x) + APART * np.outer(along, along)) / len(clips)
    return np.linalg.solve(square, target)


def judge(one: Seen, weights: np.ndarray) -> list[float]:
    """r with the known smile, and r with the mouth's width in frames without a smile."""
    read = one.x @ weights
    known = np.corrcoef(read[one.asked], one.smile)[0, 1] if np.ptp(one.smile) > 0 else np.nan
    talk = np.corrcoef(read[one.still], one.width[one.still])[0, 1] if one.still.any() else np.nan
    return [round(float(value), 2) for value in (known, talk)]


def calibration_factor(clips: list[Seen], weights: np.ndarray) -> float:
    """Factor of the weights that makes a clear smile CLEAR, on average over the clips that have one."""
    clear = [(one.x[one.asked] @ weights)[one.smile == TARGETS[2]] for one in clips]
    return CLEAR / float(np.mean([part.mean() for part in clear if len(part)]))
