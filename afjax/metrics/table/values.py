"""Values per clip of every metric of a row, and the statistics that make figures of them.

A figure is a statistic of a mean over clips (`metrics.bootstrap`); `of_motion` gives the values and the statistic, so
that the same values serve the figure, its interval and the test against another row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from afjax.codec.face.channels import channel
from afjax.errors import InputError
from afjax.metrics import (
    bootstrap,
    event_auc,
    event_slope,
    events,
    frechet,
    granger,
    lipsync,
    reactiveness,
    richness,
    smoothness,
)
from afjax.metrics.long import drift

EventFrames = Mapping[str, np.ndarray]
"""Frames of the user's events in one clip, by kind (`metrics.events.EVENTS`)."""

EVENT_GROUPS = {**{kind: (kind,) for kind in events.EVENTS}, "voice_only": events.VOICE_ONLY}
"""Kinds of events by figure: each kind alone, and together those that the face does not show."""

GROUPS = ("expression", "pose")
WHOLE = "motion"
"""The one group of a codec whose channels have no names."""


@dataclass(frozen=True)
class ChannelGroups:
    """Channels of a codec by meaning: names of the two groups, of the smile and of the mouth's opening.

    An empty name or group is one that the codec does not have; tables then lack its figures. Without both groups all
    channels are one group, `motion`.
    """

    expression: tuple[str, ...]
    pose: tuple[str, ...]
    smile: str = "smile"
    mouth: str = "jaw_open"


@dataclass(frozen=True)
class MetricValues:
    """Values `[n, ...]`, one entry per clip, and the statistic of their mean; see `bootstrap.interval`.

    `count`: the figure's n where it does not count clips but, say, events.
    """

    values: np.ndarray
    statistic: Callable[[np.ndarray], np.ndarray] | None = None
    centred: bool = False
    folded: bool = False
    count: int | None = None

    def estimate(self, seed: int, groups: np.ndarray) -> bootstrap.Estimate:
        """The figure and its interval; `groups` `[n]`: clips that share people."""
        found = bootstrap.interval(
            self.values, seed, self.statistic, centred=self.centred, folded=self.folded, groups=groups
        )
        return found if self.count is None else found | {"n": self.count}

    def p_value(self, other: "MetricValues", seed: int, groups: np.ndarray) -> float | None:
        """p-value of the hypothesis that two rows, the same clips in the same order, differ by chance only."""
        return bootstrap.permutation_test(self.values, other.values, seed, self._judged, groups=groups)

    @property
    def _judged(self):
        return (lambda means: np.abs(self.statistic(means))) if self.folded else self.statistic


@dataclass(frozen=True)
class Reference:
    """What all rows are measured with, fitted on the recorded motion in units of its standard deviations."""

    arrays: dict[str, np.ndarray]
    scale: np.ndarray
    index: dict[str, np.ndarray | int]
    centres: dict[str, np.ndarray]
    halves: np.ndarray
    block: int
    fps: float
    dependence: granger.Projections | None


def reference(
    arrays: dict[str, np.ndarray], channel_groups: ChannelGroups, block: int, fps: float = 25.0, seed: int = 0
) -> Reference:
    """Fits scales, clusters and projections on the recorded motion of checked arrays (see `report.evaluate`).

    Raises:
      InputError: a channel of the vocabulary is not among the arrays' channels.
    """
    names = [str(name) for name in arrays["channels"]]
    wanted = {*channel_groups.expression, *channel_groups.pose, channel_groups.smile, channel_groups.mouth} - {""}
    if missing := sorted(wanted - set(names)):
        raise InputError(f"no channel named {', '.join(missing)}", "evaluation", "there are: " + ", ".join(names))
    chosen = {group: getattr(channel_groups, group) for group in GROUPS}
    chosen = {group: members for group, members in chosen.items() if members} or {WHOLE: names}
    index = {group: np.array([names.index(name) for name in members]) for group, members in chosen.items()}
    index |= {what: names.index(name) for what in ("smile", "mouth") if (name := getattr(channel_groups, what))}
    scale = richness.scale(arrays["recorded"])
    clusters = {"pose": richness.POSE_CLUSTERS}
    scaled = arrays["recorded"] / scale
    centres = {
        group: richness.fit_clusters(scaled[..., index[group]], clusters.get(group, richness.EXPRESSION_CLUSTERS), seed)
        for group in chosen
    }
    dependence = None
    if {"user_features", "avatar_features", "user_speaking"} <= set(arrays):
        dependence = granger.fit(
            arrays["recorded"],
            arrays["avatar_features"],
            arrays["user"],
            arrays["user_features"],
            granger.listening(arrays["avatar_speaking"], arrays["user_speaking"]),
            groups=arrays["group"],
            seed=seed,
        )
    halves = frechet.halves(arrays["group"], seed=seed)
    return Reference(arrays, scale, index, centres, halves, block, fps, dependence)


