"""Batches of random windows, in an order that a checkpoint can hold.

Windows are read from disk AHEAD batches before they are asked for, so that memory does not grow with the data (but for
the conversations' lengths). Every epoch visits each conversation once, in a fresh order, and takes one window of it; a
conversation that is n times as long as the shortest is visited n times. Windows of several data sets are mixed by
weight, all standardised by the statistics of the first.

A window's name is `SPLIT-RECORD@FRAME`: its split, the record's number in the split's file, its first frame. Names of
the second data set begin with `2/` and so on; those of exchanged roles end in `s`.
"""

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path

import grain
import numpy as np

from afjax import files
from afjax.errors import InputError, InputWarning
from data_pipeline.preferences import Losing
from data_pipeline.recorded.table import CLIPS, passing
from data_pipeline.records import read_metadata
from data_pipeline.shards import open_split
from data_pipeline.windows import Clip, RandomPlace, ReadWindow

AHEAD = 4


class Clips(Sequence):
    """Clips of one split but its last `leave`, unread, with losing motions from `losing` if given.

    The sequence holds a clip as often as an epoch visits it. A `filter` (`data.filter`) leaves only clips for which it
    is true: `kept` of `total`.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        losing: str | Path = "",
        leave: int = 0,
        prefix: str = "",
        swap: float = 0.0,
        filter: str = "",
    ):
        self._split = open_split(folder, split)
        if swap and not self._split.exchangeable:
            raise InputError("the users' faces at rest are not known in it, roles stay", folder, "set data.swap=0")
        lengths = self._split.frames
        self._losing = Losing(losing, len(lengths)) if losing else None
        if losing and len(lengths):
            wanted, found = self._split.piece(0, 0, 1).avatar_motion.shape[1], self._losing[0].shape
            if found[1:] != (lengths[0], wanted):
                raise InputError(f"losing samples of {found[1:]}, not as the data have it", losing)
        lengths = lengths[: len(lengths) - leave]
        if not len(lengths):
            raise InputError(f"the split {split!r} has no conversations to train on", folder)
        passes = np.ones(len(lengths), bool)
        if filter:
            passes = passing(folder, split, filter, len(self._split.frames))[: len(lengths)]
        self.kept, self.total = int(passes.sum()), len(lengths)
        if not self.kept:
            raise InputError(
                f"data.filter leaves none of {self.total} clips", folder, "loosen it; report.html has histograms"
            )
        self.shortest = int(lengths[passes].min())
        self._visits = np.repeat(np.arange(len(lengths), dtype=np.int32), passes * (lengths // self.shortest))
        self._name = f"{prefix}{split}"

    def __len__(self) -> int:
        return len(self._visits)

    def __getitem__(self, index: int) -> Clip:
        number = int(self._visits[index])
        return Clip(self._split, number, f"{self._name}-{number:05d}", self._losing)


class Batches:
    """An endless iterator of batches that knows what it has read; its state continues it exactly.

    `windows` are the names in the last batch. If a process holds a part of each batch, `names` is an iterator of the
    names in whole batches. `sha256` is the hash of all names so far: after each batch, the hash of the previous hash
    (64 hexadecimal digits, at first none) followed by the batch's names, joined by line feeds. `kept`: (folder, clips
    kept, of how many) of a filtered data set.
    """

    def __init__(
        self, iterator: grain.DatasetIterator, names: grain.DatasetIterator | None = None, kept: Sequence[tuple] = ()
    ):
        self._iterator, self._names, self.kept = iterator, names, kept
        self.windows, self.sha256 = [], ""

    def __iter__(self):
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        batch = dict(next(self._iterator))
        own = batch.pop("window")
        self.windows = (own if self._names is None else next(self._names)).tolist()
        self.sha256 = hashlib.sha256((self.sha256 + "\n".join(self.windows)).encode()).hexdigest()
        return batch

    def get_state(self) -> dict:
        return {"place": self._iterator.get_state(), "sha256": self.sha256}

    def set_state(self, state: dict):
        for iterator in (self._iterator, self._names):
            if iterator is not None:
                iterator.set_state(state["place"])
        self.sha256 = state["sha256"]


def batches(
    folder: str | Path | Sequence[tuple[str | Path, float]],
    split: str = "train",
    batch: int = 16,
    frames: int = 60,
    seed: int = 0,
    losing: str | Path = "",
    leave: int = 0,
    user_delay: int = 0,
    swap: float = 0.0,
    part: tuple[int, int] = (0, 1),
    stored: bool = False,
    filter: str = "",
    earlier: int = 0,
) -> Batches:
    """Endless batches of windows of a data set, or of several folders with weights.

    A batch has avatar_motion, user_motion `[b, n, d]`, avatar_features, user_features `[b, n, f]`, cause_age `[b, n,
    kinds]`, reference_motion `[b, d]` and, if `losing` is a folder of losing samples, losing_motion `[b, n, d]`, one
    sample per window. The last `leave` conversations of the split are not read. The user's tracks come `user_delay`
    frames late. User and avatar are exchanged in a share `swap` of the windows. `part` (index, count): only part
    `index` of `count` equal parts of every batch is read, b / count windows; a place counts whole batches, whatever the
    parts. `filter` (`data.filter`): clips whose quality numbers do not satisfy it are left out. If only some of several
    folders have these numbers, the others are read whole, with an InputWarning. `earlier`: frames of
    earlier_user_motion `[b, earlier, d]` (`ReadWindow`); 0: none.

    All are float32 NumPy arrays, standardised by the stored statistics. With `stored` they are as on disk, features and
    latents in float16, for the device to standardise (`Normalizer.scale`). `get_state` and `set_state` continue it
    exactly. Raises InputError if the data are missing or do not fit together, or a clip is shorter than a window.
    """
    sources = [(folder, 1.0)] if isinstance(folder, str | Path) else folder
    folders, weights = zip(*sources, strict=True)
    if losing and (swap or len(folders) > 1):
        raise InputError("losing samples belong to one data set whose roles stay", losing, "one data.path, data.swap=0")
    first = read_metadata(Path(folders[0]))
    block = first.features.get("block", 1)  # features of a stream's blocks: windows begin where blocks do
    if user_delay % block:
        what = f"features of blocks of {block} frames, layout.user_delay is {user_delay}"
        raise InputError(what, folders[0], "make it a multiple, or the features with another --block")
    orders, kept = [], []
    for number, path in enumerate(map(Path, folders)):
        found = read_metadata(path)
        if (found.channels, found.features) != (first.channels, first.features):
            raise InputError(f"other channels or features than {folders[0]} has", path, "build both alike")
        prefix = f"{number + 1}/" if number else ""
        clips = Clips(path, split, losing, leave, prefix, swap, _of_folder(filter, path, folders))
        if filter:
            kept.append((path, clips.kept, clips.total))
        shortest = clips.shortest - (2 * user_delay if swap else 0)
        if not 1 <= frames <= shortest:
            raise InputError(f"windows of {frames} frames from clips of {shortest}", path)
        orders.append(grain.MapDataset.source(clips).seed(seed + number).shuffle().repeat())
    order = orders[0] if len(orders) == 1 else grain.MapDataset.mix(orders, weights).seed(seed)
    places = order.random_map(RandomPlace(frames, swap, user_delay, block))
    windows = places.map(ReadWindow(frames, user_delay, first.normalizer.audio_silence, earlier))
    windows = windows if stored else windows.map(first.normalizer.scale)
    dataset = windows.batch(batch // part[1], drop_remainder=True)[part[0] :: part[1]]
    iterable = dataset.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=AHEAD))
    if part[1] == 1:
        return Batches(iter(iterable), kept=kept)
    whole = places.map(lambda place: place.name).batch(batch, drop_remainder=True)
    return Batches(iter(iterable), iter(whole.to_iter_dataset(grain.ReadOptions(num_threads=0))), kept)


def _of_folder(filter: str, path: Path, folders: Sequence) -> str:
    """The filter for a folder; none if the folder has no quality numbers while another one has."""
    if not filter or (path / CLIPS).exists() or not any((Path(other) / CLIPS).exists() for other in folders):
        return filter
    warnings.warn(f"data.filter: {path} has no {CLIPS}, all of it is read", InputWarning, stacklevel=3)
    return ""


def sources(path: str) -> list[tuple[str, float]]:
    """Folders and their weights, 1 where none is given; a single folder if one has exactly this name.

    Raises InputError for an empty name or a weight of 0.
    """
    if files.absolute(path).is_dir():
        return [(path, 1.0)]
    found = []
    for part in path.split(","):
        name, _, weight = part.rpartition(":")
        weighted = bool(name) and weight.replace(".", "", 1).isdecimal()
        found.append((name, float(weight)) if weighted else (part, 1.0))
    if not all(name and weight > 0 for name, weight in found):
        raise InputError(f"data.path = {path!r} has an empty name or a weight of 0", "config", "A:3,B:1")
    return found


def first(path: str) -> str:
    """The folder whose statistics and evaluation split count; empty if `path` is."""
    return sources(path)[0][0] if path else ""
