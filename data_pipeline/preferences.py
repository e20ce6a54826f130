"""Losing samples for preference tuning: for every training conversation K motions that did not see its user.

    DIR/provenance.json                  what made them: model, weights, seed, guidance, how the user was taken away
    DIR/losing-00000.array_record        `[K, T, D]` float32 a record, raw units, in the order of the training split
    DIR/losing-00032.array_record        ... named by the first conversation, PART a file

Files appear one by one and whole, so that an interrupted build goes on where it ended.
"""

import contextlib
import io
import json
from pathlib import Path

import numpy as np

from afjax import files
from afjax.errors import InputError

PART = 32
PROVENANCE = "provenance.json"
_AGAIN = "make them again: python -m experiments.make_preferences"


def begin(folder: Path, provenance: dict) -> None:
    """Makes the folder, or checks that one that was begun has the same provenance. Raises InputError if not."""
    path = folder / PROVENANCE
    if path.exists():
        old = read_provenance(folder)
        changed = [name for name in {**old, **provenance} if old.get(name) != provenance.get(name)]
        if changed:
            raise InputError(f"it was begun with another {sorted(changed)[0]}", folder, "choose another --out")
        return
    if folder.exists() and any(folder.iterdir()):
        raise InputError("it holds other things", folder, "choose another --out")
    files.write_json(path, provenance)


def read_provenance(folder: str | Path) -> dict:
    """What `begin` wrote. Raises InputError if there is none."""
    path = Path(folder) / PROVENANCE
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError):
        raise InputError("no losing samples here", path, "python -m experiments.make_preferences --out DIR") from None
    if not isinstance(stored, dict):
        raise InputError("it is no table", path, _AGAIN)
    return stored


def missing(folder: Path, count: int) -> list[int]:
    """First conversations of the parts that are still to be made, of `count` conversations."""
    return [first for first in range(0, count, PART) if not _part(folder, first).exists()]


def write_part(folder: Path, first: int, motions: np.ndarray) -> None:
    """Writes losing motions `[n, K, T, D]` of the conversations from `first` on."""
    from array_record.python.array_record_module import ArrayRecordWriter

    with files.aside(_part(folder, first)) as partial:
        with contextlib.closing(ArrayRecordWriter(str(partial), "group_size:1")) as writer:
            for motion in motions:
                buffer = io.BytesIO()
                np.save(buffer, np.asarray(motion, np.float32))
                writer.write(buffer.getvalue())


def read_losing(folder: str | Path, count: int) -> list[np.ndarray]:
    """Losing motions `[K, T, D]` of `count` conversations. Raises InputError where parts are missing or broken."""
    from array_record.python.array_record_module import ArrayRecordReader

    folder = Path(folder)
    gaps = missing(folder, count)
    read_provenance(folder)
    if gaps:
        raise InputError(f"{len(gaps)} parts are missing", folder, "run experiments.make_preferences again: it goes on")
    motions = []
    for first in range(0, count, PART):
        path = _part(folder, first)
        try:
            reader = ArrayRecordReader(str(path))
            records = [reader.read([index])[0] for index in range(reader.num_records())]
            reader.close()
            motions += [np.load(io.BytesIO(record), allow_pickle=False) for record in records]
        except (RuntimeError, IndexError, ValueError, EOFError):
            raise InputError("it is no file of losing samples", path, _AGAIN) from None
    if len(motions) != count:
        raise InputError(f"{len(motions)} losing samples for {count} conversations", folder, _AGAIN)
    return motions


def _part(folder: Path, first: int) -> Path:
    return Path(folder) / f"losing-{first:05d}.array_record"
