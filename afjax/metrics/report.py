"""The metric table: every row, every metric, each with its 95 % interval over clips.

A row is a motion played by the avatar and the user whom it is measured against. `shuffled` is the recorded avatar
against another clip's user, `model_shuffled` the model's; a metric that cannot tell `recorded` from `shuffled` is no
evidence on the data at hand. docs/evaluation.md explains the metrics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from afjax.errors import InputError
from afjax.metrics import bootstrap, events, frechet, lipsync, reactiveness, richness, smoothness

Table = dict[str, dict[str, bootstrap.Estimate]]
EventFrames = Mapping[str, np.ndarray]
"""Of one clip: frames of the user's events by kind (`metrics.events.EVENTS`)."""

EVENT_METRICS = {
    "event_response_smile": ("smile",),
    "event_response_nod": ("nod",),
    "event_response_voice_only": events.VOICE_ONLY,
    "event_response_interruption": ("interruption",),
}

SYSTEMS = ("oracle", "model", "model_user_dropped", "model_user_motion_dropped", "model_user_audio_dropped")

ROWS = {
    "recorded": "The recorded avatar: what every figure of a model is judged against.",
    "oracle": "The simulator run again with the same user and other private noise: the best that can be hoped for.",
    "shuffled": "The recorded avatar against another clip's user: what chance gives.",
    "frozen": "The reference face, held still.",
    "model": "The trained model.",
    "model_shuffled": "The model against another clip's user: what chance gives.",
    "model_user_dropped": "The model without the user's face and voice.",
    "model_user_motion_dropped": "The model without the user's face.",
    "model_user_audio_dropped": "The model without the user's voice.",
}


@dataclass(frozen=True)
class Metric:
    """How a figure is to be read: `better` is "low", "high" or "recorded" (near the recorded row's)."""

    line: str
    unit: str
    better: str


METRICS = {
    "rpcc_expression": Metric("Distance of the correlation with the user's face from the recorded one.", "", "low"),
    "rpcc_pose": Metric("The same for the head's pose.", "", "low"),
    "response_peak_smile": Metric("Highest correlation of the avatar's smile with the user's.", "", "recorded"),
    "response_share_smile": Metric("That peak as a share of the recorded avatar's.", "", "recorded"),
    "response_lag_ms_smile": Metric("How late the avatar's smile is at that peak.", "ms", "recorded"),
    "event_response_smile": Metric("Chance of a reaction to a smile, above that at random times.", "", "recorded"),
    "event_response_nod": Metric("The same for a nod at what the user stresses.", "", "recorded"),
    "event_response_voice_only": Metric("The same for what only the user's voice shows.", "", "recorded"),
    "event_response_interruption": Metric("The same when the user breaks in.", "", "recorded"),
    "lip_corr": Metric("Correlation with the recorded mouth while the avatar speaks.", "", "high"),
    "lip_lag_ms": Metric("How late the mouth is.", "ms", "recorded"),
    "lip_envelope_corr": Metric("Correlation of the mouth with the loudness of the speech.", "", "recorded"),
    "lip_envelope_lag_ms": Metric("How late the mouth is against the loudness.", "ms", "recorded"),
    "variance": Metric("How much the face moves, in recorded variances.", "", "recorded"),
    "sid": Metric("How many different faces and poses a clip shows.", "bits", "recorded"),
    "sid_expression": Metric("The expression's part of it.", "bits", "recorded"),
    "sid_pose": Metric("The pose's part of it.", "bits", "recorded"),
    "fd": Metric("Distance between the distributions of generated and recorded frames.", "", "low"),
    "jitter_inside": Metric("Shaking inside blocks, recorded = 1.", "", "recorded"),
    "jitter_boundary": Metric("Shaking where blocks meet, recorded = 1.", "", "recorded"),
    "constant_tracks": Metric("Share of channels that stand still for a clip; they correlate 0.", "", "recorded"),
}


@dataclass(frozen=True)
class Vocabulary:
    """What the channels of a codec mean: names of the two groups, of the smile and of the mouth's opening."""

    expression: tuple[str, ...]
    pose: tuple[str, ...]
    smile: str = "smile"
    mouth: str = "jaw_open"


@dataclass(frozen=True)
class _Reference:
    """What all rows are measured with, from the recorded motion; motion in recorded standard deviations."""

    arrays: dict[str, np.ndarray]
    scale: np.ndarray
    index: dict[str, np.ndarray | int]
    centres: dict[str, np.ndarray]
    block: int
    frame_ms: float
    seed: int


