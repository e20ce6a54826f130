"""The table of conversations: a CSV file with one line per conversation, read and checked before any work is done.

It is read as a stream. docs/data.md describes the columns. Splits never share a person: conversations that are linked
by common people, however indirectly, form a group, and a group goes to one split.
"""

import csv
import difflib
import hashlib
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from afjax.errors import InputError
from data_pipeline.records import SPLITS

ROLES = ("avatar", "user")
NEEDED = ("conversation", "avatar_video", "user_video", "avatar_person", "user_person")
FURTHER = (
    "avatar_audio", "user_audio", "avatar_channel", "user_channel", "avatar_half", "split", "start", "end",
    "avatar_boxes", "user_boxes", "avatar_speech", "user_speech", "set", "licence",
)  # fmt: skip
SILENT = "none"
"""In place of a sound file: the person listens, and no voice was recorded."""
MIXED = "mixed"
"""In place of a sound file: the video's own track, which has both voices."""
EVAL_SHARE = 0.1
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
_MAX_LINE = 1 << 16


@dataclass(frozen=True, slots=True)
class Label:
    """A file of labels, and the key that chooses among them: what follows `#` in the table, or ""."""

    path: Path
    key: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """One person of a conversation.

    Attributes:
      video: the file that shows them; `half`: "left" or "right" of a picture that shows both, "" for the whole.
      sound: the file with their voice, perhaps the video; None for silence; `channel`: which of its channels, from 1; 0
        mixes all.
      person: the person's name.
      span: start and end in seconds of the conversation in the files; an end of 0: up to the end of the files.
      boxes, speech: where their face is and when they speak, if that is known (`recorded.labels`).
      mixed: whether the other person can be heard in the sound, so that the voices must be separated.
    """

    video: Path
    half: str
    sound: Path | None
    channel: int
    person: str
    span: tuple[float, float] = (0.0, 0.0)
    boxes: Label | None = None
    speech: Label | None = None
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """A conversation of the table; `split` is "" until `split_by_person` has chosen one.

    `set`, `licence`: those of its public data set, or "".
    """

    name: str
    avatar: Side
    user: Side
    split: str
    set: str = ""
    licence: str = ""

    @property
    def mixed(self) -> bool:
        """Whether its voices must be separated."""
        return self.avatar.mixed or self.user.mixed


def read_pairs(path: str | Path, separate: bool = False) -> list[Pair]:
    """The conversations of a table, each with its split. Raises InputError for the first fault, with its line.

    `separate`: whether mixed voices can be separated; otherwise they are a fault.
    """
    path = Path(path).expanduser().absolute()
    pairs, names = [], {}
    for line, row in _rows(path):
        place = f"{path}, line {line}"
        pair = _pair(row, path.parent, place, separate)
        if pair.name.lower() in names:
            raise InputError(f"conversation {pair.name!r} is in line {names[pair.name.lower()]} already", place)
        names[pair.name.lower()] = line
        pairs.append(pair)
    if not pairs:
        raise InputError("the table has no conversations", path)
    chosen = [pair for pair in pairs if pair.split]
    if chosen and len(chosen) < len(pairs):
        odd = next(pair.name for pair in pairs if not pair.split)
        raise InputError(f"{odd} has no split, others have", path, "fill the column or leave it empty throughout")
    _check_splits(chosen, path)
    return pairs if chosen else split_by_person(pairs)


def _rows(path: Path):
    """(line, cells by column) of every line that is not empty."""
    try:
        with path.open("rb") as file:
            wide = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
        with path.open(newline="", encoding="utf-16" if wide else "utf-8-sig") as file:
            head = file.readline(_MAX_LINE)
            if len(head) == _MAX_LINE:
                raise InputError("its first line has no end, is it a table?", path)
            file.seek(0)
            yield from _cells(file, head, path)
    except OSError as error:
        raise InputError(error.strerror or "can't be read", path, "docs/data.md describes the table") from None
    except UnicodeError:
        raise InputError("it is neither UTF-8 nor UTF-16 text", path, "save the table as CSV, UTF-8") from None


