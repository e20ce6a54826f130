"""Numbers that tell good clips from bad ones. They are kept beside the records, one row per clip; they cut nothing.

`NUMBERS` of `afjax.config.filters` names them. A person in a clip has:

  sharpness    median over every fifth frame of var(L), L = p[y-1,x] + p[y+1,x] + p[y,x-1] + p[y,x+1] - 4 p[y,x], p the
               brightness of the middle half of the person's square (the face) at 128 x 128 pixels. Small faces are
               magnified for it and count as blurred, which they are to a model
  yaw, pitch   how far the head turns (`afjax.codec.face.track.coefficients.turned`)
  bleed        with x this person's sound and y the other's, over the pieces in which the other speaks and this person
               doesn't (over all in which the other speaks, if those are less than a second),

                   10 log10 sum_f c(f) Pxx(f) / sum_f Pyy(f),    c = (n |Pxy|^2 / (Pxx Pyy) - 1) / (n - 1), at least 0,

               spectra by Welch's method over n pieces of 64 ms, y shifted to where the two correlate best within half
               a second. What x and y share by chance, 1 / n, is taken away from the coherence, and -60 dB is the least.
               None where the other speaks less than a second
  sync_*       `data_pipeline.recorded.sync` of this clip alone: lips against loudness. It is no SyncNet
  identity     cosine of the clip's face descriptor and the median of the person's clips, with dlib's network; that
               of strangers may be above 0.9, so look at the histogram before choosing a threshold
"""

from collections.abc import Mapping

import numpy as np

from afjax.audio.framing import FPS, FRAME, RATE
from afjax.codec.latent.crop import Square, crop
from data_pipeline.recorded import sync

PATCH = 128
LEAST_BLEED = -60.0
_PIECE = 1024
_REACH = RATE // 2
_GREY = np.array([0.299, 0.587, 0.114])


def sharpness(picture: np.ndarray) -> float:
    """Sharpness of the middle half of a square picture uint8 `[s, s, 3]`."""
    side = picture.shape[0]
    face = crop(picture, Square(side // 4, side // 4, side - 2 * (side // 4)), PATCH)
    grey = face.astype(np.float64) @ _GREY
    inner = grey[1:-1, 1:-1]
    return float((grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner).var())


def bleed(own: np.ndarray, other: np.ndarray, speaks: np.ndarray, other_speaks: np.ndarray) -> float | None:
    """Level in dB of the other's voice in a sound; None where it isn't known.

    Args:
      own, other: both sounds `[s]` at 16 kHz of the same moments.
      speaks, other_speaks: bool `[t]`, frames in which each speaks.
    """
    alone = other_speaks & ~speaks
    where = alone if alone.sum() >= FPS else other_speaks
    if where.sum() < FPS:
        return None
    mask = np.repeat(where, FRAME)[: len(own)].astype(np.float64)
    x, y = (each[: len(mask)].astype(np.float64) - each.mean() for each in (own, other))
    y = np.roll(y, _lag(x * mask, y))
    taper, hop = np.hanning(_PIECE), _PIECE // 2
    starts = [n for n in range(0, len(mask) - _PIECE + 1, hop) if mask[n : n + _PIECE].all()]
    if len(starts) < 2:
        return None
    xs, ys = (np.fft.rfft([taper * each[n : n + _PIECE] for n in starts]) for each in (x, y))
    pxx, pyy, pxy = (np.abs(xs) ** 2).sum(0), (np.abs(ys) ** 2).sum(0), (xs * ys.conj()).sum(0)
    pieces = len(starts) / 2  # they overlap by half
    coherence = np.abs(pxy) ** 2 / np.maximum(pxx * pyy, 1e-30)
    shared = np.maximum((pieces * coherence - 1) / (pieces - 1), 0.0) if pieces > 1 else coherence
    ratio = (shared * pxx).sum() / max(pyy.sum(), 1e-30)
    return max(10 * float(np.log10(ratio + 1e-12)), LEAST_BLEED)


def _lag(x: np.ndarray, y: np.ndarray) -> int:
    """Shift of y, in samples, at which it is most like x."""
    size = 1 << (len(x) + 2 * _REACH).bit_length()
    curve = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(y, size).conj(), size)
    near = np.r_[-_REACH : _REACH + 1]
    return int(near[np.abs(curve[near]).argmax()])


def of_sync(mouth: np.ndarray, voice: np.ndarray) -> dict[str, float | None]:
    """`sync_lag` and `sync_height` of a mouth's speed and a voice's loudness `[t]`; None where they aren't known."""
    if len(mouth) < sync.LEAST or not np.ptp(mouth) or not np.ptp(voice):
        return {"sync_lag": None, "sync_height": None}
    found = sync.measure(mouth, voice)
    return {"sync_lag": found.lag / FPS, "sync_height": found.z}


def rounded(numbers: Mapping[str, float | None]) -> dict[str, float | None]:
    """Numbers as they are kept, rounded; None where one isn't finite."""
    return {name: None if value is None or not np.isfinite(value) else round(float(value), 3)
            for name, value in numbers.items()}  # fmt: skip


class MedianDescriptors:
    """Every person's median face descriptor, of at most `max_clips` of their clips, spread evenly over them."""

    def __init__(self, max_clips: int = 64):
        self._max_clips, self._clip_counts, self._kept = max_clips, {}, {}

    def add(self, person: str, descriptor: np.ndarray):
        """Adds one clip's descriptor `[128]`; nan: no face was described."""
        if not np.isfinite(descriptor).all():
            return
        number, (stride, descriptors) = self._clip_counts.get(person, 0), self._kept.get(person, (1, []))
        self._clip_counts[person] = number + 1
        if number % stride == 0:
            descriptors = [*descriptors, np.asarray(descriptor, np.float32)]
        if len(descriptors) > self._max_clips:
            stride, descriptors = 2 * stride, descriptors[::2]
        self._kept[person] = stride, descriptors

    def medians(self) -> dict[str, np.ndarray]:
        """Median descriptors by person."""
        return {person: np.median(found, axis=0) for person, (_, found) in self._kept.items() if found}


def likeness(descriptor: np.ndarray, median: np.ndarray | None) -> float | None:
    """Cosine of a descriptor and a median; None where either is not known."""
    if median is None or not np.isfinite(descriptor).all():
        return None
    lengths = float(np.linalg.norm(descriptor) * np.linalg.norm(median))
    return float(descriptor @ median) / lengths if lengths else None
