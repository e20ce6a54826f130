"""R-DGG: how much the user tells about the listener's motion beyond the listener's own history.

Rows are the frames of listening intervals with HISTORY frames behind them. The past of a signal is its value at
OFFSETS, even steps from 1 to HISTORY frames. With Y the motion `[n, d]`, X_o its own past and that of the listener's
voice, X_m and X_a the pasts of the user's motion and voice:

  1. on recorded motion      Y ~ X_o A + X_u B_u,   u = m, a          B_u are kept
  2. on the motion scored    E_m  of  Y ~ [X_o, X_m B_m]
                             E_a  of  Y ~ [X_o, X_a B_a]
                             E_ma of  Y ~ [X_o, X_m B_m, X_a B_a]
  3. speech gain             ln(E_m / E_ma), minus its mean over K circular shifts of the user
     motion gain             ln(E_a / E_ma), likewise

All fits are ridge regressions with lambda = PENALTY x the mean squared column norm, cross-fitted: a row is predicted by
coefficients from other groups of people, and E is the sum of squared residuals of such predictions. Columns are
standardised with the recorded rows' figures (X_o of step 2 with its own rows'), constant ones dropped, Y is scaled per
channel by (variance + median variance)^-1/2 of the recorded motion. X_m and X_a are reduced to MOTION_PARTS and
SPEECH_PARTS principal components; so is the listener's own voice, which is near silence where it listens and would
otherwise drown the fit in columns of noise. There a remnant of speech can stand 70 deviations out and rule E alone, so
the listener's own voice is cut at 5 (robust) deviations.

After arXiv 2609.22913, section 6.1. The gain is about dependence, not quality; shifts keep each signal's own rhythm and
break its relation to the other. A projected user is a linear filter of the user's signals, so that a shift of the user
is a shift of the filter's output and the filter runs once. In step 2 lambda is that of the columns of X_o, so that one
factorisation serves all shifts.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg

HISTORY = 100
OFFSETS = np.round(np.linspace(1, HISTORY, 25)).astype(int)
SHIFTS = 100
LEAST_SHIFT = 100
LEAST_INTERVALS = 60
FOLDS = 5
PENALTY = 1e-4
MOTION_PARTS, SPEECH_PARTS = 32, 64

_TRIM, _LEAST_LENGTH, _PAUSE = 5, 150, 25
_LOUDEST = 5.0
_POWERS = 2
_AT_ONCE = 21


@dataclass(frozen=True)
class Filter:
    """Past of a signal -> its part of the prediction, one for each fold: weights `[f, l, c, d]`, offset `[f, d]`."""

    weights: np.ndarray
    offset: np.ndarray


@dataclass(frozen=True)
class Projections:
    """Results of step 1: rows, folds, the scale of Y, the user's filters and the past of the listener's voice.

    Rows are sorted by fold. `clip`, `frame`, `fold` `[n]`; `bounds` `[f + 1]`; `scale` `[d]`; `voice` `[n, p]`;
    `shifts` `[k + 1, n]`, the first of no frames.
    """

    clip: np.ndarray
    frame: np.ndarray
    bounds: np.ndarray
    fold_of_clip: np.ndarray
    scale: np.ndarray
    motion: Filter
    speech: Filter
    voice: np.ndarray
    shifts: np.ndarray


def listening(avatar_speaking: np.ndarray, user_speaking: np.ndarray) -> list[tuple[int, int, int]]:
    """Listening intervals (clip, first frame, end): the avatar is silent, the user active.

    Both bool `[n, t]`. A user's pause of up to 1 s is part of the turn. Of each interval 0.2 s are trimmed at either
    end; what is then shorter than 6 s is dropped.
    """
    found = []
    for clip, (avatar, user) in enumerate(zip(avatar_speaking, user_speaking, strict=True)):
        active = np.array(user, bool)
        for first, end in _runs(~active):
            if first > 0 and end < len(active) and end - first <= _PAUSE:
                active[first:end] = True
        for first, end in _runs(active & ~np.asarray(avatar, bool)):
            if end - first - 2 * _TRIM >= _LEAST_LENGTH:
                found.append((clip, first + _TRIM, end - _TRIM))
    return found


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    steps = np.diff(np.concatenate([[0], mask.astype(int), [0]]))
    return list(zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True))


def fit(
    recorded: np.ndarray,
    voice: np.ndarray,
    user: np.ndarray,
    user_voice: np.ndarray,
    intervals: list[tuple[int, int, int]],
    groups: np.ndarray | None = None,
    seed: int = 0,
    shifts: int = SHIFTS,
) -> Projections | None:
    """Step 1, on recorded listeners.

    Args:
      recorded, user: motion `[n, t, d]`, `[n, t, c]`.
      voice, user_voice: speech features of listener and user, `[n, t, f]`.
      intervals: from `listening`.
      groups: `[n]`, who the people of a clip are: clips of one group share a fold. None: each clip its own.
      seed: of folds and shifts.
      shifts: K.

    Returns:
      None where there are fewer than LEAST_INTERVALS intervals, fewer groups than folds among them, or clips too short
      to shift.
    """
    clips, frames = recorded.shape[:2]
    groups = np.arange(clips) if groups is None else np.unique(groups, return_inverse=True)[1]
    used = np.unique([groups[clip] for clip, _, _ in intervals])
    if len(intervals) < LEAST_INTERVALS or len(used) < FOLDS or frames <= 2 * LEAST_SHIFT:
        return None
    rng = np.random.default_rng(seed)
    fold_of_group = np.zeros(groups.max() + 1, int)
    fold_of_group[rng.permutation(used)] = np.arange(len(used)) % FOLDS
    fold_of_clip = fold_of_group[groups]

    clip = np.concatenate([np.full(end - first - HISTORY, clip) for clip, first, end in intervals])
    frame = np.concatenate([np.arange(first + HISTORY, end) for _, first, end in intervals])
    order = np.argsort(fold_of_clip[clip], kind="stable")
    clip, frame = clip[order], frame[order]
    bounds = np.searchsorted(fold_of_clip[clip], np.arange(FOLDS + 1))

    target = np.asarray(recorded, np.float64)
    spread = target.reshape(-1, target.shape[-1]).var(axis=0)
    scale = 1.0 / np.sqrt(np.maximum(spread + np.median(spread), 1e-12))
    target = target[clip, frame] * scale
    own_voice, voice_parts, _, _ = _parts(_past(voice, clip, frame), SPEECH_PARTS, _LOUDEST)
    own_voice = own_voice @ voice_parts
    own = np.concatenate([_standardised(_past(recorded, clip, frame))[0], own_voice], axis=1)
    filters = [
        _filter(own, _past(signal, clip, frame), signal.shape[-1], parts, target, bounds)
        for signal, parts in ((user, MOTION_PARTS), (user_voice, SPEECH_PARTS))
    ]
    drawn = rng.integers(LEAST_SHIFT, frames - LEAST_SHIFT + 1, size=(shifts, clips))
    drawn = np.concatenate([np.zeros((1, clips), int), drawn])
    return Projections(clip, frame, bounds, fold_of_clip, scale, *filters, own_voice, drawn)


def errors(projections: Projections, motion: np.ndarray, user: np.ndarray, user_voice: np.ndarray) -> np.ndarray:
    """Step 2 for one system: squared residuals `[n, k + 1, 3]` of (E_m, E_a, E_ma), entry 0 without a shift.

    Args:
      projections: from `fit`.
      motion, user, user_voice: of the system and the users whom it watches, shapes as in `fit`.

    Clips without a listening interval are NaN.
    """
    p = projections
    clips, frames, channels = motion.shape
    target = np.asarray(motion, np.float64)[p.clip, p.frame] * p.scale
    own = np.concatenate([_standardised(_past(motion, p.clip, p.frame))[0], p.voice], axis=1)
    ridge = _CrossRidge(own, target, p.bounds)
    tracks = np.concatenate([_filtered(p.motion, user, p), _filtered(p.speech, user_voice, p)], axis=-1)
    columns = (np.arange(channels), np.arange(channels, 2 * channels), np.arange(2 * channels))
    out = np.zeros((clips, len(p.shifts), len(columns)))
    for first in range(0, len(p.shifts), _AT_ONCE):
        shifts = p.shifts[first : first + _AT_ONCE]
        seen = tracks[p.clip[:, None], (p.frame[:, None] - shifts.T[p.clip]) % frames]
        squares = ridge.squares(seen, columns).reshape(len(p.clip), -1)
        starts = np.flatnonzero(np.diff(p.clip, prepend=-1))
        sums = np.add.reduceat(squares, starts).reshape(len(starts), -1, len(columns))
        np.add.at(out[:, first : first + len(shifts)], p.clip[starts], sums)
    out[np.setdiff1d(np.arange(clips), p.clip)] = np.nan
    return out


def speech_gain(means: np.ndarray) -> np.ndarray:
    """Statistic for `bootstrap.interval` on `errors`: what the user's voice tells beyond the face, `[r]`."""
    return _gain(means[..., 0], means[..., 2])


