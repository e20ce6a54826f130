"""FID, FVD, CSIM, LSE-D and LSE-C of sets of videos, from the features that networks gave for them.

A row is a system. `clips[i]` holds the features of its video i by kind: `inception` `[t, 2048]`, `i3d`
`[t // 16, 400]`, `arcface` `[t, 512]`, `syncnet_lips` and `syncnet_sound` `[t - 5, 1024]`, and for the stand-ins
`thumbnail` `[t, 192]`, `dlib` `[n, 128]`, `opening` and `envelope` `[t]`. All rows show the same clips in the same
order.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from afjax.metrics import bootstrap, feature_distance
from afjax.metrics.long import identity
from afjax.metrics.pretrained import stand_ins, syncnet
from afjax.metrics.pretrained.networks import KINDS, SUFFIX, metric_name
from afjax.metrics.table.published import Table

Clip = Mapping[str, np.ndarray]

_FRAMES = (("FID", "inception", "thumbnail"), ("FVD", "i3d", "thumbnail-motion"))
NO_RECORDED = "no recorded videos to compare with"
NO_PORTRAIT = "no portraits, nor recorded videos whose first frame could be one"
NO_SOUND = "the videos have no sound"
SHORT = "the videos are too short"


def of_pictures(
    rows: Mapping[str, Sequence[Clip]],
    portraits: Sequence[Clip],
    networks: Sequence[str],
    groups: np.ndarray,
    seed: int = 0,
) -> tuple[Table, dict[str, str]]:
    """The table, and the reason for each famous metric that is not in it.

    Args:
      rows: clips of each system; `recorded` is what the others are compared with.
      portraits: embeddings `[e]` of each clip's portrait by kind, `arcface` or `dlib`.
      networks: the kinds of networks that gave features.
      groups: `[n]`, which clips share people.
      seed: of the intervals.
    """
    table: Table = {row: {} for row in rows}
    missing: dict[str, str] = {}
    for metric, kind, stand_in in _FRAMES:
        if kind not in networks:
            missing[metric] = _absent(kind)
        if "recorded" not in rows:
            missing[metric] = NO_RECORDED
            continue
        used = kind if kind in networks else stand_in
        recorded = [_rows(clip, used) for clip in rows["recorded"]]
        for row, clips in rows.items():
            features = [_rows(clip, used) for clip in clips]
            if row == "recorded":
                continue
            kept = [n for n, pair in enumerate(zip(features, recorded, strict=True)) if all(len(one) for one in pair)]
            if sum(len(features[n]) for n in kept) < 2 or sum(len(recorded[n]) for n in kept) < 2:
                missing[metric] = SHORT
                continue
            pair = ([features[n] for n in kept], [recorded[n] for n in kept])
            table[row][metric_name(metric, used)] = feature_distance.estimate(*pair, groups[kept], seed)
    missing |= _identity(table, rows, portraits, networks, groups, seed)
    missing |= _sync(table, rows, networks, groups, seed)
    return table, missing


def _absent(kind: str) -> str:
    return f"no {kind}{SUFFIX} among the networks"


def _rows(clip: Clip, kind: str) -> np.ndarray:
    if kind == "thumbnail-motion":
        return stand_ins.thumbnail_motion(clip["thumbnail"])
    return clip.get(kind, np.zeros((0, KINDS[kind].features if kind in KINDS else 1)))


def _identity(table: Table, rows, portraits, networks, groups, seed) -> dict[str, str]:
    """CSIM: cosine of each frame with the portrait, 0 where it shows no face; mean over a clip, then over clips."""
    missing = {} if "arcface" in networks else {"CSIM": _absent("arcface")}
    kind = "arcface" if "arcface" in networks else "dlib"
    if not any(kind in portrait for portrait in portraits):
        return missing if kind == "dlib" and any(portraits) else {"CSIM": NO_PORTRAIT} | missing
    for row, clips in rows.items():
        values = [
            identity.cosines(clip[kind], portrait[kind]).mean() if kind in clip and kind in portrait else np.nan
            for clip, portrait in zip(clips, portraits, strict=True)
        ]
        table[row][metric_name("CSIM", kind)] = bootstrap.interval(np.array(values), seed, groups=groups)
    return missing


def _sync(table: Table, rows, networks, groups, seed) -> dict[str, str]:
    """LSE-D, LSE-C and the lag of each clip, means over clips."""
    known = "syncnet_lips" in networks
    missing = {} if known else {metric: _absent("syncnet_lips") for metric in ("LSE-D", "LSE-C")}
    name = "syncnet_lips" if known else "opening"
    heard = False
    for row, clips in rows.items():
        found = [_synced(clip, known) for clip in clips]
        if all(each is None for each in found):
            continue
        heard = True
        values = np.array([(np.nan,) * 3 if each is None else tuple(each) for each in found], float)
        columns = (metric_name("LSE-D", name), metric_name("LSE-C", name), "sync-lag" if known else "sync-lag-opening")
        for column, metric in enumerate(columns):
            table[row][metric] = bootstrap.interval(values[:, column], seed, groups=groups)
    return missing if heard else {metric: NO_SOUND for metric in ("LSE-D", "LSE-C")}


def _synced(clip: Clip, known: bool) -> syncnet.Sync | None:
    if known:
        pair = [clip.get(kind) for kind in ("syncnet_lips", "syncnet_sound")]
    else:
        tracks = [clip.get(name) for name in ("opening", "envelope")]
        short = any(track is None or len(track) <= stand_ins.SYNC_FRAMES for track in tracks) or not np.any(tracks[0])
        pair = [None, None] if short else [stand_ins.sync_windows(track) for track in tracks]
    if any(each is None or not len(each) for each in pair):
        return None
    return syncnet.sync(*pair)
