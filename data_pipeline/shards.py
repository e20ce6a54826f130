"""The conversations of a split as raw arrays on disk, whose stretches are read in place.

    DIR/train-00000-of-00003.safetensors    conversations one after the other, every track `[frames of all, ...]`

A window of a conversation is thus one stretch of bytes per track, and no other byte is read for it: no record is
unpacked, and sound that training does not hear is not read. A file holds, beside the fields of `schema.Conversation`,
`frames` and `events` int64 `[n]`, their numbers per conversation, and `meta`, a JSON table of seeds and voices. Memory
holds the lengths alone, 8 bytes per conversation. Motion of WIDE channels or more, latents, is stored in float16, which
is finer than what tracks or draws it; a face's few channels stay float32.

Files may be links to one another. A data set of the older form has one file, `train.array_record`, with whole
conversations (`schema.encode`); it is read as well, conversation by conversation.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from afjax.audio.framing import FRAME
from afjax.errors import InputError
from afjax.normalizer import AGAIN
from data_pipeline.schema import ARRAYS, DTYPES, EARLIER_ARRAYS, META, Conversation, decode

__all__ = ["Piece", "Split", "open_split", "shard_name", "size_of", "write_shard", "write_shards"]

SHARD = 1 << 28
"""Bytes from which a file is full."""
WIDE = 64
KEPT = 1 << 30
"""Bytes of unpacked conversations of a data set of the older form that are kept in memory."""
_MOTION = ("avatar_motion", "user_motion", "avatar_oracle", "avatar_reference", "user_reference")
_TRACKS = ("avatar_motion", "user_motion", "avatar_features", "user_features")
_RESTS = ("avatar_reference", "user_reference")
_AUDIO = ("avatar_wave", "user_wave")


@dataclass(frozen=True)
class Piece:
    """Frames of a conversation as stored, from which a window is made.

    Attributes:
      avatar_motion, user_motion: `[n, d]`; avatar_features, user_features: `[n, f]`.
      event_kind, event_frame: of all events of the conversation `[e]`, frames counted from the piece's first.
      rest, user_rest: the avatar's and the user's motion `[d]` at rest; the user's is zero where it isn't known.
    """

    avatar_motion: np.ndarray
    user_motion: np.ndarray
    avatar_features: np.ndarray
    user_features: np.ndarray
    event_kind: np.ndarray
    event_frame: np.ndarray
    rest: np.ndarray
    user_rest: np.ndarray

    @property
    def frames(self) -> int:
        return len(self.avatar_motion)


class Split(Protocol):
    """Conversations by number.

    Attributes:
      frames: frames of each, `[n]`.
      exchangeable: whether users' faces at rest are stored wherever avatars' are, so that roles can be exchanged.
    """

    frames: np.ndarray
    exchangeable: bool

    def __len__(self) -> int:
        """Number of conversations."""

    def piece(self, number: int, start: int, stop: int) -> Piece:
        """Frames `start .. stop - 1` of a conversation."""

    def track(self, number: int, name: str, start: int, stop: int) -> np.ndarray:
        """The same frames of one track, `avatar_motion` for example."""

    def conversation(self, number: int) -> Conversation:
        """A whole conversation, checked."""


def shard_name(split: str, number: int, count: int) -> str:
    """Name of a file: `train-00012-of-00256.safetensors`."""
    return f"{split}-{number:05d}-of-{count:05d}.safetensors"


def size_of(clip: Conversation) -> int:
    """Bytes of a conversation's arrays, by which files are filled up to SHARD."""
    return sum(getattr(clip, name).nbytes for name in _form(clip))


def write_shards(folder: Path, split: str, clips: Iterable[Conversation]) -> int:
    """Writes a split into a folder, in place of an earlier one. Returns the number of conversations."""
    for old in [*_shard_paths(folder, split), folder / f"{split}.array_record"]:
        old.unlink(missing_ok=True)
    written, held, size, count = [], [], 0, 0
    for clip in clips:
        if held and (size >= SHARD or _form(clip) != _form(held[0])):
            written.append(write_shard(folder / f".{split}-{len(written):05d}.safetensors", held))
            held, size = [], 0
        held.append(clip)
        size += size_of(clip)
        count += 1
    if held or not written:
        written.append(write_shard(folder / f".{split}-{len(written):05d}.safetensors", held))
    for number, path in enumerate(written):
        path.rename(folder / shard_name(split, number, len(written)))
    return count


