"""`clips.parquet`: one row per clip of a build with its quality numbers, to be filtered when training reads.

    conversation, clip, split, record       record: its number among those of its split, null where it was set aside
    reason, set, licence                    why it was set aside, or ""
    start_seconds, seconds, avatar_person, user_person
    avatar_face_size, user_face_size, ...   `afjax.config.filters.NUMBERS` of both people, null where not known

Rows lie in the order of records. No table is written without the package pyarrow; the same build writes it later.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from afjax import files
from afjax.config.filters import NUMBERS, parse_filter
from afjax.errors import InputError, InputWarning
from data_pipeline.recorded.pairs import ROLES, Pair

CLIPS = "clips.parquet"
GROUP = 1 << 14
"""Rows that are held in memory."""
INSTALL = "pip install -r requirements-parquet.txt"
TEXTS = ("conversation", "clip", "split", "reason", "set", "licence", "avatar_person", "user_person")
COLUMNS = (*TEXTS, "record", "start_seconds", "seconds", *(f"{role}_{name}" for role in ROLES for name in NUMBERS))


@contextlib.contextmanager
def written(path: Path) -> Iterator[Callable[[Mapping[str, Any], Pair], None]]:
    """Yields a function of a clip's row (`tally.rows`) and its conversation; the block's end writes the file."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        path.unlink(missing_ok=True)
        warnings.warn(
            f"{path.name} isn't written, the package pyarrow is missing: {INSTALL}", InputWarning, stacklevel=2
        )
        yield lambda row, pair: None
        return
    kinds = dict.fromkeys(TEXTS, pyarrow.string()) | {"record": pyarrow.int32()}
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.float32())) for name in COLUMNS])
    held: list[dict[str, Any]] = []

    def flush(writer):
        writer.write_table(pyarrow.Table.from_pylist(held, schema))
        held.clear()

    with files.aside(path) as partial, parquet.ParquetWriter(partial, schema, compression="zstd") as writer:

        def keep(row: Mapping[str, Any], pair: Pair):
            numbers = {
                f"{role}_{name}": each for role, of in row.get("quality", {}).items() for name, each in of.items()
            }
            held.append({**row, **numbers, "set": pair.set, "licence": pair.licence})
            if len(held) >= GROUP:
                flush(writer)

        yield keep
        if held:
            flush(writer)


def passing(folder: Path, split: str, text: str, count: int) -> np.ndarray:
    """Records of a split for which a filter (`data.filter`) holds, bool `[count]`.

    Raises InputError for a faulty filter, or where `clips.parquet` is missing or of another data set.
    """
    wanted = parse_filter(text)
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise InputError("data.filter needs the package pyarrow", do=INSTALL) from None
    path = folder / CLIPS
    names = sorted({name for condition in wanted for name in condition.columns})
    try:
        read = parquet.read_table(path, columns=["split", "record", *names])
        columns = {name: read.column(name).to_numpy(zero_copy_only=False) for name in ("split", "record", *names)}
    except FileNotFoundError:
        do = "build it again with the package pyarrow installed; simulated sets have none"
        raise InputError("there is nothing that data.filter could read", path, do) from None
    except (ArrowException, KeyError, OSError) as error:
        raise InputError(f"it can't be read ({str(error).splitlines()[0]})", path, "build it again") from None
    records = np.asarray(columns["record"], np.float64)
    rows = np.flatnonzero((columns["split"] == split) & np.isfinite(records))
    numbers = records[rows].astype(int)
    if len(rows) != count or (np.sort(numbers) != np.arange(count)).any():
        raise InputError(f"it has {len(rows)} records of {split}, the data set {count}", path, "build it again")
    passes = np.ones(count, bool)
    for condition in wanted:
        for name in condition.columns:
            passes[numbers] &= condition.holds(np.asarray(columns[name], np.float64)[rows])
    return passes