def motion_gain(means: np.ndarray) -> np.ndarray:
    """Statistic for `bootstrap.interval` on `errors`: what the user's face tells beyond the voice, `[r]`."""
    return _gain(means[..., 1], means[..., 2])


def _gain(without: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """NaN for a motion that its own past tells completely, a still face above all."""
    told = (whole > 1e-9).all(axis=-1) & (without > 1e-9).all(axis=-1)
    gain = np.log(np.where(told[:, None], without / np.where(told[:, None], whole, 1.0), 1.0))
    return np.where(told, gain[:, 0] - gain[:, 1:].mean(axis=1), np.nan)


class _CrossRidge:
    """Cross-fitted ridge regression on the listener's own past, to which a few columns are added at a time.

    Every fold's products are taken once; those of its training rows are the sums over the other folds.
    """

    def __init__(self, own: np.ndarray, target: np.ndarray, bounds: np.ndarray):
        self._own, self._target, self._folds = own, target, _folds(bounds)
        self._sum = [own[rows].sum(axis=0) for rows in self._folds]
        grams = [own[rows].T @ own[rows] for rows in self._folds]
        products = [own[rows].T @ target[rows] for rows in self._folds]
        sums = [target[rows].sum(axis=0) for rows in self._folds]
        self._fits = []
        for fold, rows in enumerate(self._folds):
            count = len(own) - (rows.stop - rows.start)
            mean, gram = _others(sums, fold) / count, _others(grams, fold)
            penalty = PENALTY * np.trace(gram) / own.shape[1] + 1e-12
            factor = scipy.linalg.cho_factor(gram + penalty * np.eye(own.shape[1]), lower=True)
            product = _others(products, fold) - np.outer(_others(self._sum, fold), mean)
            self._fits.append((count, mean, penalty, factor, scipy.linalg.cho_solve(factor, product)))

    def squares(self, extra: np.ndarray, columns) -> np.ndarray:
        """Squared held-out residuals `[n, s, m]` for s versions of the extra columns `[n, s, e]` and m choices of them.

        The own past X is eliminated: extra - X (X'X + l)^-1 X' extra carries all that extra adds.
        """
        versions, width = extra.shape[1:]
        flat = extra.reshape(len(extra), -1)
        across = [self._own[rows].T @ flat[rows] for rows in self._folds]
        sums = [flat[rows].sum(axis=0) for rows in self._folds]
        stacks = [extra[rows].swapaxes(0, 1) for rows in self._folds]
        inners = [stack.swapaxes(1, 2) @ stack for stack in stacks]
        outers = [flat[rows].T @ self._target[rows] for rows in self._folds]
        out = np.empty((len(extra), versions, len(columns)))
        for fold, rows in enumerate(self._folds):
            count, mean, penalty, factor, coefficients = self._fits[fold]
            centre = _others(sums, fold) / count
            shared = _others(across, fold) - np.outer(_others(self._sum, fold), centre)
            solved = scipy.linalg.cho_solve(factor, shared)
            left = (flat[rows] - centre - self._own[rows] @ solved).reshape(-1, versions, width).swapaxes(0, 1)
            centre = centre.reshape(versions, width)
            inner = _others(inners, fold) - count * centre[:, :, None] * centre[:, None, :] + penalty * np.eye(width)
            shared, solved = (m.reshape(-1, versions, width).swapaxes(0, 1) for m in (shared, solved))
            inner -= shared.swapaxes(1, 2) @ solved
            outer = _others(outers, fold).reshape(versions, width, -1) - count * centre[:, :, None] * mean
            outer -= shared.swapaxes(1, 2) @ coefficients
            residual = self._target[rows] - mean - self._own[rows] @ coefficients
            for model, c in enumerate(columns):
                added = np.linalg.solve(inner[:, c][:, :, c], outer[:, c])
                out[rows, :, model] = np.square(residual - left[..., c] @ added).sum(axis=-1).T
        return out


def _others(parts: list[np.ndarray], fold: int) -> np.ndarray:
    """Sum over all folds but one."""
    return sum(part for index, part in enumerate(parts) if index != fold)


def _folds(bounds: np.ndarray) -> list[slice]:
    return [slice(first, end) for first, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)]


