"""R-DGG of tracks: how much the user's voice tells about the listener's tracks, beyond all else (`metrics.granger`)."""

from collections.abc import Mapping, Sequence

import numpy as np

from afjax.metrics import bootstrap, granger, groups
from afjax.metrics.table.published import Table

PIECE = 500
"""Frames of the pieces into which clips of several lengths are cut, or the shortest clip's length if that is less."""
FEW = f"fewer than {granger.LEAST_INTERVALS} stretches of 6 s in which the avatar is silent and the user speaks"
_HEARD = ("avatar_features", "user_features", "avatar_speaking", "user_speaking")


def of_dependence(
    user: Sequence[np.ndarray],
    rows: Mapping[str, Sequence[np.ndarray]],
    speech: Sequence[Mapping[str, np.ndarray]],
    people: np.ndarray,
    seed: int = 0,
    shifts: int = granger.SHIFTS,
) -> tuple[Table, dict[str, str]]:
    """The table with `R-DGG` of each row and of `shuffled`, and if there is none the reason.

    `shuffled` are the recorded avatars against somebody else's users.

    Args:
      user: tracks `[t, c]` of each clip's user; rows: tracks of the avatar by system, `recorded` among them.
      speech: of each clip `avatar_features`, `user_features` `[t, f]`, `avatar_speaking`, `user_speaking` bool `[t]`.
      people: `[n, 2]`, who avatar and user are.
      seed: of folds and shifts; shifts: K.
    """
    heard = [{name: np.asarray(one[name]) for name in _HEARD} for one in speech]
    everything = [
        [*each] for each in zip(user, *rows.values(), *([one[k] for one in heard] for k in _HEARD), strict=True)
    ]
    lengths = [min(len(track) for track in each) for each in everything]
    length = min(PIECE, *lengths)
    clip = np.repeat(np.arange(len(lengths)), [each // length for each in lengths])
    start = np.concatenate([np.arange(each // length) * length for each in lengths])

    def cut(tracks: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([np.asarray(tracks[c])[s : s + length] for c, s in zip(clip, start, strict=True)])

    voices = {name: cut([one[name] for one in heard]) for name in _HEARD}
    motion, own = {row: cut(tracks) for row, tracks in rows.items()}, cut(user)
    group, partner = groups.of_people(people)[clip], groups.partners(people[clip])
    intervals = granger.listening(voices["avatar_speaking"], voices["user_speaking"])
    features = voices["avatar_features"], own, voices["user_features"]
    fitted = granger.fit(motion["recorded"], *features, intervals, groups=group, seed=seed, shifts=shifts)
    if fitted is None:
        return {}, {"R-DGG": FEW}
    watched = {row: (tracks, slice(None)) for row, tracks in motion.items()}
    if partner is not None:
        watched["shuffled"] = motion["recorded"], partner
    table: Table = {}
    for row, (tracks, whose) in watched.items():
        errors = granger.errors(fitted, tracks, own[whose], voices["user_features"][whose])
        table[row] = {"R-DGG": bootstrap.interval(errors, seed, granger.speech_gain, groups=group)}
    return table, {}