def open_split(folder: str | Path, split: str) -> Split:
    """A split of a data set. Raises InputError where it is missing or damaged."""
    paths = _shard_paths(Path(folder), split)
    if not paths:
        return _Records(Path(folder) / f"{split}.array_record")
    wanted = int(paths[0].stem.rpartition("-")[2])
    if [path.name for path in paths] != [shard_name(split, n, wanted) for n in range(wanted)]:
        raise InputError(f"{len(paths)} files of the split {split!r}, {wanted} were written", folder, AGAIN)
    return _Shards(paths)


def _shard_paths(folder: Path, split: str) -> list[Path]:
    named = re.compile(rf"{re.escape(split)}-\d{{5}}-of-\d{{5}}\.safetensors")
    return sorted(path for path in folder.glob(f"{split}-*.safetensors") if named.fullmatch(path.name))


def _form(clip: Conversation) -> dict[str, int]:
    """Arrays of a conversation and their widths, which all conversations of a file share."""
    arrays = {name: getattr(clip, name) for name in ARRAYS}
    return {name: array.shape[-1] if array.ndim > 1 else 1 for name, array in arrays.items() if array is not None}


def write_shard(path: Path, clips: list[Conversation]) -> Path:
    """Writes conversations that have the same arrays as one file. Returns `path`."""
    from afjax.weights.readers import write_safetensors  # a simulation's processes do without JAX

    stored = {
        "frames": np.array([clip.frames for clip in clips], np.int64),
        "events": np.array([len(clip.event_kind) for clip in clips], np.int64),
        "meta": np.frombuffer(json.dumps([[getattr(c, name) for name in META] for c in clips]).encode(), np.uint8),
    }
    for name in _form(clips[0]) if clips else ():
        array = np.concatenate([_rows(name, getattr(clip, name)) for clip in clips])
        if name in _MOTION and array.shape[-1] >= WIDE:
            array = array.astype(np.float16)
            if not np.isfinite(array).all():
                raise InputError(f"{name} has numbers beyond 65504", path, "latents of a trained codec are far smaller")
        stored[name] = array
    write_safetensors(path, stored)
    return path


def _rows(name: str, array: np.ndarray) -> np.ndarray:
    """An array of a conversation as rows of a file: one per conversation, frame or event."""
    if name in _AUDIO:
        return array.reshape(-1, FRAME)
    return array[None] if _once(name) else array


def _once(name: str) -> bool:
    """Whether an array belongs to the whole conversation, not to each frame or event."""
    return name.endswith("reference")


class _Shard:
    """One file: where its tracks lie, and where its conversations lie in them."""

    def __init__(self, path: Path):
        from afjax.weights.readers import tensors

        self.path = path
        self._places = {EARLIER_ARRAYS.get(name, name): place for name, place in tensors(path).items()}
        with path.open("rb", buffering=0) as file:
            self.frames, events = (self._read(file, name, 0, self._rows(name)) for name in ("frames", "events"))
        self.first, self._event = (np.concatenate([[0], np.cumsum(each)]) for each in (self.frames, events))
        rows = {name: self._rows(name) for name in ARRAYS if name in self._places}
        wanted = {name: self._wanted(name) for name in rows}
        if len(events) != len(self.frames) or (len(self.frames) and not {*_TRACKS} <= {*rows}) or rows != wanted:
            raise InputError("its arrays don't belong together", path, AGAIN)

    def _rows(self, name: str) -> int:
        shape = self._places[name].shape if name in self._places else ()
        if not shape:
            raise InputError(f"{name} is missing", self.path, AGAIN)
        return shape[0]

    def _wanted(self, name: str) -> int:
        if name.startswith("event"):
            return int(self._event[-1])
        if _once(name):
            return len(self.frames)
        return int(self.first[-1])

    @property
    def exchangeable(self) -> bool:
        return "user_reference" in self._places or "avatar_reference" not in self._places

    def _read(self, file, name: str, first: int, count: int) -> np.ndarray:
        """Rows `first .. first + count - 1` of an array."""
        place = self._places[name]
        row = place.dtype.itemsize * int(np.prod(place.shape[1:]))
        data = os.pread(file.fileno(), count * row, place.start + first * row)
        if len(data) != count * row:
            raise InputError(f"is truncated: {name} ends early", self.path, AGAIN)
        return np.frombuffer(data, place.dtype).reshape(count, *place.shape[1:])

    def piece(self, number: int, start: int, stop: int) -> Piece:
        with self.path.open("rb", buffering=0) as file:
            frame, event = int(self.first[number]) + start, int(self._event[number])
            events = int(self._event[number + 1]) - event
            tracks = [self._read(file, name, frame, stop - start) for name in _TRACKS]
            kinds, frames = (self._read(file, name, event, events) for name in ("event_kind", "event_frame"))
            zero = np.zeros_like(tracks[0], shape=tracks[0].shape[1:])
            rests = [self._read(file, name, number, 1)[0] if name in self._places else zero for name in _RESTS]
        return Piece(*tracks, kinds, frames - np.int32(start), *rests)

    def track(self, number: int, name: str, start: int, stop: int) -> np.ndarray:
        with self.path.open("rb", buffering=0) as file:
            return self._read(file, name, int(self.first[number]) + start, stop - start)

    def conversation(self, number: int) -> Conversation:
        first, stop = self.first[number : number + 2].tolist()
        event, last = self._event[number : number + 2].tolist()
        found = {}
        with self.path.open("rb", buffering=0) as file:
            for name in ARRAYS:
                if name not in self._places:
                    continue
                if name.startswith("event"):
                    found[name] = self._read(file, name, event, last - event)
                elif _once(name):
                    found[name] = self._read(file, name, number, 1)[0]
                else:
                    found[name] = self._read(file, name, first, stop - first)
            meta = json.loads(self._read(file, "meta", 0, self._rows("meta")).tobytes())[number]
        arrays = {
            name: (array.reshape(-1) if name in _AUDIO else array).astype(DTYPES[name], copy=False)
            for name, array in found.items()
        }
        return Conversation(**arrays, **dict(zip(META, meta, strict=True)))


