"""Survey of a recorded conversation for clips: stretches in which both pictures go on without a break.

A scene cut stands before frame n where the picture changes much, and far more than it does around n,

  d[n] > LEAST  and  d[n] > RATIO * median(d[n - AROUND .. n + AROUND]),    d[n] = mean |thumb[n] - thumb[n - 1]|,

thumbnails of 32 x 32 pixels in levels of 0..255. The face is looked for in every fifth frame. Where it moves by half
its size or grows by half between two of them, the frames between them are a break as well (a jump cut, or another
person). Cross-fades are not found: their clips are set aside if the face is lost.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from afjax.codec.face.track.models import to_image
from afjax.codec.face.track.tracker import FaceTracker
from afjax.codec.latent.crop import Square, box_of, square_of
from afjax.errors import InputError

STRIDE = 5
LEAST, RATIO, AROUND = 12.0, 4.0, 12
MOVE, GROWTH = 0.5, 1.5
FOUND = 0.9
"""Share of a clip in which a face must be seen."""
FACE = 64
"""Least pixels of a face's longer side."""
_THUMB = 32
_LEAST_REGION = 16


@dataclass(frozen=True)
class Survey:
    """Survey of one picture before faces are tracked.

    Attributes:
      frames, height, width: those of the picture.
      breaks: (end of the stretch before, start of the stretch after) each; equal where nothing lies between.
      boxes: face boxes (left, top, right, bottom) by frame, for frames in which one was found.
    """

    frames: int
    height: int
    width: int
    breaks: tuple[tuple[int, int], ...]
    boxes: dict[int, tuple[float, float, float, float]]


def survey(
    frames: Iterable[np.ndarray], given: np.ndarray | None = None, whole: tuple[int, int] | None = None
) -> Survey:
    """Survey of a picture's frames, uint8 `[h, w, 3]`, read once and in order.

    Args:
      given: rough boxes of the person's face, `[t, 4]` in pixels of the whole size, nan where there is none; None: the
        largest face is theirs.
      whole: (height, width) of the original picture; None: that of the frames.
    """
    tracker, change, boxes, last, size, scale = FaceTracker(), [], {}, None, whole or (0, 0), np.ones(4)
    for n, frame in enumerate(frames):
        size = whole or frame.shape[:2]
        scale = np.array([size[1], size[0]] * 2) / ([frame.shape[1], frame.shape[0]] * 2)
        thumb = np.asarray(to_image(frame).resize((_THUMB, _THUMB), 4, reducing_gap=2.0), np.float32)
        change.append(0.0 if last is None else float(np.abs(thumb - last).mean()))
        last = thumb
        if n % STRIDE == 0:
            near = None if given is None else given[n] / scale if n < len(given) else np.full(4, np.nan)
            if (box := _face(tracker, frame, near)) is not None:
                boxes[n] = tuple((box * scale).tolist())
    cuts = scene_cuts(np.array(change))
    breaks = [(n, n) for n in cuts] + _jumps(boxes, cuts)
    return Survey(len(change), *size, tuple(sorted(breaks)), boxes)


def _face(tracker: FaceTracker, frame: np.ndarray, near: np.ndarray | None) -> np.ndarray | None:
    """Box `[4]` of the largest face of a frame, or of the face in the square of twice the side around a box."""
    left = top = 0
    if near is not None:
        if not np.isfinite(near).all():
            return None
        reach = max(near[2] - near[0], near[3] - near[1])
        left, top = (max(0, int(middle - reach)) for middle in (near[:2] + near[2:]) / 2)
        right, bottom = (int(middle + reach) + 1 for middle in (near[:2] + near[2:]) / 2)
        frame = frame[top : max(bottom, 0), left : max(right, 0)]
        if min(frame.shape[:2]) < _LEAST_REGION:
            return None
    landmarks = tracker.step(frame)
    return None if landmarks is None else box_of(landmarks.mesh) + [left, top, left, top]


def scene_cuts(change: np.ndarray) -> list[int]:
    """Frames that follow a cut, from d `[t]` (d[0] = 0)."""
    padded = np.pad(change, AROUND, mode="reflect") if len(change) > AROUND else change
    if len(padded) == len(change):
        usual = np.full(len(change), np.median(change) if len(change) else 0.0)
    else:
        usual = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * AROUND + 1), axis=1)
    return np.flatnonzero((change > LEAST) & (change > RATIO * usual)).tolist()


def _jumps(boxes: dict[int, Sequence[float]], cuts: list[int]) -> list[tuple[int, int]]:
    """Breaks between samples whose faces can't be one moving face, unless a cut explains them."""
    found, samples = [], sorted(boxes)
    for before, after in zip(samples[:-1], samples[1:], strict=True):
        if after - before > STRIDE or any(before < cut <= after for cut in cuts):
            continue
        a, b = np.array(boxes[before]), np.array(boxes[after])
        sides = [(box[2:] - box[:2]).max() for box in (a, b)]
        moved = np.linalg.norm((a[:2] + a[2:] - b[:2] - b[2:]) / 2)
        if moved > MOVE * max(sides) or max(sides) > GROWTH * min(sides):
            found.append((before + 1, after))
    return found


def starts(surveys: Iterable[Survey], length: int, limit: int) -> list[int]:
    """First frames of the clips of `length` frames, one after the other in every stretch, none beyond `limit`."""
    found, at = [], 0
    for end, start in [*sorted(pair for each in surveys for pair in each.breaks), (limit, limit)]:
        found += range(at, min(end, limit) - length + 1, length)
        at = max(at, start)
    return found


def face_size(of: Survey, start: int, length: int) -> float | None:
    """Mean of the face's larger side in one clip, in pixels; None where no face was found."""
    boxes = _boxes(of, start, length)[1]
    return float((boxes[:, 2:] - boxes[:, :2]).max(axis=1).mean()) if len(boxes) else None


def square(of: Survey, start: int, length: int) -> Square:
    """The square around the face of one clip. Raises InputError where there is too little face to track."""
    share, boxes = _boxes(of, start, length)
    if share < FOUND:
        raise InputError(f"a face is seen in {share:.0%} of it")
    face = face_size(of, start, length)
    if face < FACE:
        raise InputError(f"the face is {face:.0f} px high, at least {FACE} are needed")
    return square_of(boxes, of.height, of.width)


def _boxes(of: Survey, start: int, length: int) -> tuple[float, np.ndarray]:
    """Share of a clip's samples with a face, and its boxes."""
    samples = [n for n in range(start, start + length) if n % STRIDE == 0]
    boxes = np.array([of.boxes[n] for n in samples if n in of.boxes])
    return len(boxes) / len(samples), boxes
