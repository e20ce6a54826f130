"""Batches of random windows, in an order that a checkpoint can hold.

The conversations of a split are decoded and standardised once and kept in memory (20 s take 0.46 MB), so that a
batch costs a few copies. Every epoch visits each conversation once, in a new order, and takes one window of it.

A window's name is `SPLIT-RECORD@FRAME`: its split, the record's number in the split's file, its first frame.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import grain
import numpy as np

from afjax.errors import InputError
from data_pipeline.preferences import read_losing
from data_pipeline.records import read_metadata, read_split
from data_pipeline.windows import RandomWindow, Window, scale


class Clips(Sequence):
    """Standardised clips of one split but its last `leave`, in memory, with losing motions from `losing` if given."""

    def __init__(self, folder: Path, split: str, losing: str | Path = "", leave: int = 0, user_delay: int = 0):
        statistics = read_metadata(folder).statistics
        clips = [scale(clip, statistics, user_delay) for clip in read_split(folder, split)]
        if losing:
            for clip, motions in zip(clips, read_losing(losing, len(clips)), strict=True):
                if motions.shape[1:] != clip["avatar_motion"].shape:
                    raise InputError(f"losing samples of {motions.shape[1:]}, not as the data have it", losing)
                clip["losing_motion"] = statistics.scale_motion(motions)
        for number, clip in enumerate(clips):
            clip["window"] = np.array(f"{split}-{number:05d}")
        self._clips = clips[: len(clips) - leave]
        if not self._clips:
            raise InputError(f"the split {split!r} has no conversations to train on", folder)

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> Window:
        return self._clips[index]

    @property
    def shortest(self) -> int:
        """Frames of the shortest clip."""
        return min(len(clip["avatar_motion"]) for clip in self._clips)


class Batches:
    """An endless iterator of batches that knows what it has read; its state continues it exactly.

    `windows` are the names in the last batch. `sha256` is the hash of all names so far: after each batch that of the
    hash before it (64 hexadecimal digits, at first none) followed by the batch's names, joined by line feeds.
    """

    def __init__(self, iterator: grain.DatasetIterator):
        self._iterator = iterator
        self.windows, self.sha256 = [], ""

    def __iter__(self):
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        batch = dict(next(self._iterator))
        self.windows = batch.pop("window").tolist()
        self.sha256 = hashlib.sha256((self.sha256 + "\n".join(self.windows)).encode()).hexdigest()
        return batch

    def get_state(self) -> dict:
        return {"place": self._iterator.get_state(), "sha256": self.sha256}

    def set_state(self, state: dict):
        self._iterator.set_state(state["place"])
        self.sha256 = state["sha256"]


def batches(
    folder: str | Path,
    split: str = "train",
    batch: int = 16,
    frames: int = 60,
    seed: int = 0,
    num_workers: int = 0,
    losing: str | Path = "",
    leave: int = 0,
    user_delay: int = 0,
    part: tuple[int, int] = (0, 1),
) -> Batches:
    """Endless batches of windows.

    avatar_motion, user_motion `[B, N, D]`, avatar_audio, user_audio `[B, N, F]`, reference `[B, D]`; with `losing`, a
    folder of losing samples, one of them a window: losing_motion `[B, N, D]`. The last `leave` conversations of the
    split are not read from. The user's tracks come `user_delay` frames late. `part` (index, count): of every batch only
    part `index` of `count` equal parts is read, B / count windows; a place counts whole batches, whatever the parts.

    All float32 numpy arrays, standardised by the stored statistics. `get_state` and `set_state` continue it exactly;
    a state belongs to the number of workers that it was taken with. With workers each process holds its own copy of
    the split. Raises InputError if the data are missing or a clip is shorter than a window.
    """
    clips = Clips(Path(folder), split, losing, leave, user_delay)
    if not 1 <= frames <= clips.shortest:
        raise InputError(f"windows of {frames} frames from clips of {clips.shortest}", folder)
    order = grain.MapDataset.source(clips).seed(seed).shuffle().repeat()
    dataset = order.random_map(RandomWindow(frames)).batch(batch // part[1], drop_remainder=True)[part[0] :: part[1]]
    iterable = dataset.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=16))
    if num_workers:
        iterable = iterable.mp_prefetch(grain.MultiprocessingOptions(num_workers=num_workers))
    return Batches(iter(iterable))
