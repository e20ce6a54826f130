"""The paper's figures of motion, from tracks of its own kind: 50 numbers of expression and 6 of pose per frame.

SPECTRE and EMOCA give them (FLAME's expression; rotations of head and jaw). Definitions are those of the paper's
appendix D.5, on raw tracks, whole clips, frames at 25 per second. It leaves open:

- rPCC: correlations are averaged over the numbers of a group. `rPCC-Exp` takes the difference clip by clip and then the
  mean; `rPCC-Exp (corpus)` the difference of the means over all clips. The text allows both.
- SID: K = 15 and 9, clusters of the recorded avatars' frames. An entropy of 15 clusters is at most 3.91 bits, of 9 at
  most 3.17, and the paper prints 3.972 and 3.20: its values are computed otherwise. `SID` is the mean of the two.
- Var: `Var` is the mean over all 56 numbers.
- FD: Gaussians of single frames, without shrinkage; P-FD of user and avatar side by side, against recorded pairs.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from afjax.errors import InputError
from afjax.metrics import bootstrap, feature_distance, groups, reactiveness, richness
from afjax.metrics.table.published import Table

EXPRESSION, POSE = 50, 6
GROUPS = {"Exp": slice(0, EXPRESSION), "Pose": slice(EXPRESSION, EXPRESSION + POSE)}
_CLUSTERS = {"Exp": richness.EXPRESSION_CLUSTERS, "Pose": richness.POSE_CLUSTERS}
LEAST = 4
"""Least frames of a clip."""


def of_tracks(
    user: Sequence[np.ndarray] | None,
    rows: Mapping[str, Sequence[np.ndarray]],
    people: np.ndarray,
    seed: int = 0,
) -> tuple[Table, dict[str, str]]:
    """The table, and the reason for each famous metric that is not in it.

    Args:
      user: tracks `[t, 56]` of the user of each clip, or None where nobody is listened to.
      rows: tracks of the avatar by system, the same clips in the same order; `recorded` is what the others are compared
        with. A row `shuffled` is added, the recorded avatar against somebody else's user, if every clip has another.
      people: `[n, 2]`, who avatar and user are.
      seed: of clusters and intervals.

    Raises:
      InputError: tracks have another width or are not finite, or a clip has fewer than LEAST frames in common.
    """
    for tracks in (*rows.values(), *((user,) if user is not None else ())):
        _check(tracks)
    group = groups.of_people(people)
    table: Table = {row: {} for row in rows}
    missing = {}
    recorded = rows.get("recorded")
    for row, tracks in rows.items():
        table[row] |= _variances(tracks, group, seed)
    if recorded is None:
        missing |= dict.fromkeys(("SID", "SID-Exp", "SID-Pose", "FD-Exp", "FD-Pose"), "no tracks of recorded avatars")
    else:
        for row, found in _entropies(rows, recorded, group, seed).items():
            table[row] |= found
        for row, tracks in rows.items():
            if row != "recorded":
                table[row] |= _distances("FD", tracks, recorded, group, seed)
    if user is None or recorded is None:
        lacks = "users" if user is None else "recorded avatars"
        missing |= dict.fromkeys(("rPCC-Exp", "rPCC-Pose", "P-FD-Exp", "P-FD-Pose"), f"no tracks of {lacks}")
        return table, missing
    partner = groups.partners(people)
    watched = {row: (tracks, np.arange(len(recorded))) for row, tracks in rows.items()}
    if partner is not None:
        watched["shuffled"], table["shuffled"] = (recorded, partner), {}
    pairs = _pairs(recorded, [user[n] for n in range(len(recorded))])
    for row, (tracks, whose) in watched.items():
        table[row] |= _reactions(tracks, [user[n] for n in whose], recorded, user, group, seed)
        if row != "recorded":
            found = _distances("P-FD", _pairs(tracks, [user[n] for n in whose]), pairs, group, seed)
            table[row] |= found
    return table, missing


def _check(tracks: Sequence[np.ndarray]):
    for track in tracks:
        if np.ndim(track) != 2 or track.shape[1] != EXPRESSION + POSE or len(track) < LEAST:
            what = f"tracks have shape {np.shape(track)}, not [T, {EXPRESSION + POSE}] of {LEAST} frames or more"
            raise InputError(what, "tracks")
        if not np.isfinite(track).all():
            raise InputError("tracks have values that are not finite numbers", "tracks")


def _variances(tracks, group, seed) -> dict[str, bootstrap.Estimate]:
    parts = {"Var": slice(None)} | {f"Var-{name}": part for name, part in GROUPS.items()}
    return {
        name: bootstrap.interval(
            np.array([richness.variance(track[None, :, part])[0] for track in tracks]), seed, groups=group
        )
        for name, part in parts.items()
    }


def _entropies(rows, recorded, group, seed) -> Table:
    found = {row: {} for row in rows}
    frames = np.concatenate(recorded)
    for name, part in GROUPS.items():
        centres = richness.fit_clusters(frames[None, :, part], _CLUSTERS[name], seed)
        for row, tracks in rows.items():
            found[row][name] = np.array([richness.sid(track[None, :, part], centres)[0] for track in tracks])
    return {
        row: {
            name: bootstrap.interval(value, seed, groups=group)
            for name, value in {
                "SID": np.mean(list(values.values()), axis=0),
                **{f"SID-{name}": value for name, value in values.items()},
            }.items()
        }
        for row, values in found.items()
    }


def _pairs(tracks: Sequence[np.ndarray], user: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Frames of both people side by side `[t, 112]`, over the frames that both have."""
    lengths = [min(len(track), len(other)) for track, other in zip(tracks, user, strict=True)]
    return [
        np.concatenate([other[:length], track[:length]], axis=1)
        for track, other, length in zip(tracks, user, lengths, strict=True)
    ]


def _distances(stem: str, tracks, recorded, group, seed) -> dict[str, bootstrap.Estimate]:
    width = EXPRESSION + POSE

    def columns(part):
        one = np.arange(width)[part]
        return one if stem == "FD" else np.concatenate([one, width + one])

    return {
        f"{stem}-{name}": feature_distance.estimate(
            [track[:, columns(part)] for track in tracks], [track[:, columns(part)] for track in recorded], group, seed
        )
        for name, part in GROUPS.items()
    }


def _reactions(tracks, watched, recorded, user, group, seed) -> dict[str, bootstrap.Estimate]:
    """rPCC in both readings."""
    found = {}
    for name, part in GROUPS.items():
        model_pcc = np.array([_correlation(*each, part) for each in zip(tracks, watched, strict=True)])
        recorded_pcc = np.array([_correlation(*each, part) for each in zip(recorded, user, strict=True)])
        found[f"rPCC-{name}"] = bootstrap.interval(np.abs(model_pcc - recorded_pcc), seed, groups=group)
        found[f"rPCC-{name} (corpus)"] = bootstrap.interval(
            np.stack([model_pcc, recorded_pcc], axis=1), seed, reactiveness.corpus_difference, folded=True, groups=group
        )
    return found


def _correlation(track: np.ndarray, user: np.ndarray, part: slice) -> float:
    length = min(len(track), len(user))
    return float(reactiveness.pcc(track[:length, part], user[:length, part]).mean())