def evaluate(
    arrays: Mapping[str, np.ndarray],
    vocabulary: Vocabulary,
    *,
    block: int,
    clip_events: Sequence[EventFrames] | None = None,
    rest: np.ndarray | None = None,
    fps: float = 25.0,
    seed: int = 0,
) -> Table:
    """`{ROW: {METRIC: {"mean", "low", "high", "n"}}}`; an undefined figure is None.

    Args:
      arrays: `user`, `recorded` and any of SYSTEMS, motion `[n, T, D]`; `partner` int `[n]`, the other
        clip whose user is the shuffled rows'; `channels` str `[D]`; `avatar_speaking` bool `[n, T]`; and, for
        the `lip_envelope` metrics, `avatar_envelope` `[n, T]`, the loudness of the avatar's speech.
      vocabulary: which channels are what.
      block: frames a block, for jitter.
      clip_events: the user's events of every clip; None, or a codec other than `face`, has no event metrics.
      rest: motion of the reference face `[D]`; zeros if None.
      fps: frames a second.
      seed: of clusters and intervals.

    Raises:
      InputError: an array is missing, has another shape, or is not finite.
    """
    arrays = _checked(arrays)
    recorded, user, partner = arrays["recorded"], arrays["user"], arrays["partner"]
    reference = _reference(arrays, vocabulary, block, 1000.0 / fps, seed)
    same = np.arange(len(recorded))
    if clip_events is not None and len(clip_events) != len(recorded):
        raise InputError(f"{len(clip_events)} lists of events for {len(recorded)} clips", "evaluation")
    rest = np.zeros(recorded.shape[-1]) if rest is None else np.asarray(rest)
    rows = {"recorded": (recorded, same), "shuffled": (recorded, partner)}
    rows["frozen"] = (np.broadcast_to(rest, recorded.shape), same)
    rows.update({name: (arrays[name], same) for name in SYSTEMS if name in arrays})
    if "model" in arrays:
        rows["model_shuffled"] = (arrays["model"], partner)
    table = {}
    for row in ROWS:
        if row in rows:
            motion, watched = rows[row]
            figures = _row(motion, user[watched], reference)
            if clip_events is not None:
                figures |= _event_figures(motion, [clip_events[clip] for clip in watched], seed)
            table[row] = figures
    return table


def _event_figures(motion: np.ndarray, clips: Sequence[EventFrames], seed: int) -> dict[str, bootstrap.Estimate]:
    def pooled(means):
        return events.event_response({str(kind): means[:, kind, None] for kind in range(means.shape[1])})

    figures = {}
    for name, kinds in EVENT_METRICS.items():
        pairs = zip(motion, clips, strict=True)
        counts = [[events.event_counts(track, clip.get(kind, ()), kind) for kind in kinds] for track, clip in pairs]
        figures[name] = bootstrap.interval(np.array(counts), seed, pooled)
    return figures