def of_motion(motion: np.ndarray, watched: np.ndarray, ref: Reference) -> dict[str, MetricValues]:
    """Every metric that needs no events.

    Args:
      motion: the row's avatar `[n, t, d]`, raw units.
      watched: `[n]`, the clip whose user each avatar is measured against.
      ref: from `reference`.
    """
    arrays, user = ref.arrays, ref.arrays["user"][watched]
    motion = np.asarray(motion, np.float64)
    scaled, scaled_recorded = motion / ref.scale, arrays["recorded"] / ref.scale
    figures = {"constant_tracks": MetricValues(reactiveness.constant_tracks(motion))}
    figures |= _reactions(motion, user, ref) | _lips(motion, ref)
    figures |= _distances(scaled, scaled_recorded, user / ref.scale, arrays["user"] / ref.scale, ref)

    figures["variance"] = MetricValues(richness.variance(scaled))
    entropies = {}
    for group in ref.centres:
        part = scaled[..., ref.index[group]]
        entropies[group] = richness.sid(part, ref.centres[group])
        if group != WHOLE:
            figures[f"variance_{group}"] = MetricValues(richness.variance(part))
            figures[f"sid_{group}"] = MetricValues(entropies[group])
    figures["sid"] = MetricValues(np.mean(list(entropies.values()), axis=0))
    shaken, still = (smoothness.shake(m, ref.block) for m in (scaled, scaled_recorded))
    for name, ours, theirs in zip(("jitter_inside", "jitter_boundary"), shaken, still, strict=True):
        figures[name] = MetricValues(np.stack([ours, theirs], axis=1), bootstrap.ratio)
    if ref.dependence is not None:
        errors = granger.errors(ref.dependence, motion, arrays["user"][watched], arrays["user_features"][watched])
        figures["rdgg_speech"] = MetricValues(errors, granger.speech_gain)
        figures["rdgg_motion"] = MetricValues(errors, granger.motion_gain)
    return figures


def _reactions(motion: np.ndarray, user: np.ndarray, ref: Reference) -> dict[str, MetricValues]:
    recorded, own_user, index = ref.arrays["recorded"], ref.arrays["user"], ref.index
    figures = {}
    tracks = {"smile": np.array([index["smile"]])} if "smile" in index else {}
    tracks |= {group: index[group] for group in ref.centres}
    for name, channels in tracks.items():
        curves = reactiveness.group_curve(user[..., channels], motion[..., channels])
        recorded_curves = reactiveness.group_curve(own_user[..., channels], recorded[..., channels])
        pair = np.stack([curves, recorded_curves], axis=1)
        if name != "smile":
            figures[f"rpcc_{name}"] = MetricValues(np.abs(curves[:, 0] - recorded_curves[:, 0]))
            figures[f"rpcc_corpus_{name}"] = MetricValues(pair[..., 0], reactiveness.corpus_difference, folded=True)
            figures[f"rpcc_lag_{name}"] = MetricValues(pair, reactiveness.peak_difference)
        if name != "expression":
            figures[f"response_peak_{name}"] = MetricValues(curves, reactiveness.peak)
            figures[f"response_lag_ms_{name}"] = MetricValues(curves, _milliseconds(reactiveness.peak_lag, ref.fps))
        if name == "smile":
            figures["response_share_smile"] = MetricValues(pair, reactiveness.peak_share)
    return figures


