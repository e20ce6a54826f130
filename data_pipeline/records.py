"""A data set on disk: files of conversations per split, and `metadata.json` beside them.

    DIR/train-00000-of-00003.safetensors    conversations (`data_pipeline.shards`)
    DIR/eval-00000-of-00001.safetensors
    DIR/metadata.json                       schema version, channels, features, counts, seeds, statistics

The statistics, mean and standard deviation of every channel over the training split, scale a model's inputs and
outputs. They are therefore stored with a hash and checked whenever they are read.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from afjax import files
from afjax.audio.feature_extractors import MelFeatures, described
from afjax.errors import InputError
from afjax.normalizer import AGAIN, Normalizer
from data_pipeline.schema import VERSION, Conversation, decode
from data_pipeline.shards import open_split, write_shards

METADATA = "metadata.json"
EXTRACTOR = MelFeatures()
"""Extractor of built records; `experiments.make_features` gives others."""


SPLITS = ("train", "eval")


@dataclass(frozen=True)
class Metadata:
    """Contents of `metadata.json`.

    Attributes:
      splits: {"count", "frames", "seed"} per split.
      features: what made the audio features (`afjax.audio.feature_extractors.described`).
      sets: its public data sets, if any, by name: {"licences", "conversations", "clips"}.
      tools: programs and networks of others that shaped its content, if any (`recorded.options`).
    """

    channels: tuple[str, ...]
    features: dict[str, Any]
    fps: int
    splits: dict[str, dict[str, int]]
    normalizer: Normalizer
    sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    tools: dict[str, Any] = field(default_factory=dict)

    @property
    def feature_dim(self) -> int:
        """Numbers in a row of audio features."""
        return self.features["dim"]


class Moments:
    """Running mean and standard deviation of rows `[n, k]`."""

    def __init__(self):
        self._count, self._sum, self._square = 0, 0.0, 0.0

    def add(self, rows: np.ndarray) -> None:
        rows = rows.astype(np.float64)
        self._count += len(rows)
        self._sum = self._sum + rows.sum(axis=0)
        self._square = self._square + np.square(rows).sum(axis=0)

    def sums(self) -> list:
        """[count, sum, sum of squares] for JSON, exact; both sums are lists of K numbers."""
        return [self._count, np.asarray(self._sum).tolist(), np.asarray(self._square).tolist()]

    def merge(self, count: int, total: list[float], square: list[float]) -> None:
        """Adds the `sums` of other rows."""
        if count:
            self._count += count
            self._sum, self._square = self._sum + np.asarray(total), self._square + np.asarray(square)

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and std, float32 `[k]`. A channel that never moves gets std 1, so that it stays at 0."""
        mean = self._sum / self._count
        std = np.sqrt(np.maximum(self._square / self._count - mean**2, 0.0))
        return mean.astype(np.float32), np.where(std > 1e-6, std, 1.0).astype(np.float32)


def write_split(folder: Path, split: str, records: Iterable[bytes]) -> int:
    """Writes encoded conversations as a split (`data_pipeline.shards`), in place of an earlier one -> their number."""
    return write_shards(folder, split, map(decode, records))


def write_metadata(folder: Path, metadata: Metadata, written: Iterable[dict[str, Any]] = ()) -> None:
    """Writes `folder/metadata.json`; `written`: {"name", "count", "bytes", "sha256"} of its files, stored as a note."""
    stored = {
        "version": VERSION,
        "channels": list(metadata.channels),
        "features": metadata.features,
        "fps": metadata.fps,
        "splits": metadata.splits,
        "statistics": metadata.normalizer.to_json(),
    }
    stored |= {name: value for name in ("sets", "tools") if (value := getattr(metadata, name))}
    stored |= {"files": listed} if (listed := list(written)) else {}
    with files.aside(folder / METADATA) as path:
        path.write_text(json.dumps(stored, indent=1))


def read_metadata(folder: Path) -> Metadata:
    """Metadata of a data set. Raises InputError if there is none of this version, or its statistics are broken."""
    path = Path(folder) / METADATA
    try:
        stored = json.loads(path.read_text())
    except OSError:
        raise InputError("no data set here", path, "python -m data_pipeline.build --out DIR") from None
    except ValueError:
        raise InputError("it is no JSON", path, AGAIN) from None
    if not isinstance(stored, dict) or stored.get("version") not in range(1, VERSION + 1):
        raise InputError(f"its version is none of 1 to {VERSION}", path, AGAIN)
    try:
        channels = tuple(stored["channels"])
        features = stored["features"] if "features" in stored else _before_features(stored)
        if not (isinstance(features, dict) and isinstance(features.get("dim"), int) and "name" in features):
            raise InputError("features is no table with name and dim", path, AGAIN)
        normalizer = Normalizer.from_json(stored["statistics"], len(channels), features["dim"])
        further = stored.get("sets", {}), stored.get("tools", {})
        return Metadata(channels, features, stored["fps"], stored["splits"], normalizer, *further)
    except KeyError as error:
        raise InputError(f"{error.args[0]} is missing", path, AGAIN) from None


def _before_features(stored: dict[str, Any]) -> dict[str, Any]:
    """`features` of a data set that stores only names and widths."""
    if stored["feature_name"] == "mel":
        return described(EXTRACTOR)
    return {"name": stored["feature_name"], "dim": stored["feature_dim"]}


def read_split(folder: Path, split: str, first: int = 0) -> Iterator[Conversation]:
    """The conversations of a split in stored order, from number `first` on, or the last `-first`."""
    stored = open_split(folder, split)
    for number in range(len(stored))[first:]:
        yield stored.conversation(number)