def _checked(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    needed = ("user", "recorded", "partner", "channels", "avatar_speaking")
    if missing := [name for name in needed if name not in arrays]:
        raise InputError(f"no array named {', '.join(missing)}", "evaluation", "needed: " + ", ".join(needed))
    shape = arrays["recorded"].shape
    if len(shape) != 3 or shape[0] < 2 or shape[1] < 4:
        raise InputError(f"recorded motion must be [n, T, D], at least 2 clips of 4 frames, not {shape}", "evaluation")
    expected = {"partner": shape[:1], "channels": shape[2:], "avatar_speaking": shape[:2], "avatar_envelope": shape[:2]}
    for name in ("user", "recorded", *SYSTEMS, *expected):
        if name not in arrays:
            continue
        if arrays[name].shape != expected.get(name, shape):
            raise InputError(f"{name} has shape {arrays[name].shape}, not {expected.get(name, shape)}", "evaluation")
        if arrays[name].dtype.kind == "f" and not np.isfinite(arrays[name]).all():
            raise InputError(f"{name} has values that are not finite numbers", "evaluation")
    same = np.arange(shape[0])
    if not np.isin(arrays["partner"], same).all() or (arrays["partner"] == same).any():
        raise InputError("partner must name another clip for every clip", "evaluation")
    return arrays


def _reference(arrays, vocabulary: Vocabulary, block: int, frame_ms: float, seed: int) -> _Reference:
    names = [str(name) for name in arrays["channels"]]
    wanted = {*vocabulary.expression, *vocabulary.pose, vocabulary.smile, vocabulary.mouth}
    if missing := sorted(wanted - set(names)):
        raise InputError(f"no channel named {', '.join(missing)}", "evaluation", "there are: " + ", ".join(names))
    index = {
        "expression": np.array([names.index(name) for name in vocabulary.expression]),
        "pose": np.array([names.index(name) for name in vocabulary.pose]),
        "smile": names.index(vocabulary.smile),
        "mouth": names.index(vocabulary.mouth),
    }
    scale = richness.scale(arrays["recorded"])
    clusters = {"expression": richness.EXPRESSION_CLUSTERS, "pose": richness.POSE_CLUSTERS}
    scaled = arrays["recorded"] / scale
    centres = {group: richness.fit_clusters(scaled[..., index[group]], k, seed) for group, k in clusters.items()}
    return _Reference(arrays, scale, index, centres, block, frame_ms, seed)


def _row(motion: np.ndarray, user: np.ndarray, reference: _Reference) -> dict[str, bootstrap.Estimate]:
    arrays, index, seed = reference.arrays, reference.index, reference.seed
    recorded = arrays["recorded"]
    motion, scaled = np.asarray(motion, np.float64), motion / reference.scale
    scaled_recorded = recorded / reference.scale

    def frames_to_ms(statistic):
        return lambda means: statistic(means) * reference.frame_ms

    figures = {}
    for group in ("expression", "pose"):
        own, other = (
            reactiveness.pcc(a[..., index[group]], b[..., index[group]])
            for a, b in ((recorded, arrays["user"]), (motion, user))
        )
        figures[f"rpcc_{group}"] = bootstrap.interval(reactiveness.rpcc_of(own, other), seed)
    figures["constant_tracks"] = bootstrap.interval(reactiveness.constant_tracks(motion), seed)

    smile = index["smile"]
    curves = reactiveness.response_curve(user[..., smile], motion[..., smile])
    life = reactiveness.response_curve(arrays["user"][..., smile], recorded[..., smile])
    figures["response_peak_smile"] = bootstrap.interval(curves, seed, reactiveness.peak)
    figures["response_share_smile"] = bootstrap.interval(np.stack([curves, life], 1), seed, reactiveness.peak_share)
    figures["response_lag_ms_smile"] = bootstrap.interval(curves, seed, frames_to_ms(reactiveness.peak_lag))

    targets = {"lip": recorded[..., index["mouth"]]}
    if "avatar_envelope" in arrays:
        targets["lip_envelope"] = arrays["avatar_envelope"]
    for name, target in targets.items():
        curves = lipsync.curve(motion[..., index["mouth"]], target, arrays["avatar_speaking"])
        figures[f"{name}_corr"] = bootstrap.interval(lipsync.corr(curves), seed)
        figures[f"{name}_lag_ms"] = bootstrap.interval(curves, seed, frames_to_ms(lipsync.lag))

    figures["variance"] = bootstrap.interval(richness.variance(scaled), seed)
    groups = [richness.sid(scaled[..., index[group]], reference.centres[group]) for group in ("expression", "pose")]
    figures["sid"] = bootstrap.interval(np.mean(groups, axis=0), seed)
    figures["sid_expression"], figures["sid_pose"] = (bootstrap.interval(group, seed) for group in groups)
    pairs = np.stack([frechet.moments(scaled), frechet.moments(scaled_recorded)], axis=1)
    figures["fd"] = bootstrap.interval(pairs, seed, frechet.pooled_distance, centred=True)
    shaken, still = (smoothness.shake(m, reference.block) for m in (scaled, scaled_recorded))
    for name, ours, theirs in zip(("jitter_inside", "jitter_boundary"), shaken, still, strict=True):
        figures[name] = bootstrap.interval(np.stack([ours, theirs], axis=1), seed, bootstrap.ratio)
    return figures


_REACTIVE = ("rpcc_", "response_peak_", "response_share_", "event_response_")


def blind(table: Table) -> list[str]:
    """Metrics of reaction whose intervals for `recorded` and `shuffled` overlap: no evidence on these clips."""
    found = []
    for name in table["recorded"]:
        own, chance = table["recorded"][name], table["shuffled"][name]
        if not name.startswith(_REACTIVE) or own["mean"] is None or chance["mean"] is None:
            continue
        if own["low"] <= chance["high"] and chance["low"] <= own["high"]:
            found.append(name)
    return found


def text(table: Table, metrics: tuple[str, ...] = tuple(METRICS)) -> str:
    """The table as plain lines, one metric a line, one column a row of the table."""
    rows = list(table)
    present = [name for name in metrics if any(name in table[row] for row in rows)]
    width = max(map(len, present), default=0)
    columns = [max(len(row), 7) for row in rows]
    lines = [" " * width + "".join(f"  {row:>{w}}" for row, w in zip(rows, columns, strict=True))]
    for name in present:
        cells = (number(table[row].get(name, bootstrap.EMPTY)["mean"], METRICS[name].unit) for row in rows)
        lines.append(f"{name:<{width}}" + "".join(f"  {cell:>{w}}" for cell, w in zip(cells, columns, strict=True)))
    return "\n".join(lines)


def number(value: float | None, unit: str = "") -> str:
    """A figure as the tables print it: whole milliseconds, else three decimals; a dash where undefined."""
    if value is None:
        return "-"
    return f"{value:.0f}" if unit == "ms" else f"{value:.3f}"
