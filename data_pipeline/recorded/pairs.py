"""The table of conversations: a CSV file with a line each, read and checked before any work is done.

docs/data.md describes the columns. Splits never share a person: conversations that are linked by common people, however
indirectly, form a group, and a group goes to one split.
"""

import csv
import difflib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from afjax.errors import InputError
from data_pipeline.records import SPLITS

ROLES = ("avatar", "user")
NEEDED = ("conversation", "avatar_video", "user_video", "avatar_person", "user_person")
FURTHER = ("avatar_audio", "user_audio", "avatar_channel", "user_channel", "avatar_half", "split")
EVAL_SHARE = 0.1
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
_MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Side:
    """One person of a conversation.

    Attributes:
      video: the file that shows them; `half`: "left" or "right" of a picture that shows both, "" for the whole.
      sound: the file with their voice, perhaps the video; `channel`: which of its channels, from 1; 0 mixes all.
      person: who it is.
    """

    video: Path
    half: str
    sound: Path
    channel: int
    person: str


@dataclass(frozen=True)
class Pair:
    """A conversation to build from; `split` is "" until `split_by_person` has chosen one."""

    name: str
    avatar: Side
    user: Side
    split: str


def read_pairs(path: str | Path) -> list[Pair]:
    """The conversations of a table, each with its split. Raises InputError for the first fault, with its line."""
    path = Path(path).expanduser().absolute()
    pairs, names = [], {}
    for line, row in _rows(path):
        place = f"{path}, line {line}"
        pair = _pair(row, path.parent, place)
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
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"over {_MAX_BYTES >> 20} MiB, is it a table?", path)
        data = path.read_bytes()
        text = data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except OSError as error:
        raise InputError(error.strerror or "can't be read", path, "docs/data.md describes the table") from None
    except UnicodeDecodeError:
        raise InputError("it is neither UTF-8 nor UTF-16 text", path, "save the table as CSV, UTF-8") from None
    lines = text.splitlines()
    reader = csv.reader(lines, delimiter=_delimiter(lines), strict=True)
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


def _delimiter(lines: Sequence[str]) -> str:
    """What stands between the columns of a table: a comma, or what a spreadsheet puts there."""
    head = lines[0] if lines else ""
    return max(",;\t", key=lambda mark: sum(name.strip(' "') in NEEDED for name in head.split(mark)))


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


def _pair(row: dict[str, str], folder: Path, place: str) -> Pair:
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
    avatar, user = (_side(row, role, halves[role], folder, place) for role in ROLES)
    if avatar.person == user.person:
        raise InputError(f"{user.person} is on both sides", place)
    if (avatar.video == user.video) != bool(half):
        what, do = ("two videos have no halves", "leave avatar_half empty") if half else (
            "both sides have the same video", "say where the avatar is: avatar_half left or right"
        )  # fmt: skip
        raise InputError(what, place, do)
    if avatar.sound == user.sound and not (avatar.channel and user.channel and avatar.channel != user.channel):
        do = "name two files or two channels; docs/data.md says how voices are separated"
        raise InputError("both sides have the same sound", place, do)
    return Pair(row["conversation"], avatar, user, split)


def _side(row: dict[str, str], role: str, half: str, folder: Path, place: str) -> Side:
    channel = row.get(f"{role}_channel", "") or "0"
    if not (channel.isascii() and channel.isdigit() and int(channel) <= 16):
        raise InputError(f"{role}_channel is {channel!r}", place, "a number from 1 on, or empty")
    video = folder / Path(row[f"{role}_video"]).expanduser()
    sound = row.get(f"{role}_audio", "")
    sound = folder / Path(sound).expanduser() if sound else video
    return Side(video, half, sound, int(channel), row[f"{role}_person"])


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

    Groups of linked conversations are taken in the order of a hash of their people, so that a split depends on nothing
    but who is there. Whatever group fits into the share goes to `eval`, at least the smallest group. With a single
    group everything is `train`.
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
