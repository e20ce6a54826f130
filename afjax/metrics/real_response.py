"""Answers of an avatar to tracked real users, by motion generated from many seeds.

u is a channel of the user, a_s that of the avatar from seed s, and a the mean over seeds: answers survive in it, moods
of the avatar's own average out. All is measured at one lag L = LAG, fixed beforehand on simulated people.

    gain        g = sum (u[t - L] - mean u) (a[t] - mean a) / sum (u[t - L] - mean u)^2, means over the frames asked for

Both sums are added up over clips before they are divided: a clip counts as much as its user moves, since the slope on a
user who holds still is noise. The *null* of a clip has the same sums with its user turned round the clip's end by 4 s
and more to both sides, and with the users of other clips, repeated to its length, from every frame on. `gain` is g less
its mean under the null, and p = (1 + draws of the null with at least g) / (1 + draws); a draw takes one of the null's
members for each clip. Clips under 8 s have no null of their own; a single one has no p.

    episodes    share of smiles and laughs, labelled by eye, in which a rises by RISE within 200 to 1000 ms of their
                start: max a[t + 5 .. t + 25] - mean a[t .. t + 4]
    calm        the same share over the frames t of labelled clips that have no smile, not even a slight one, from a
                second before to a second after
    smile_gain  g of smiles and laughs with a second before and after: a smile is its rise and its fall as well
    talk_gain   g of the smile where the user is seen to talk without one; both with means of each stretch by itself, or
                a smile that grows over the clip would pass for an answer to the larger of two
    own         1 - (m - v / S) / (v - v / S), v = mean over S seeds of var a_s, m = var a, variances along time summed
                over clips. It is 1 - m / v as it would be of endless seeds: 0 of a copier, 1 of who never looks.
    with_over_without   deviation of a over that of the same seeds without the user
    fast_over_slow      g of what lies in 1.5 to 4 Hz over g of what lies below 0.5 Hz. The fast one is the largest of
                        the lags 0 .. 1 s, one lag for all clips, so that no delay hides a copier.

A copier, however late, has fast_over_slow = 1. A face that answers by a first-order lag of time constant T has 1 /
sqrt(1 + (2 pi f T)^2) at f: over the band .58 to .26 for T = .15 s, .31 to .13 for .3 s. A smile takes from a quarter
to half a second to unfold, so T is .15 s and more. The bar at .5 stands between the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from afjax.audio.framing import FPS
from afjax.metrics import bootstrap

__all__ = ["BARS", "CHANNELS", "LAG", "Clip", "Episode", "measure", "verdicts"]

CHANNELS = ("smile", "brow_raise", "pitch", "jaw_open", "mouth_width", "blink", "gaze_x", "gaze_y", "yaw")
LAG = 10
"""Frames from the user to the answer: the mean of simulated people (`data_pipeline.simulate.behaviour.idle_motion`)."""
SHIFT = 4 * FPS
"""Least shift of a user against their own clip in the null."""
LAST = 4 * FPS
"""Frames at the end of a clip that the figures `without_last_4_s` leave out."""
RISE = 0.03
FIRST_MS, LAST_MS = 200, 1000
FAST, SLOW = (1.5, 4.0), 0.5
DRAWS = 999
SMILES = ("smile", "laugh")
KINDS = (*SMILES, "slight", "talk")

BARS: dict[str, tuple[float, float]] = {
    "episodes": (0.70, np.inf),
    "calm": (-np.inf, 0.15),
    "smile_gain": (0.35, np.inf),
    "talk_gain": (-np.inf, 0.10),
    "p": (-np.inf, 0.05),
    "blink": (-np.inf, 0.15),
    "gaze_x": (-np.inf, 0.15),
    "yaw": (-np.inf, 0.15),
    "jaw_open": (-np.inf, 0.15),
    "mouth_width": (-np.inf, 0.15),
    "own": (0.2, 0.8),
    "with_over_without": (3.0, np.inf),
    "fast_over_slow": (-np.inf, 0.5),
}
"""Least and most of each figure. `p`, `own` and the figures after it are of the smile. `jaw_open` and `mouth_width` are
gains where the user speaks, `blink`, `gaze_x` and `yaw` gains over whole clips: a listener mirrors none of the five."""


class Episode(NamedTuple):
    """Frames [start, end) of a clip and what the user does there, one of KINDS."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class Clip:
    """A user and s answers.

    Attributes:
      name: the clip's name.
      user: `[t, c]` the user's motion, columns as CHANNELS.
      avatar: `[s, t, c]` the avatar's motion from s >= 2 seeds.
      alone: `[s, t, c]` the avatar's motion from the same seeds without the user.
      speech: bool `[t]`, whether the user's voice is heard.
      episodes: what was seen by eye; None for a clip that nobody has looked at.
    """

    name: str
    user: np.ndarray
    avatar: np.ndarray
    alone: np.ndarray
    speech: np.ndarray
    episodes: tuple[Episode, ...] | None = None

    @property
    def frames(self) -> int:
        """Number of frames t."""
        return len(self.user)

    def pair(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A channel of the user and the seeds' mean of it, `[t]` each."""
        return self.user[:, CHANNELS.index(name)], self.avatar[:, :, CHANNELS.index(name)].mean(axis=0)

    def marked(self, kinds: Sequence[str], around: int = 0) -> np.ndarray:
        """Bool `[t]`: frames of episodes of these kinds, and `around` frames before and after each."""
        inside = np.zeros(self.frames, bool)
        for each in self.episodes or ():
            if each.kind in kinds:
                inside[max(each.start - around, 0) : each.end + around] = True
        return inside

    def until(self, frames: int) -> "Clip":
        """The clip's first `frames` frames."""
        return replace(
            self,
            user=self.user[:frames],
            avatar=self.avatar[:, :frames],
            alone=self.alone[:, :frames],
            speech=self.speech[:frames],
            episodes=None if self.episodes is None else tuple(e for e in self.episodes if e.start < frames),
        )


def gain_terms(user: np.ndarray, avatar: np.ndarray, where: np.ndarray | None = None, lag: int = LAG) -> np.ndarray:
    """Numerator and denominator `[2]` of the gain over the frames `where`, bool `[t]`; 0, 0 where there are none."""
    u, a = user[: len(user) - lag], avatar[lag:]
    if where is not None:
        u, a = u[where[: len(u)]], a[where[: len(u)]]
    if len(u) < 2:
        return np.zeros(2)
    u = u - u.mean()
    return np.array([u @ (a - a.mean()), u @ u])


def segment_gain_terms(clip: Clip, where: np.ndarray) -> np.ndarray:
    """`gain_terms` of the smile, added up over the stretches of a bool `[t]`, each with means of its own."""
    edges = np.flatnonzero(np.diff(np.pad(where.astype(np.int8), 1))).reshape(-1, 2)
    stretches = (np.arange(clip.frames)[None] >= edges[:, :1]) & (np.arange(clip.frames)[None] < edges[:, 1:])
    return sum((gain_terms(*clip.pair("smile"), each) for each in stretches), np.zeros(2))


def circular_shift_terms(user: np.ndarray, avatar: np.ndarray, lag: int = LAG) -> np.ndarray:
    """Surrogates of the null: `gain_terms` `[t, 2]` of the user's track shifted circularly by 0 .. t - 1 frames."""
    frames, used = len(user), len(user) - lag
    u, a, ones = user - user.mean(), np.zeros(frames), np.zeros(frames)
    a[:used], ones[:used] = avatar[lag:] - avatar[lag:].mean(), 1.0

    def against(fixed, turned):
        return np.fft.irfft(np.fft.rfft(fixed) * np.conj(np.fft.rfft(turned)), frames)

    square = against(ones, u**2) - against(ones, u) ** 2 / used
    return np.stack([against(a, u), np.maximum(square, 0.0)], axis=1)


def null(clips: Sequence[Clip], name: str) -> list[np.ndarray]:
    """Sums `[n, 2]` under the null, per clip; n may be 0."""
    users = [clip.pair(name)[0] for clip in clips]
    found = []
    for n, clip in enumerate(clips):
        user, avatar = clip.pair(name)
        own = circular_shift_terms(user, avatar)[SHIFT : clip.frames - SHIFT + 1]
        others = [circular_shift_terms(np.resize(u, clip.frames), avatar) for m, u in enumerate(users) if m != n]
        found.append(np.concatenate([own, *others]))
    return found


def gains(clips: Sequence[Clip], name: str, seed: int = 0) -> dict[str, Any]:
    """Figures of a channel over whole clips: `gain` with its interval, `raw`, `null`, `p`, and those of each clip."""
    real = np.stack([gain_terms(*clip.pair(name)) for clip in clips])
    chance = null(clips, name)
    middle = np.stack([each.mean(axis=0) if len(each) else np.full(2, np.nan) for each in chance])
    known = np.isfinite(middle).all()
    each = [
        {"raw": _over(*r), "null": _over(*m), "gain": _over(*r) - _over(*m)} for r, m in zip(real, middle, strict=True)
    ]
    values = np.concatenate([real, middle], axis=1) if known else real
    statistic = (lambda v: _over(v[:, 0], v[:, 1]) - _over(v[:, 2], v[:, 3])) if known else _ratio
    raw, p = _over(*real.sum(axis=0)), None
    if known and np.isfinite(raw):
        rng = np.random.default_rng(seed)
        drawn = sum(rows[rng.integers(len(rows), size=DRAWS)] for rows in chance)
        p = (1 + int(np.sum(_ratio(drawn) >= raw))) / (1 + DRAWS)
    return {
        "gain": _interval(values, statistic),
        "raw": raw,
        "null": _over(*middle.sum(axis=0)) if known else None,
        "p": p,
        "clips": dict(zip((clip.name for clip in clips), each, strict=True)),
    }


def rises(avatar: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """How far a track `[t]` rises within 200 to 1000 ms after each of `frames`, a second or more before its end."""
    first, last = FIRST_MS * FPS // 1000, LAST_MS * FPS // 1000
    frames = np.asarray(frames, int)[:, None]
    return avatar[frames + np.arange(first, last + 1)].max(axis=1) - avatar[frames + np.arange(first)].mean(axis=1)


def answered(clips: Sequence[Clip]) -> tuple[list[dict[str, Any]], np.ndarray, np.ndarray]:
    """Every episode with its rise, then counts per clip `[n, 2]` (answered, all) of episodes and of calm frames.

    Episodes and frames in the last second of a clip are left out: their answer is not seen.
    """
    seen, counts, calm = [], np.zeros((len(clips), 2)), np.zeros((len(clips), 2))
    for n, clip in enumerate(clips):
        if clip.episodes is None:
            continue
        smile = clip.pair("smile")[1]
        room = clip.frames - LAST_MS * FPS // 1000
        told = [each for each in clip.episodes if each.kind in SMILES and each.start < room]
        up = rises(smile, [each.start for each in told])
        for each, rise in zip(told, up, strict=True):
            seen.append({"clip": clip.name, "second": each.start / FPS, "kind": each.kind, "rise": float(rise)})
        counts[n] = np.sum(up >= RISE), len(up)
        still = np.flatnonzero(~clip.marked((*SMILES, "slight"), FPS)[: max(room, 0)])
        calm[n] = np.sum(rises(smile, still) >= RISE), len(still)
    return seen, counts, calm


def variances(clips: Sequence[Clip], name: str) -> np.ndarray:
    """Variances along time per clip `[n, 3]`: mean over seeds, of the seeds' mean, of that mean without the user."""
    at = CHANNELS.index(name)
    return np.array([
        (
            clip.avatar[..., at].var(axis=1).mean(),
            clip.avatar[..., at].mean(axis=0).var(),
            clip.alone[..., at].mean(axis=0).var(),
        )
        for clip in clips
    ])  # fmt: skip


def band_gain_terms(clips: Sequence[Clip], name: str) -> np.ndarray:
    """Gain terms per clip `[n, 1 + lags, 2]`: of the band SLOW at LAG, then of the band FAST at lags of 0 to 1 s."""
    from scipy.signal import butter, sosfiltfilt

    slow, fast = butter(3, SLOW, fs=FPS, output="sos"), butter(3, FAST, "bandpass", fs=FPS, output="sos")
    found = []
    for clip in clips:
        pair = [track - track.mean() for track in clip.pair(name)]
        low, high = ([sosfiltfilt(band, track) for track in pair] for band in (slow, fast))
        found.append([gain_terms(*low), *(gain_terms(*high, lag=lag) for lag in range(FPS + 1))])
    return np.array(found)


def measure(clips: Sequence[Clip]) -> dict[str, Any]:
    """All figures: `figures` of BARS with intervals over clips, `channels` by name, `episodes` one by one, `clips`.

    An estimate is `{"mean", "low", "high", "n"}` (`bootstrap.interval`), without an interval for a single clip. Figures
    that could not be measured are None: of episodes without labels, of the null without another clip or 8 s. Raises
    ValueError where clips have fewer than 2 seeds or differ in their number.
    """
    seeds = {len(clip.avatar) for clip in clips}
    if len(seeds) != 1 or min(seeds) < 2:
        raise ValueError(f"clips need the same number of seeds, at least 2, got {sorted(seeds)}")
    channels = {name: _channel(clips, name, len(clips[0].avatar)) for name in CHANNELS}
    short = [clip.until(clip.frames - LAST) if clip.frames >= SHIFT + 2 * LAST else clip for clip in clips]
    cut = {name: gains(short, name)["clips"] for name in CHANNELS}
    seen, counts, calm = answered(clips)
    smiling = [segment_gain_terms(clip, clip.marked(SMILES, FPS)) for clip in clips]
    talking = [segment_gain_terms(clip, clip.marked(("talk",))) for clip in clips]
    smile = channels["smile"]
    figures = {
        "episodes": _interval(counts, _ratio),
        "calm": _interval(calm, _ratio),
        "smile_gain": _interval(np.array(smiling), _ratio),
        "talk_gain": _interval(np.array(talking), _ratio),
        "p": {**bootstrap.EMPTY, "mean": smile["p"], "n": len(clips)},
        **{name: channels[name]["gain"] for name in ("blink", "gaze_x", "yaw")},
        **{
            name: _interval(np.array([gain_terms(*clip.pair(name), clip.speech) for clip in clips]), _ratio)
            for name in ("jaw_open", "mouth_width")
        },
        **{name: smile[name] for name in ("own", "with_over_without", "fast_over_slow")},
    }
    by_clip = {
        clip.name: {
            "seconds": clip.frames / FPS,
            "gains": {name: channels[name]["clips"][clip.name] for name in CHANNELS},
            "without_last_4_s": {name: cut[name][clip.name] for name in CHANNELS} if less is not clip else None,
        }
        for clip, less in zip(clips, short, strict=True)
    }
    for each in channels.values():
        del each["clips"]
    return {"lag_frames": LAG, "figures": figures, "channels": channels, "episodes": seen, "clips": by_clip}


def _channel(clips: Sequence[Clip], name: str, seeds: int) -> dict[str, Any]:
    spread = variances(clips, name)
    bands = band_gain_terms(clips, name)

    def own(v):
        share = _over(v[:, 1], v[:, 0])
        return (1 - share) * seeds / (seeds - 1)

    def faster(v):
        slow, fast = _ratio(v[:, 0]), _ratio(v[:, 1:]).max(axis=1)
        return _over(fast, np.where(slow > 0, slow, 0.0))

    deviation = np.sqrt(spread.mean(axis=0))
    return {
        **gains(clips, name),
        "own": _interval(spread, own),
        "with_over_without": _interval(spread, lambda v: np.sqrt(_over(v[:, 1], v[:, 2]))),
        "deviation": {"seed": deviation[0], "mean": deviation[1], "mean_without_user": deviation[2]},
        "fast_over_slow": _interval(bands, faster),
    }


def verdicts(figures: dict[str, bootstrap.Estimate]) -> dict[str, bool | None]:
    """Whether each figure of BARS is within its bar; None where it was not measured."""
    return {
        name: None if figures[name]["mean"] is None else bool(low <= figures[name]["mean"] <= high)
        for name, (low, high) in BARS.items()
    }


def _over(a, b):
    """a / b, nan where b is not above 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    found = np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b > 1e-12)
    return found if found.ndim else float(found)


def _ratio(v: np.ndarray) -> np.ndarray:
    return _over(v[..., 0], v[..., 1])


def _interval(values: np.ndarray, statistic) -> bootstrap.Estimate:
    if statistic is _ratio:  # clips with nothing to divide by are left out
        values = np.where(values[:, 1:] > 0, values, np.nan)
    found = bootstrap.interval(values, statistic=statistic)
    return found if found["n"] > 1 else {**found, "low": None, "high": None}
