"""Losing samples for preference tuning: k motions per training conversation that did not see its user.

    DIR/provenance.json                  what made them: model, weights, seed, guidance, how the user was taken away
    DIR/losing-00000.array_record        `[k, t, d]` float32 per record, raw units, in the order of the training split
    DIR/losing-00032.array_record        ... named by the first conversation, PART per file

Files appear one by one and whole, so that an interrupted build goes on where it ended.
"""

import contextlib
import hashlib
import io
import json
from pathlib import Path

import numpy as np

from afjax import files
from afjax.config.earlier_names import renamed_settings
from afjax.errors import InputError
from afjax.normalizer import Normalizer

PART = 32
PROVENANCE = "provenance.json"
_AGAIN = "make them again: python -m experiments.make_preferences"


def motion_sha256(normalizer: Normalizer) -> str:
    """Digest of the statistics of motion, by which conversations are told apart whatever their features are."""
    moments = (normalizer.motion_mean, normalizer.motion_std)
    return hashlib.sha256(b"".join(np.asarray(x, np.float32).tobytes() for x in moments)).hexdigest()


def begin(folder: Path, provenance: dict) -> None:
    """Makes the folder, or checks that a begun one has the same provenance. Raises InputError if it has not."""
    path = folder / PROVENANCE
    if path.exists():
        old = read_provenance(folder)
        if "sampler" in old:  # of an earlier afjax it has other names, and lacks what did not exist
            lacked = {"guidance_reaction": 0.0, "temperature": 1.0}
            old = old | {"sampler": lacked | renamed_settings({"sampler": old["sampler"]})["sampler"]}
        old = {"motion_sha256": provenance.get("motion_sha256")} | old  # an earlier afjax did not write it
        changed = [name for name in {**old, **provenance} if old.get(name) != provenance.get(name)]
        if changed:
            raise InputError(f"it was begun with another {sorted(changed)[0]}", folder, "choose another --out")
        return
    if folder.exists() and any(folder.iterdir()):
        raise InputError("it holds other things", folder, "choose another --out")
    files.write_json(path, provenance)


def read_provenance(folder: str | Path) -> dict:
    """The provenance that `begin` wrote. Raises InputError if there is none."""
    path = Path(folder) / PROVENANCE
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError):
        raise InputError("no losing samples here", path, "python -m experiments.make_preferences --out DIR") from None
    if not isinstance(stored, dict):
        raise InputError("it is no table", path, _AGAIN)
    return stored


def missing(folder: Path, count: int) -> list[int]:
    """First conversations of the missing parts, of `count` conversations."""
    return [first for first in range(0, count, PART) if not _part(folder, first).exists()]


def write_part(folder: Path, first: int, motions: np.ndarray) -> None:
    """Writes losing motions `[n, k, t, d]` of the conversations from `first` on."""
    from array_record.python.array_record_module import ArrayRecordWriter

    with files.aside(_part(folder, first)) as partial:
        with contextlib.closing(ArrayRecordWriter(str(partial), "group_size:1")) as writer:
            for motion in motions:
                buffer = io.BytesIO()
                np.save(buffer, np.asarray(motion, np.float32))
                writer.write(buffer.getvalue())


class Losing:
    """Losing motions `[k, t, d]` of `count` conversations by number, read when they are asked for.

    `each` is k. Raises InputError where parts are missing or broken.
    """

    def __init__(self, folder: str | Path, count: int):
        self.folder = Path(folder)
        gaps = missing(self.folder, count)
        read_provenance(self.folder)
        if gaps:
            do = "run experiments.make_preferences again: it goes on"
            raise InputError(f"{len(gaps)} parts are missing", self.folder, do)
        found = 0
        for first in range(0, count, PART):
            with self._part(first) as reader:
                found += reader.num_records()
        if found != count:
            raise InputError(f"{found} losing samples for {count} conversations", self.folder, _AGAIN)
        self.each = len(self[0]) if count else 0

    def __getitem__(self, number: int) -> np.ndarray:
        with self._part(number // PART * PART) as reader:
            return np.load(io.BytesIO(reader.read([number % PART])[0]), allow_pickle=False)

    @contextlib.contextmanager
    def _part(self, first: int):
        from array_record.python.array_record_module import ArrayRecordReader

        path = _part(self.folder, first)
        try:
            with contextlib.closing(ArrayRecordReader(str(path))) as reader:
                yield reader
        except (RuntimeError, IndexError, ValueError, EOFError):
            raise InputError("it is no file of losing samples", path, _AGAIN) from None


def read_losing(folder: str | Path, count: int) -> list[np.ndarray]:
    """All losing motions `[k, t, d]` of `count` conversations. Raises InputError where parts are missing or broken."""
    found = Losing(folder, count)
    return [found[number] for number in range(count)]


def _part(folder: Path, first: int) -> Path:
    return Path(folder) / f"losing-{first:05d}.array_record"
