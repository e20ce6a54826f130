"""Event slope: the size of the avatar's average answer to an event, in units of the recorded avatar's.

    a[k]   = mean over events e of s[e + k],  k = -5 .. 25             s: the channel of the kind's detector
    b[k]   = a[k] - mean of a[-5 .. -1]
    slope  = sum_{k >= 0} b[k] r[k] / sum_{k >= 0} r[k]^2              r: the b of the recorded avatar
    corr   = sum_{k >= 0} b[k] r[k] / (|b| |r|)

The slope is the regression of the average answer on the recorded one through the origin: 1 is the same size and shape,
.5 half the size, 0 no answer, below 0 the opposite direction. A late answer loses the part that does not overlap.
`corr` is the same without the size. The mean before the event takes the place of the track's own mean, so whatever is
constant changes nothing. No detector is asked, so that answers too small for one count as well. The phase of a nod
differs from event to event: only what the average keeps of it is seen, in both averages alike.

Several kinds together: both sums run over the kinds as well, each channel in units of `scale`.

An event counts if five frames before it and a second after it lie in the clip. The recorded average has noise of its
own, which makes its squares too large: with few events even a perfect face (the oracle) is below 1.
"""

from collections.abc import Sequence

import numpy as np

from afjax.codec.face.channels import channel
from afjax.metrics.events import EVENTS, WITHIN

BEFORE = 5
"""Frames before an event whose mean is the level from which an answer departs."""


def around(track: np.ndarray, event_frames, after: int = WITHIN) -> np.ndarray:
    """Sums over events and the number of events `[BEFORE + after + 2]`; track `[t]`, frames `[e]` of one clip.

    Element i is the sum of `track[e + i - BEFORE]`. The last is the number of events with all these frames in the clip.
    """
    track, frames = np.asarray(track, np.float64), np.asarray(event_frames, int)
    frames = frames[(frames >= BEFORE) & (frames + after < len(track))]
    rows = track[frames[:, None] + np.arange(-BEFORE, after + 1)]
    return np.append(rows.sum(axis=0), len(frames))


def sums(motion: np.ndarray, event_frames, kind: str) -> np.ndarray:
    """`around` of the channel in which a kind is answered; motion `[t, d]` of the `face` codec."""
    return around(motion[:, channel(EVENTS[kind].channel)], event_frames)


def pair(rows: Sequence[np.ndarray], recorded: Sequence[np.ndarray], scale=1.0) -> np.ndarray:
    """Values of one clip `[2, k, w + 1]` for `slope` and `correlation`: `around` by kind, the row's and the recorded.

    `scale`: the scale of each kind's channel `[k]`; it divides the sums, not the counts.
    """
    both = np.array([rows, recorded])
    both[..., :-1] /= np.broadcast_to(scale, both.shape[1])[:, None]
    return both


def slope(means: np.ndarray) -> np.ndarray:
    """Slope `[...]` of means over clips `[..., 2, k, w + 1]` of what `pair` gives; nan where nobody ever answers."""
    model, recorded = _answers(means)
    return _over((model * recorded).sum(axis=(-2, -1)), np.square(recorded).sum(axis=(-2, -1)))


def correlation(means: np.ndarray) -> np.ndarray:
    """Correlation `[...]` of the same means, in -1 .. 1; 0 for a face that holds still."""
    model, recorded = _answers(means)
    sizes = [np.square(side).sum(axis=(-2, -1)) for side in (model, recorded)]
    found = _over((model * recorded).sum(axis=(-2, -1)), np.sqrt(sizes[0] * sizes[1]))
    return np.where((sizes[0] == 0) & (sizes[1] > 0), 0.0, found)


def _answers(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average answers from the event on `[..., k, w - BEFORE]`, the row's and the recorded.

    A kind counts where both have events of it; else its answers are 0.
    """
    means = np.asarray(means, np.float64)
    count = means[..., -1:]
    seen = (count > 0).all(axis=-3, keepdims=True)
    average = np.where(seen, means[..., :-1] / np.where(count > 0, count, 1.0), 0.0)
    answer = average[..., BEFORE:] - average[..., :BEFORE].mean(axis=-1, keepdims=True)
    answer = np.where(np.abs(answer) > 1e-12 * np.abs(average).max(initial=0.0), answer, 0.0)  # of constants
    return answer[..., 0, :, :], answer[..., 1, :, :]


def _over(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)
