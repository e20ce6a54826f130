"""Files of records from finished conversations: planned from counts alone, then written independently.

Record n of a split is the n-th kept clip of its conversations in the order of their names. All clips of a set have one
size, so that file k always holds the records k * each .. (k + 1) * each - 1, whichever process writes it. Its sums for
the statistics are added file after file. An unchanged file is not written again:

    OUT/clips/.files/train-00012-of-00256.json    what the file was made of, its count, bytes and hash, its sums
"""

import json
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from afjax import digests, files
from data_pipeline import shards
from data_pipeline.recorded.attempts import TRIALS, WORK
from data_pipeline.recorded.metering import stage
from data_pipeline.recorded.prepare import kept, read_json
from data_pipeline.records import Moments
from data_pipeline.schema import VERSION, Conversation, decode

NOTES = f"{WORK}/.files"
TRACKS = {"motion": ("avatar_motion",), "audio": ("avatar_features", "user_features")}
"""Tracks that have statistics, in the order of `Normalizer`."""


@dataclass(frozen=True)
class Shard:
    """One file of records.

    Attributes:
      name: name of the file.
      first: number of its first record among those of all splits.
      spans: (conversation, first, stop) of the kept clips in it, in order.
    """

    name: str
    first: int
    spans: tuple[tuple[str, int, int], ...]


def planned(split: str, counts: Sequence[tuple[str, int]], each: int, first: int = 0) -> list[Shard]:
    """The files of a split, at least one.

    Args:
      counts: (conversation, kept clips) in the order of names; each: records per file, the last file has the rest.
      first: number of the first record.
    """
    filled: list[list[tuple[str, int, int]]] = [[]]
    room = each
    for name, count in counts:
        at = 0
        while at < count:
            if not room:
                filled.append([])
                room = each
            stop = min(count, at + room)
            filled[-1].append((name, at, stop))
            room -= stop - at
            at = stop
    names = [shards.shard_name(split, number, len(filled)) for number in range(len(filled))]
    return [
        Shard(name, first + each * n, tuple(spans)) for n, (name, spans) in enumerate(zip(names, filled, strict=True))
    ]


def records_of_a_file(out: Path, name: str) -> int:
    """Number of records that fill a file, by the first kept clip of a conversation."""
    clip = kept(read_json(out / WORK / name / "result.json"))[0]
    return -(-shards.SHARD // shards.size_of(_read(out, name, clip)))


def write(shard: Shard, out: Path) -> dict:
    """Writes a file, unless it is there. Returns {"name", "count", "bytes", "sha256"} and the "sums" of its records."""
    made_of, clips = [VERSION, shard.first], []
    for name, first, stop in shard.spans:
        result = read_json(out / WORK / name / "result.json")
        found = kept(result)[first:stop]
        made_of.append([name, result["source"], found])
        clips += [(name, clip) for clip in found]
    key, note, path = digests.of_json(made_of), out / NOTES / f"{shard.name}.json", out / shard.name
    said = read_json(note)
    if said is not None and said.get("key") == key and path.is_file() and digests.of_file(path) == said["sha256"]:
        return said
    with stage("files of records"):
        return _written(shard, out, clips, key)


def _written(shard: Shard, out: Path, clips: Sequence[tuple[str, str]], key: str) -> dict:
    moments = {name: Moments() for name in TRACKS}
    held = [replace(_read(out, *clip), seed=shard.first + n) for n, clip in enumerate(clips)]
    for record in held:
        for name, tracks in TRACKS.items():
            for track in tracks:
                moments[name].add(getattr(record, track))
    aside = out / TRIALS / uuid.uuid4().hex
    aside.mkdir(parents=True)
    shards.write_shard(aside / shard.name, held)
    said = {"key": key, "name": shard.name, "count": len(held), "bytes": (aside / shard.name).stat().st_size}
    said |= {"sha256": digests.of_file(aside / shard.name), "sums": {name: m.sums() for name, m in moments.items()}}
    os.replace(aside / shard.name, out / shard.name)
    with files.aside(out / NOTES / f"{shard.name}.json") as partial:
        partial.write_text(json.dumps(said))
    aside.rmdir()
    return said


def added(written: Sequence[dict]) -> Iterator:
    """Mean and deviation of each of TRACKS over files, added up in their order."""
    for name in TRACKS:
        moments = Moments()
        for said in written:
            moments.merge(*said["sums"][name])
        yield from moments.result()


def _read(out: Path, name: str, clip: str) -> Conversation:
    return decode((out / WORK / name / f"{clip}.npz").read_bytes())