class _Shards:
    """A split in files."""

    def __init__(self, paths: list[Path]):
        self._files = [_Shard(path) for path in paths]
        self.frames = np.concatenate([shard.frames for shard in self._files])
        self._first = np.cumsum([0, *(len(shard.frames) for shard in self._files)])
        self.exchangeable = all(shard.exchangeable for shard in self._files)

    def __len__(self) -> int:
        return len(self.frames)

    def _at(self, number: int) -> tuple[_Shard, int]:
        shard = int(np.searchsorted(self._first, number, "right")) - 1
        return self._files[shard], number - int(self._first[shard])

    def piece(self, number: int, start: int, stop: int) -> Piece:
        shard, within = self._at(number)
        return shard.piece(within, start, stop)

    def track(self, number: int, name: str, start: int, stop: int) -> np.ndarray:
        shard, within = self._at(number)
        return shard.track(within, name, start, stop)

    def conversation(self, number: int) -> Conversation:
        shard, within = self._at(number)
        return shard.conversation(within)


class _Records:
    """A split of whole conversations in one ArrayRecord file; the latest ones read are kept in memory."""

    def __init__(self, path: Path):
        from array_record.python.array_record_module import ArrayRecordReader

        if not path.is_file():
            raise InputError("no such split", path, AGAIN)
        self._path = path
        with self._faults():
            self._reader = ArrayRecordReader(str(path))
            self._count = self._reader.num_records()
            if not self._count:
                self._reader.close()  # says what is wrong with a broken file
        size = sum(getattr(self._light(0), name).nbytes for name in _TRACKS) if self._count else KEPT
        self._kept = lru_cache(1 + KEPT // size)(self._light)

    def __len__(self) -> int:
        return self._count

    def _light(self, number: int) -> Conversation:
        """The part of a conversation that training reads."""
        return replace(self.conversation(number), avatar_oracle=None, avatar_wave=None, user_wave=None)

    @contextlib.contextmanager
    def _faults(self):
        try:
            yield
        except (RuntimeError, IndexError):  # the binding's errors for broken files
            raise InputError("it is no readable ArrayRecord file", self._path, AGAIN) from None

    @cached_property
    def frames(self) -> np.ndarray:
        return np.array([self._kept(number).frames for number in range(self._count)], np.int64)

    @cached_property
    def exchangeable(self) -> bool:
        clips = map(self._kept, range(self._count))
        return all(clip.avatar_reference is None or clip.user_reference is not None for clip in clips)

    def piece(self, number: int, start: int, stop: int) -> Piece:
        clip = self._kept(number)
        tracks = [getattr(clip, name)[start:stop] for name in _TRACKS]
        return Piece(*tracks, clip.event_kind, clip.event_frame - np.int32(start), clip.rest, clip.user_rest)

    def track(self, number: int, name: str, start: int, stop: int) -> np.ndarray:
        return getattr(self._kept(number), name)[start:stop]

    def conversation(self, number: int) -> Conversation:
        with self._faults():
            record = self._reader.read([number])[0]
        return decode(record)
