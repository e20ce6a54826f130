"""The metric table: every row, every metric, each with its 95 % interval over groups of clips that share people.

A row is a motion played by the avatar and the user whom it is measured against. `shuffled` is the recorded avatar
against somebody else's user (`metrics.groups`), `model_shuffled` the model against somebody else's. A metric that
cannot tell `recorded` from `shuffled` is no evidence on the data at hand. docs/evaluation.md explains the metrics.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from afjax.errors import InputError
from afjax.metrics import bootstrap, groups
from afjax.metrics.table import values
from afjax.metrics.table.values import ChannelGroups, EventFrames

Table = dict[str, dict[str, bootstrap.Estimate]]

__all__ = [
    "METRICS",
    "PRINTED",
    "ROWS",
    "SYSTEMS",
    "Metric",
    "Table",
    "ChannelGroups",
    "not_discriminative",
    "evaluate",
    "number",
    "text",
    "verdict",
]

SYSTEMS = (
    "oracle",
    "talking_only",
    "model",
    "model_user_dropped",
    "model_user_motion_dropped",
    "model_user_audio_dropped",
)

ROWS = {
    "recorded": "The recorded avatar: what every figure of a model is judged against.",
    "oracle": "The simulator run again with the same user and other private noise: the best that can be hoped for.",
    "shuffled": "The recorded avatar against somebody else's user: what chance gives.",
    "frozen": "The reference face, held still.",
    "talking_only": "A model that never sees its user.",
    "model": "The trained model.",
    "model_shuffled": "The model against somebody else's user: what chance gives.",
    "listener": "The model that ships with afjax.",
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


LEVEL = 0.01
"""A metric separates two rows if p is below this."""

_DISTANCE = ("rpcc_", "pfd_")
_REACTIVE = (*_DISTANCE, "response_peak_", "response_share_", "event_", "rdgg_")

_EVENTS = {
    "event_response": "Chance of a reaction to the user's events of the kind {}, above that at random times.",
    "event_slope": "Size of the average answer to {}, in recorded ones.",
    "event_corr": "Likeness of the average answer to {} to the recorded one, whatever its size.",
    "event_auc": "Chance that the second after {} shows a stronger reaction than one without it.",
}

METRICS = {
    "rpcc_expression": Metric("Distance of the correlation with the user's face from the recorded one.", "", "low"),
    "rpcc_pose": Metric("The same for the head's pose.", "", "low"),
    "rpcc_corpus_expression": Metric("Distance of the correlation averaged over clips.", "", "low"),
    "rpcc_corpus_pose": Metric("The same for the head's pose.", "", "low"),
    "rpcc_lag_expression": Metric("Distance of the highest correlation within 2 s from the recorded one.", "", "low"),
    "rpcc_lag_pose": Metric("The same for the head's pose.", "", "low"),
    "response_peak_smile": Metric("Highest correlation of the avatar's smile with the user's.", "", "recorded"),
    "response_share_smile": Metric("That peak as a share of the recorded avatar's.", "", "recorded"),
    "response_lag_ms_smile": Metric("How late the avatar's smile is at that peak.", "ms", "recorded"),
    "response_peak_pose": Metric("Highest correlation of the head's pose with the user's.", "", "recorded"),
    "response_lag_ms_pose": Metric("How late the head is at that peak.", "ms", "recorded"),
    "rpcc_motion": Metric("Both for a codec without names of its channels: all that moves.", "", "low"),
    "rpcc_corpus_motion": Metric("The same for correlations averaged over clips.", "", "low"),
    "rpcc_lag_motion": Metric("The same for the highest correlation within 2 s.", "", "low"),
    "response_peak_motion": Metric("Highest correlation of all that moves with the user's.", "", "recorded"),
    "response_lag_ms_motion": Metric("How late the avatar is at that peak.", "ms", "recorded"),
    "rdgg_speech": Metric("How much the user's voice tells about the listener, beyond all else.", "", "recorded"),
    "rdgg_motion": Metric("The same for the user's face.", "", "recorded"),
    **{
        f"{family}_{name}": Metric(line.format(name.replace("_", " ")), "", "recorded")
        for name in values.EVENT_GROUPS
        for family, line in _EVENTS.items()
    },
    "lip_corr": Metric("Correlation with the recorded mouth while the avatar speaks.", "", "high"),
    "lip_lag_ms": Metric("How late the mouth is.", "ms", "recorded"),
    "lip_envelope_corr": Metric("Correlation of the mouth with the loudness of the speech.", "", "recorded"),
    "lip_envelope_lag_ms": Metric("How late the mouth is against the loudness.", "ms", "recorded"),
    "variance": Metric("How much the face moves, in recorded variances.", "", "recorded"),
    "variance_expression": Metric("The expression's part of it.", "", "recorded"),
    "variance_pose": Metric("The pose's part of it.", "", "recorded"),
    "sid": Metric("How many different faces and poses a clip shows.", "bits", "recorded"),
    "sid_expression": Metric("The expression's part of it.", "bits", "recorded"),
    "sid_pose": Metric("The pose's part of it.", "bits", "recorded"),
    "fd": Metric("Distance between the distributions of generated and recorded frames.", "", "low"),
    "fd_expression": Metric("The same for the expression alone.", "", "low"),
    "fd_pose": Metric("The same for the pose alone.", "", "low"),
    "fd_split": Metric("Distance from the recorded frames of other conversations.", "", "recorded"),
    "fd_split_expression": Metric("The same for the expression alone.", "", "recorded"),
    "fd_split_pose": Metric("The same for the pose alone.", "", "recorded"),
    "pfd_expression": Metric("The same for pairs of user and avatar: expression.", "", "low"),
    "pfd_pose": Metric("The same for pairs of user and avatar: pose.", "", "low"),
    "pfd_motion": Metric("The same for all that moves, of a codec without names of its channels.", "", "low"),
    "drift_fd_per_min": Metric("How fast the motion leaves the recorded distribution, per minute.", "", "recorded"),
    "jitter_inside": Metric("Shaking inside blocks, recorded = 1.", "", "recorded"),
    "jitter_boundary": Metric("Shaking where blocks meet, recorded = 1.", "", "recorded"),
    "constant_tracks": Metric("Share of channels that stand still for a clip; they correlate 0.", "", "recorded"),
}

_SHOWN = ("smile", "nod", "interruption", "voice_only")
_DETAILS = {
    f"{family}_{name}"
    for family in _EVENTS
    for name in values.EVENT_GROUPS
    if family in ("event_corr", "event_auc") or name not in _SHOWN
}
PRINTED = tuple(name for name in METRICS if name not in _DETAILS)
"""Metrics that tables show. The result of `evaluate` also has those of single kinds of events."""


def evaluate(
    arrays: Mapping[str, np.ndarray],
    channel_groups: ChannelGroups,
    *,
    block: int,
    clip_events: Sequence[EventFrames] | None = None,
    rest: np.ndarray | None = None,
    metrics: Collection[str] = (),
    fps: float = 25.0,
    seed: int = 0,
) -> Table:
    """`{ROW: {METRIC: {"mean", "low", "high", "n"}}}`; an undefined figure is None.

    Metrics of reaction also have a "p" in all rows but the recorded one: the p-value of the hypothesis that the row
    differs from `recorded` by chance only (`bootstrap.permutation_test`). Distances to the recorded reaction are 0 for
    `recorded` by definition; they are tested against `oracle`, where there is one.

    Args:
      arrays: `user`, `recorded` and any of SYSTEMS, motion `[n, t, d]`; `channels` str `[d]`; `avatar_speaking` bool
        `[n, t]`; and, for the `lip_envelope` metrics, `avatar_envelope` `[n, t]`, the loudness of the avatar's speech.
        R-DGG needs `user_features` and `avatar_features` `[n, t, f]` and `user_speaking` bool `[n, t]`. `people`
        `[n, 2]` says who the avatar and the user of each clip are, by numbers or names; without it each clip has its
        own. The shuffled rows are left out if a clip has no other user (`metrics.groups.partners`).
      channel_groups: which channels are what.
      block: frames per block, for jitter.
      clip_events: the user's events of every clip; None, as for a codec other than `face`, gives no event metrics.
      rest: motion of the reference face `[d]`, or one per clip `[n, 1, d]`; zeros if None.
      metrics: the only ones that are wanted; all if empty.
      fps: frames per second.
      seed: of clusters and intervals.

    Raises:
      InputError: an array is missing, has another shape, or is not finite.
    """
    arrays = _checked(arrays)
    recorded, group = arrays["recorded"], arrays["group"]
    partner = groups.partners(arrays["people"])
    if clip_events is not None and len(clip_events) != len(recorded):
        raise InputError(f"{len(clip_events)} lists of events for {len(recorded)} clips", "evaluation")
    reference = values.reference(arrays, channel_groups, block, fps, seed)
    same = np.arange(len(recorded))
    rest = np.zeros(recorded.shape[-1]) if rest is None else np.asarray(rest)
    rows = {"recorded": (recorded, same), "frozen": (np.broadcast_to(rest, recorded.shape), same)}
    rows.update({name: (arrays[name], same) for name in SYSTEMS if name in arrays})
    if partner is not None:
        shuffled = {"shuffled": "recorded", "model_shuffled": "model"}
        rows.update({row: (arrays[name], partner) for row, name in shuffled.items() if name in arrays})
    table, judges = {}, {}
    for row in ROWS:
        if row not in rows:
            continue
        motion, watched = rows[row]
        found = values.of_motion(motion, watched, reference)
        if clip_events is not None:
            found |= values.of_events(motion, [clip_events[clip] for clip in watched], clip_events, reference)
        found = {name: measure for name, measure in found.items() if not metrics or name in metrics}
        table[row] = {name: measure.estimate(seed, group) for name, measure in found.items()}
        if row in ("recorded", "oracle"):
            judges[row] = found
        for name, measure in found.items():
            judge = "oracle" if name.startswith(_DISTANCE) else "recorded"
            if name.startswith(_REACTIVE) and row != "recorded" and row != judge and judge in judges:
                table[row][name]["p"] = measure.p_value(judges[judge][name], seed, group)
    return table


def _checked(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    needed = ("user", "recorded", "channels", "avatar_speaking")
    if missing := [name for name in needed if name not in arrays]:
        raise InputError(f"no array named {', '.join(missing)}", "evaluation", "needed: " + ", ".join(needed))
    shape = arrays["recorded"].shape
    if len(shape) != 3 or shape[0] < 2 or shape[1] < 4:
        raise InputError(f"recorded motion must be [n, T, D], at least 2 clips of 4 frames, not {shape}", "evaluation")
    if old := [name for name in ("partner", "person") if name in arrays]:
        raise InputError(f"the array {old[0]} is of an earlier version", "evaluation", "say by `people` who takes part")
    arrays = {"people": np.arange(2 * shape[0]).reshape(-1, 2)} | arrays
    expected = {
        "people": (shape[0], 2),
        "channels": shape[2:],
        "avatar_speaking": shape[:2],
        "avatar_envelope": shape[:2],
    }
    expected |= {"user_speaking": shape[:2]}
    for name in ("user_features", "avatar_features"):
        if name in arrays:
            expected[name] = (*shape[:2], *arrays[name].shape[2:3])
    for name in ("user", "recorded", *SYSTEMS, *expected):
        if name not in arrays:
            continue
        if arrays[name].shape != expected.get(name, shape):
            raise InputError(f"{name} has shape {arrays[name].shape}, not {expected.get(name, shape)}", "evaluation")
        if arrays[name].dtype.kind == "f" and not np.isfinite(arrays[name]).all():
            raise InputError(f"{name} has values that are not finite numbers", "evaluation")
    return arrays | {"group": groups.of_people(arrays["people"])}


def not_discriminative(table: Table, metrics: Sequence[str] = PRINTED) -> list[str]:
    """Metrics of reaction that can't tell `shuffled` from `recorded`: no evidence on these clips.

    Their p-value is LEVEL or more; in a table without p-values their intervals overlap. Distances to the recorded
    reaction need the oracle for a p-value (recorded is 0 by definition) and are blind without it. A table without
    shuffled pairs gives an empty list.
    """
    found = []
    if "shuffled" not in table:
        return found
    for name in table["recorded"]:
        own, chance = table["recorded"][name], table["shuffled"][name]
        if name not in metrics or not name.startswith(_REACTIVE) or own["mean"] is None or chance["mean"] is None:
            continue
        if chance.get("p") is not None:
            unseen = chance["p"] >= LEVEL
        elif name.startswith(_DISTANCE) and "oracle" not in table:
            unseen = True
        elif None in (own["low"], chance["low"]):
            unseen = True
        else:
            unseen = own["low"] <= chance["high"] and chance["low"] <= own["high"]
        if unseen:
            found.append(name)
    return found


def verdict(table: Table, name: str) -> str:
    """Whether a metric of reaction separates recorded from shuffled pairs: "yes, p = 0.001"; "" for other metrics."""
    if not name.startswith(_REACTIVE) or "shuffled" not in table or table["recorded"].get(name, {}).get("mean") is None:
        return ""
    p = table["shuffled"][name].get("p")
    return ("no" if not_discriminative(table, (name,)) else "yes") + ("" if p is None else f", p = {p:.3f}")


def text(table: Table, metrics: tuple[str, ...] = PRINTED) -> str:
    """The table as plain lines: one line per metric, one column per row, and at the end the `verdict`."""
    rows = list(table)
    present = [name for name in metrics if any(name in table[row] for row in rows)]
    width = max(map(len, present), default=0)
    columns = [max(len(row), 7) for row in rows]
    head = "".join(f"  {row:>{w}}" for row, w in zip(rows, columns, strict=True))
    lines = [" " * width + head + "  separates"]
    for name in present:
        cells = (number(table[row].get(name, bootstrap.EMPTY)["mean"], METRICS[name].unit) for row in rows)
        line = f"{name:<{width}}" + "".join(f"  {cell:>{w}}" for cell, w in zip(cells, columns, strict=True))
        lines.append(f"{line}  {verdict(table, name)}".rstrip())
    return "\n".join(lines)


def number(value: float | None, unit: str = "") -> str:
    """A figure as the tables print it: whole milliseconds, else three decimals; a dash where undefined."""
    if value is None:
        return "-"
    return f"{value:.0f}" if unit == "ms" else f"{value:.3f}"
