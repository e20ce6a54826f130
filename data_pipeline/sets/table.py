"""The table that an importer writes, and the report of what it left out.

OUT.csv            one line per conversation (`data_pipeline.recorded.pairs`)
OUT.skipped.csv    what was left out: its name in the set, and why
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from afjax import files
from afjax.errors import InputError
from data_pipeline.recorded.pairs import FURTHER, NEEDED

COLUMNS = NEEDED + FURTHER
EMPTY = 1024
"""Bytes below which a media file holds nothing but its head."""
Row = dict[str, Any]


@dataclass
class Skipped:
    """Record of what is left out: called with a name and the reason."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, name: object, reason: str):
        self.lines.append((str(name), reason))

    def counts(self) -> Counter:
        """Counts of reasons, without the figures and names in them."""
        return Counter(re.sub(r"\S*\d\S*", "…", reason) for _, reason in self.lines)


def name_of(text: str, taken: set[str]) -> str:
    """A conversation's name made from the set's own, unlike those that are taken."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", text)
    plain = (plain if re.match(r"[A-Za-z0-9_]", plain) else f"_{plain}")[:70]
    name, number = plain, 1
    while name.lower() in taken:
        number += 1
        name = f"{plain}-{number}"
    taken.add(name.lower())
    return name


def usable(paths: Iterable[Path], skip: Skipped, name: str) -> bool:
    """Whether all files are there and hold more than a head; if not, calls `skip`."""
    for path in paths:
        size = path.stat().st_size if path.is_file() else -1
        if size < EMPTY:
            skip(name, f"{path.name} is missing" if size < 0 else f"{path.name} is empty ({size} bytes)")
            return False
    return True


def json_of(path: Path, skip: Skipped, name: str) -> Any:
    """Content of a JSON file; None where it can't be read, with a call of `skip`."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        skip(name, f"{path.name} can't be read ({type(error).__name__})")
        return None


def csv_rows(path: Path) -> Iterator[dict[str, str]]:
    """Lines of a set's table by column, cells stripped; commas or semicolons. Raises InputError if it can't be read."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            mark = max(",;\t", key=file.readline(1 << 16).count)
            file.seek(0)
            for row in csv.DictReader(file, delimiter=mark):
                yield {key.strip(): (cell or "").strip() for key, cell in row.items() if isinstance(key, str)}
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(f"can't be read ({error})", path) from None


def write(out: str | Path, rows: Iterable[Row], skip: Skipped, source: str, licence: str) -> dict:
    """Writes table and report. Returns counts. Raises InputError where nothing was found.

    A conversation of `eval` with somebody of `train` is left out: nobody is in two splits.
    """
    out = files.writable(out)
    found = list(rows)
    trained = {row[f"{r}_person"] for row in found if row.get("split") == "train" for r in ("avatar", "user")}
    kept = []
    for row in found:
        both = sorted({row["avatar_person"], row["user_person"]} & trained) if row.get("split") == "eval" else ()
        if both:
            skip(row["conversation"], f"{both[0]} is in train as well")
        else:
            kept.append(row | {"set": source, "licence": licence})
    report = out.with_name(f"{out.stem}.skipped.csv")
    with files.aside(report) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("name", "reason"), *skip.lines])
    if not kept:
        raise InputError(f"no conversation of {source} was found, {len(skip.lines)} were left out", report)
    with files.aside(out) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        columns = [name for name in COLUMNS if any(row.get(name) not in (None, "") for row in kept)]
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kept)
    splits = Counter(row.get("split") or "undivided" for row in kept)
    return {"table": str(out), "report": str(report), "conversations": dict(splits), "skipped": len(skip.lines)}