def _penalty(design: np.ndarray) -> float:
    return PENALTY * np.square(design).sum() / max(design.shape[1], 1) + 1e-12


def _past(signal: np.ndarray, clip: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Past of every row: `[n, t, c]` -> `[n, l * c]`."""
    return np.asarray(signal)[clip[:, None], frame[:, None] - OFFSETS].reshape(len(clip), -1).astype(np.float64)


def _standardised(design: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns with zero mean and unit deviation, constant ones 0; -> columns, mean, 1 / deviation."""
    mean, deviation = design.mean(axis=0), design.std(axis=0)
    moving = deviation > 1e-6 * np.maximum(np.abs(mean), 1e-3)
    inverse = np.where(moving, 1.0 / np.where(moving, deviation, 1.0), 0.0)
    return (design - mean) * inverse, mean, inverse


def _parts(
    design: np.ndarray, count: int, limit: float = np.inf
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Standardised columns, their `count` principal directions `[p, count]`, and mean and 1 / deviation.

    Columns are first cut at `limit` robust deviations (1.48 x the median absolute one) from their median. The method is
    subspace iteration from random directions (Halko, Martinsson and Tropp 2011).
    """
    if np.isfinite(limit):
        middle = np.median(design, axis=0)
        reach = limit * 1.4826 * np.median(np.abs(design - middle), axis=0)
        design = np.clip(design, middle - reach, middle + reach)
    columns, mean, inverse = _standardised(design)
    size = columns.shape[1]
    count = min(count, size, len(columns))
    base = np.random.default_rng(0).normal(size=(size, min(size, count + 16)))
    for _ in range(_POWERS):
        base = np.linalg.qr(columns.T @ (columns @ base))[0]
    _, vectors = np.linalg.eigh(base.T @ (columns.T @ (columns @ base)))
    return columns, base @ vectors[:, ::-1][:, :count], mean, inverse


def _filter(own: np.ndarray, past: np.ndarray, channels: int, parts: int, target: np.ndarray, bounds) -> Filter:
    """Step 1 for one signal of the user: the filters of B_u, by fold."""
    columns, directions, mean, inverse = _parts(past, parts)
    design = np.concatenate([own, columns @ directions], axis=1)
    weights, offsets = [], []
    for fold in _folds(bounds):
        train = np.r_[0 : fold.start, fold.stop : len(design)]
        used = design[train]
        gram = used.T @ used + _penalty(used) * np.eye(used.shape[1])
        coefficients = np.linalg.solve(gram, used.T @ (target[train] - target[train].mean(axis=0)))
        weight = inverse[:, None] * (directions @ coefficients[own.shape[1] :])
        weights.append(weight.reshape(len(OFFSETS), channels, -1))
        offsets.append(-mean @ weight)
    return Filter(np.stack(weights), np.stack(offsets))


def _filtered(own: Filter, signal: np.ndarray, p: Projections) -> np.ndarray:
    """A user's part of the prediction at every frame, the clip taken as a ring: `[n, t, c]` -> `[n, t, d]`."""
    signal = np.asarray(signal, np.float64)
    out = np.zeros((*signal.shape[:2], own.offset.shape[-1]))
    for fold in range(len(own.weights)):
        clips = np.flatnonzero(p.fold_of_clip == fold)
        for offset, weight in zip(OFFSETS, own.weights[fold], strict=True):
            out[clips] += np.roll(signal[clips] @ weight, offset, axis=1)
        out[clips] += own.offset[fold]
    return out