def _lips(motion: np.ndarray, ref: Reference) -> dict[str, MetricValues]:
    mouth, figures = ref.index.get("mouth"), {}
    if mouth is None:
        return figures
    targets = {"lip": ref.arrays["recorded"][..., mouth]}
    if "avatar_envelope" in ref.arrays:
        targets["lip_envelope"] = ref.arrays["avatar_envelope"]
    for name, target in targets.items():
        curves = lipsync.curve(motion[..., mouth], target, ref.arrays["avatar_speaking"])
        figures[f"{name}_corr"] = MetricValues(lipsync.corr(curves))
        figures[f"{name}_lag_ms"] = MetricValues(curves, _milliseconds(lipsync.lag, ref.fps))
    return figures


def _distances(scaled, scaled_recorded, user, own_user, ref: Reference) -> dict[str, MetricValues]:
    """Fréchet distances of frames (`fd`; `fd_split` from other conversations), of pairs of user and avatar frames
    (`pfd`), and the drift of the frames' distance over time."""
    figures = {}
    parts = {"": np.arange(scaled.shape[-1])} | {f"_{group}": ref.index[group] for group in ref.centres}
    for suffix, channels in parts.items():
        if suffix != f"_{WHOLE}":
            pairs = [frechet.moments(motion[..., channels]) for motion in (scaled, scaled_recorded)]
            figures[f"fd{suffix}"] = MetricValues(np.stack(pairs, axis=1), frechet.pooled_distance, centred=True)
            others = frechet.split_moments(*pairs, ref.halves)
            figures[f"fd_split{suffix}"] = MetricValues(others, frechet.split_distance, centred=True)
        if suffix:
            pairs = [
                frechet.moments(np.concatenate([x[..., channels], y[..., channels]], axis=-1))
                for x, y in ((user, scaled), (own_user, scaled_recorded))
            ]
            figures[f"pfd{suffix}"] = MetricValues(np.stack(pairs, axis=1), frechet.pooled_distance, centred=True)
    windows = drift.window_moments(scaled, scaled_recorded, ref.fps)
    if windows is not None:
        figures["drift_fd_per_min"] = MetricValues(windows, drift.distance_slope)
    return figures


def _milliseconds(statistic, fps: float):
    return lambda means: statistic(means) * (1000.0 / fps)


def of_events(
    motion: np.ndarray, clips: Sequence[EventFrames], own: Sequence[EventFrames], ref: Reference
) -> dict[str, MetricValues]:
    """Responses and average answers to the events of the watched user; n counts events.

    Args:
      motion: the row's avatar `[n, t, d]` of the `face` codec, raw units.
      clips: events of the user whom each avatar is measured against; own: those of the recorded avatar's user.
      ref: from `reference`, of the same codec.
    """

    def pooled(means):
        return events.event_response({str(kind): means[:, kind, None] for kind in range(means.shape[1])})

    def by_kind(function, tracks, causes):
        pairs = list(zip(tracks, causes, strict=True))
        return {kind: [function(track, clip.get(kind, ()), kind) for track, clip in pairs] for kind in events.EVENTS}

    counts = by_kind(events.event_counts, motion, clips)
    ours, theirs = (by_kind(event_slope.sums, *of) for of in ((motion, clips), (ref.arrays["recorded"], own)))
    bounds = {kind: event_auc.edges(ref.arrays["recorded"], kind) for kind in events.EVENTS}
    strengths = by_kind(
        lambda track, frames, kind: event_auc.histograms(track, frames, kind, bounds[kind]), motion, clips
    )
    figures = {}
    for name, kinds in EVENT_GROUPS.items():
        values = np.stack([counts[kind] for kind in kinds], axis=1)
        figures[f"event_response_{name}"] = MetricValues(values, pooled, count=int(values[..., 1].sum()))
        scale = ref.scale[[channel(events.EVENTS[kind].channel) for kind in kinds]]
        pairs = [
            event_slope.pair([ours[kind][clip] for kind in kinds], [theirs[kind][clip] for kind in kinds], scale)
            for clip in range(len(motion))
        ]
        answered = int(sum(pair[0, :, -1].sum() for pair in pairs))
        for metric, statistic in (("slope", event_slope.slope), ("corr", event_slope.correlation)):
            figures[f"event_{metric}_{name}"] = MetricValues(np.array(pairs), statistic, count=answered)
        drawn = np.stack([strengths[kind] for kind in kinds], axis=1)
        figures[f"event_auc_{name}"] = MetricValues(drawn, event_auc.area, count=int(values[..., 1].sum()))
    return figures
