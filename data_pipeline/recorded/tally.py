"""Fate of every clip: tables on disk, written line by line, and in memory only what the report shows."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from afjax import files
from afjax.audio.framing import FPS
from data_pipeline.recorded import page, quality, table
from data_pipeline.recorded.histograms import Histograms
from data_pipeline.recorded.pairs import ROLES, Pair
from data_pipeline.recorded.prepare import read_json
from data_pipeline.records import SPLITS

COLUMNS = (
    "conversation", "clip", "split", "record", "kept", "reason", "start_seconds", "seconds",
    *(f"{role}_{what}" for role in ROLES for what in ("person", "face", "speaks", "sync")),
)  # fmt: skip


@dataclass
class Tally:
    """Counts over all clips, and those clips of which the report shows a line or a sheet.

    Attributes:
      clips, conversations, people: those of kept clips, by split.
      reasons: counts by kind of fault; aside: the first lines that were set aside; sheets: kept lines, evenly spread;
        sets: {"licences", "conversations", "clips"} by name.
      yields: counts of clips by set and kind of fault, "" for a kept one.
      numbers: quality of the kept clips, by set.
    """

    clips: Counter = field(default_factory=Counter)
    conversations: Counter = field(default_factory=Counter)
    people: dict[str, set[str]] = field(default_factory=lambda: {split: set() for split in SPLITS})
    reasons: Counter = field(default_factory=Counter)
    aside: list[dict] = field(default_factory=list)
    sheets: list[dict] = field(default_factory=list)
    sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    yields: dict[str, Counter] = field(default_factory=dict)
    numbers: Histograms = field(default_factory=Histograms)

    @property
    def set_aside(self) -> int:
        return sum(self.reasons.values())

    def splits(self, length: int) -> dict[str, dict[str, float]]:
        return {
            split: {
                "conversations": self.conversations[split],
                "clips": self.clips[split],
                "minutes": self.clips[split] * (length / FPS) / 60,
                "people": len(self.people[split]),
            }
            for split in SPLITS
        }


def rows(pair: Pair, result: Mapping, length: int) -> Iterator[dict]:
    """Lines of one conversation's table: one per clip, or one where it has none. `quality`: its numbers by role."""
    shared = {"conversation": pair.name, "split": pair.split}
    shared |= {f"{role}_person": getattr(pair, role).person for role in ROLES}
    shared |= {f"{role}_sync": found["says"] for role, found in result["sync"].items()}
    for name, line in result["lines"]:
        figures = {key: value for key, value in line.items() if key not in ("start", "reason")}
        reason = line["reason"] or result["reason"]
        span = {"start_seconds": line["start"] / FPS, "seconds": length / FPS}
        yield shared | figures | span | {"clip": name, "kept": not reason, "reason": reason}
    if not result["lines"]:
        yield shared | {"clip": "", "kept": False, "reason": result["reason"]}


def tabulate(path: Path, pairs: Sequence[Pair], work: Path, length: int, total: int, identity: bool = False) -> Tally:
    """Writes `clips.csv`, each kept clip with its number in its split, and `clips.parquet` beside it. Returns counts.

    Args:
      pairs: conversations in the order of records; work: folder with their finished folders.
      total: number of kept clips, for an even choice of sheets.
      identity: whether faces were described.
    """
    tally, step, seen = Tally(), max(1, -(-total // page.SHEETS)), 0
    medians = _people(pairs, work).medians() if identity else {}
    with (
        files.aside(path) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
        table.written(path.with_name(table.CLIPS)) as keep,
    ):
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        for pair in pairs:
            found = list(rows(pair, read_json(work / pair.name / "result.json"), length))
            outcome = tally.yields.setdefault(pair.set, Counter())
            for row in found:
                if row["kept"]:
                    row["record"] = tally.clips[pair.split]
                    tally.clips[pair.split] += 1
                    tally.sheets += [row] if seen % step == 0 else []
                    seen += 1
                    if identity:
                        _compare(row, pair, work, medians)
                    tally.numbers.add(pair.set, row["quality"])
                    outcome[""] += 1
                else:
                    kind = page.kind(row["reason"])
                    tally.reasons[kind] += 1
                    outcome[kind] += 1
                    tally.aside += [row] if len(tally.aside) < page.ASIDE else []
                writer.writerow({**row, "kept": int(row["kept"])})
                keep(row, pair)
            _count(tally, pair, sum(row["kept"] for row in found))
    return tally


def _people(pairs: Iterable[Pair], work: Path) -> quality.MedianDescriptors:
    people = quality.MedianDescriptors()
    for pair in pairs:
        for path in sorted((work / pair.name).glob("[0-9]*.faces.npy")):
            for role, face in zip(ROLES, np.load(path, allow_pickle=False), strict=True):
                people.add(getattr(pair, role).person, face)
    return people


def _compare(row: dict, pair: Pair, work: Path, medians: Mapping[str, np.ndarray]):
    """Adds the identity of both people to a kept clip's numbers."""
    faces = np.load(work / pair.name / f"{row['clip']}.faces.npy", allow_pickle=False)
    for role, face in zip(ROLES, faces, strict=True):
        cosine = quality.likeness(face, medians.get(getattr(pair, role).person))
        row["quality"][role] |= quality.rounded({"identity": cosine})


def _count(tally: Tally, pair: Pair, kept: int):
    if kept:
        tally.conversations[pair.split] += 1
        tally.people[pair.split] |= {pair.avatar.person, pair.user.person}
        if pair.set or pair.licence:
            found = tally.sets.setdefault(pair.set, {"licences": [], "conversations": 0, "clips": 0})
            found["licences"] = sorted({*found["licences"], pair.licence} - {""})
            found["conversations"] += 1
            found["clips"] += kept


def said(pairs: Iterable[Pair], results: Mapping[str, Mapping]) -> list[str]:
    """Decisions made for the user, by conversation."""
    return [sentence for pair in pairs for sentence in of_pair(pair, results[pair.name])]


def of_pair(pair: Pair, result: Mapping) -> list[str]:
    """Decisions made for the user about one conversation."""
    return [f"{pair.name}: {sentence}" for sentence in result["warnings"]]