def _cells(file: Iterable[str], head: str, path: Path):
    reader = csv.reader(file, delimiter=_delimiter(head), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        while header and not header[-1]:  # spreadsheets keep columns that were emptied
            header.pop()
        _check_header(header, path)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            while len(cells) > len(header) and not cells[-1].strip():
                cells.pop()
            if len(cells) != len(header):
                raise InputError(f"{len(cells)} cells under {len(header)} columns", f"{path}, line {reader.line_num}")
            yield reader.line_num, {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    except csv.Error as error:
        raise InputError(f"it is no CSV ({error})", f"{path}, line {reader.line_num}") from None


def _delimiter(head: str) -> str:
    """Separator of a table's columns: a comma, or what a spreadsheet puts there."""
    return max(",;\t", key=lambda mark: sum(name.strip(' "\r\n') in NEEDED for name in head.split(mark)))


def _check_header(header: list[str], path: Path):
    for name in header:
        if name not in NEEDED + FURTHER:
            close = difflib.get_close_matches(name, NEEDED + FURTHER, n=1)
            do = f"did you mean {close[0]}?" if close else "there are: " + ", ".join(NEEDED + FURTHER)
            raise InputError(f"unknown column {name!r}", path, do)
        if header.count(name) > 1:
            raise InputError(f"column {name} is there twice", path)
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise InputError(f"column {', '.join(missing)} is missing", path, "docs/data.md describes the table")


def _pair(row: dict[str, str], folder: Path, place: str, separate: bool) -> Pair:
    for name in NEEDED:
        if not row[name]:
            raise InputError(f"{name} is empty", place)
    if not _NAME.fullmatch(row["conversation"]):
        do = "letters, digits, _, - and . are allowed, at most 80"
        raise InputError(f"{row['conversation']!r} is no name for a conversation", place, do)
    half, split = row.get("avatar_half", ""), row.get("split", "")
    if half not in ("", "left", "right"):
        raise InputError(f"avatar_half is {half!r}", place, "left, right, or empty")
    if split not in ("", *SPLITS):
        raise InputError(f"split is {split!r}", place, "train, eval, or empty")
    halves = {"avatar": half, "user": {"": "", "left": "right", "right": "left"}[half]}
    span = _span(row, place)
    avatar, user = (_side(row, role, halves[role], span, folder, place) for role in ROLES)
    if avatar.person == user.person:
        raise InputError(f"{user.person} is on both sides", place)
    told_apart = bool(half) or bool(avatar.boxes and user.boxes and avatar.boxes != user.boxes)
    if avatar.video != user.video and half or avatar.video == user.video and not told_apart:
        what, do = ("two videos have no halves", "leave avatar_half empty") if half else (
            "both sides have the same video", "say where the avatar is: avatar_half left or right, or boxes of both"
        )  # fmt: skip
        raise InputError(what, place, do)
    if avatar.sound is None and user.sound is None:
        raise InputError(f"neither has a voice, both are {SILENT!r}", place)
    if avatar.sound == user.sound and not (avatar.channel and user.channel and avatar.channel != user.channel):
        if avatar.channel or user.channel:
            raise InputError("both sides have the same sound, and a channel of one", place, "name a channel of both")
        avatar, user = replace(avatar, mixed=True), replace(user, mixed=True)
    if (avatar.mixed or user.mixed) and not separate:
        do = "name two files or two channels, or a program: --separate (docs/data.md)"
        what = "both sides have the same sound" if avatar.sound == user.sound else "a voice is mixed with the other one"
        raise InputError(what, place, do)
    source, licence = row.get("set", ""), row.get("licence", "")
    return Pair(row["conversation"], avatar, user, split, sys.intern(source), sys.intern(licence))


def _span(row: dict[str, str], place: str) -> tuple[float, float]:
    span = []
    for name in ("start", "end"):
        cell = row.get(name, "") or "0"
        try:
            span.append(float(cell))
        except ValueError:
            span.append(-1.0)
        if not 0 <= span[-1] < 1e6:
            raise InputError(f"{name} is {cell!r}", place, "seconds, or empty")
    if row.get("end") and span[1] <= span[0]:
        raise InputError(f"it ends at {span[1]:g} s, before its start", place)
    return span[0], span[1]


def _side(row: dict[str, str], role: str, half: str, span: tuple[float, float], folder: Path, place: str) -> Side:
    channel = row.get(f"{role}_channel", "") or "0"
    if not (channel.isascii() and channel.isdigit() and int(channel) <= 16):
        raise InputError(f"{role}_channel is {channel!r}", place, "a number from 1 on, or empty")
    video = folder / Path(row[f"{role}_video"]).expanduser()
    sound = row.get(f"{role}_audio", "")
    mixed = sound == MIXED
    if mixed and int(channel):
        raise InputError(f"{role}_channel is {channel}, {role}_audio is {MIXED!r}", place, "leave the channel empty")
    sound = None if sound == SILENT else folder / Path(sound).expanduser() if sound and not mixed else video
    boxes, speech = (_label(row.get(f"{role}_{what}", ""), folder) for what in ("boxes", "speech"))
    return Side(video, half, sound, int(channel), row[f"{role}_person"], span, boxes, speech, mixed)


def _label(cell: str, folder: Path) -> Label | None:
    if not cell:
        return None
    name, _, key = cell.rpartition("#") if "#" in cell else (cell, "", "")
    return Label(folder / Path(name).expanduser(), key)


def _check_splits(pairs: Sequence[Pair], path: Path):
    seen: dict[str, Pair] = {}
    for pair in pairs:
        for side in (pair.avatar, pair.user):
            first = seen.setdefault(side.person, pair)
            if first.split != pair.split:
                what = f"{side.person} is in {first.split} ({first.name}) and in {pair.split} ({pair.name})"
                raise InputError(what, path, "a person belongs to one split")


def split_by_person(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs in their order, about EVAL_SHARE of them in `eval` and the rest in `train`, no person in both.

    Groups of linked conversations are taken in the order of a hash of their people, so that a split depends only on the
    people. Every group that fits into the share goes to `eval`, at least the smallest group. A single group is all
    `train`.
    """
    parent = {side.person: side.person for pair in pairs for side in (pair.avatar, pair.user)}

    def root(person: str) -> str:
        while parent[person] != person:
            person = parent[person] = parent[parent[person]]
        return person

    for pair in pairs:
        first, second = sorted((root(pair.avatar.person), root(pair.user.person)))
        parent[second] = first
    size: dict[str, int] = {}
    for pair in pairs:
        size[root(pair.user.person)] = size.get(root(pair.user.person), 0) + 1
    held, room = set(), max(EVAL_SHARE * len(pairs), min(size.values()))
    for group in sorted(size, key=lambda group: hashlib.sha256(group.encode()).digest()) if len(size) > 1 else ():
        if size[group] <= room:
            held.add(group)
            room -= size[group]
    return [replace(pair, split="eval" if root(pair.user.person) in held else "train") for pair in pairs]
