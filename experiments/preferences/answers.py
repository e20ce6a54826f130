"""Answers of a preference study, read and counted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from afjax.errors import InputError
from afjax.media.container import check_file
from afjax.metrics import preference_votes

_MAX_BYTES = 16 << 20


_SIDES = {"left", "tie", "right"}


@dataclass(frozen=True)
class Key:
    """Contents of key.json, as `preference_study` writes it.

    Attributes:
      study: id of the study.
      a, b: folders of the two systems.
      pairs: {id of a pair: (file name, video of A, video of B)}.
      questions: what was asked about every pair.
    """

    study: str
    a: str
    b: str
    pairs: Mapping[str, tuple[str, str, str]]
    questions: Sequence[str] = preference_votes.QUESTIONS


@dataclass(frozen=True)
class Answers:
    """Answers of one participant.

    Attributes:
      participant: the name on the file.
      choices: {(pair, question): 0, 1 or 2, see `preference.CHOICES`}.
      left: number of decided answers that chose the video on the left.
      path: path of the file.
    """

    participant: str
    choices: Mapping[tuple[str, str], int]
    left: int
    path: Path


def _read(path: Path) -> Any:
    data = check_file(path, _MAX_BYTES).read_bytes()
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise InputError("not a JSON file", path, "is it damaged or cut short?") from None


def _text(content: Any, name: str, path: Path) -> str:
    value = content.get(name) if isinstance(content, dict) else None
    if not isinstance(value, str) or not value:
        raise InputError(f"no text under {name!r}", path, "is it a file of a preference study?")
    return value


def read_key(path: Path) -> Key:
    """Reads key.json. InputError if it isn't one."""
    content = _read(path)
    study, a, b = (_text(content, name, path) for name in ("study", "a", "b"))
    pairs = content.get("pairs")
    if not isinstance(pairs, dict) or not pairs:
        raise InputError("no pairs in it", path, "--key is the key.json beside the site")
    asked = content.get("questions", preference_votes.QUESTIONS)  # an earlier key has none, all were asked
    if not isinstance(asked, (list, tuple)) or not asked or any(q not in preference_votes.QUESTIONS for q in asked):
        raise InputError("no questions in it", path, "--key is the key.json beside the site")
    videos = {pair: tuple(_text(v, n, path) for n in ("name", "a", "b")) for pair, v in pairs.items()}
    return Key(study, a, b, videos, tuple(asked))


def read_answers(path: Path, key: Key) -> Answers:
    """Reads one participant's file. Raises InputError if it is broken or belongs to another study."""
    content = _read(path)
    participant, study = _text(content, "participant", path), _text(content, "study", path)
    if study != key.study:
        raise InputError(f"answers of study {study}, the key is of {key.study}", path, "take the other key or file")
    entries = content.get("answers")
    if not isinstance(entries, list) or not entries:
        raise InputError("no answers in it", path, "leave it out")
    choices, left = {}, 0
    for entry in entries:
        pair, asked, side = (_text(entry, name, path) for name in ("pair", "question", "choice"))
        shown = _text(entry, "left", path), _text(entry, "right", path)
        if pair not in key.pairs:
            raise InputError(f"unknown pair {pair!r}", path)
        if asked not in key.questions:
            raise InputError(f"unknown question {asked!r}", path)
        if side not in _SIDES:
            raise InputError(f"unknown choice {side!r}", path)
        _, a, b = key.pairs[pair]
        if sorted(shown) != sorted((a, b)):
            raise InputError(f"videos {shown[0]!r} and {shown[1]!r} are not those of pair {pair!r}", path)
        if (pair, asked) in choices:
            raise InputError(f"two answers to {asked} of pair {pair!r}", path)
        winner = {"left": shown[0], "right": shown[1], "tie": None}[side]
        choices[pair, asked] = preference_votes.CHOICES.index("tie" if winner is None else "a" if winner == a else "b")
        left += side == "left"
    return Answers(participant, choices, left, path)


def read_all(folder: Path, key: Key) -> list[Answers]:
    """The answers of every .json file in `folder`. Raises InputError if there is none, or a participant has two."""
    if not folder.is_dir():
        raise InputError("no such folder", folder, "--answers names the folder of the answers-NAME.json files")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() == ".json")
    if not files:
        raise InputError("no .json file in it", folder, "collect the answers-NAME.json files there")
    found: dict[str, Answers] = {}
    for file in files:
        answers = read_answers(file, key)
        if other := found.get(answers.participant):
            raise InputError(f"participant {answers.participant!r} is also in {other.path.name}", file, "keep one")
        found[answers.participant] = answers
    return list(found.values())


def array(people: Sequence[Answers], key: Key, asked: str) -> np.ndarray:
    """Answers to one question, int `[participants, pairs]`, in the key's order of pairs."""
    rows = [[one.choices.get((pair, asked), preference_votes.UNANSWERED) for pair in key.pairs] for one in people]
    return np.array(rows, np.int64)


def measure(people: Sequence[Answers], key: Key, seed: int = 0) -> dict:
    """Everything that goes into results.json."""
    arrays = {asked: array(people, key, asked) for asked in key.questions}
    given = sum(len(one.choices) for one in people)
    decided = sum(choice != preference_votes.CHOICES.index("tie") for one in people for choice in one.choices.values())
    return {
        "study": key.study,
        "a": key.a,
        "b": key.b,
        "participants": len(people),
        "pairs": len(key.pairs),
        "answers": given,
        "missing": len(people) * len(key.pairs) * len(arrays) - given,
        "left_share": sum(one.left for one in people) / decided if decided else None,
        "questions": {asked: preference_votes.question(values, seed) for asked, values in arrays.items()},
        "by_pair": {
            name: {asked: preference_votes.counts(values[:, k]) for asked, values in arrays.items()}
            for k, (name, _, _) in enumerate(key.pairs.values())
        },
    }


def rows(results: Mapping) -> list[list[str]]:
    """The table's cells, heading first: shares in per cent with their intervals, and both sign tests."""
    table = [["question", "A", "tie", "B", "answers A : B", "p", "people A : B", "p"]]
    for asked, found in results["questions"].items():
        line = [asked.replace("_", " ")]
        line += [_share(found["shares"][name]) for name in preference_votes.CHOICES]
        for counted, p in (("counts", "p_answers"), ("votes", "p_participants")):
            line += [f"{found[counted]['a']} : {found[counted]['b']}", f"{found[p]:.2g}"]
        table.append(line)
    return table


def _share(estimate: Mapping) -> str:
    if estimate["mean"] is None:
        return "-"
    mean, low, high = (100 * estimate[name] for name in ("mean", "low", "high"))
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


def about(results: Mapping) -> list[str]:
    """Lines on the data behind the table."""
    lines = [
        f"A is {results['a']}, B is {results['b']}; shares in per cent with 95 % intervals.",
        f"{results['participants']} participants, {results['pairs']} pairs, {results['answers']} answers, "
        f"{results['missing']} missing.",
    ]
    if results["left_share"] is not None:
        lines.append(f"Left was chosen in {100 * results['left_share']:.1f} % of the answers that are no tie.")
    return lines


def markdown(results: Mapping) -> str:
    """results.md."""
    head, *body = rows(results)
    lines = [f"| {' | '.join(line)} |" for line in (head, ["---"] + ["--:"] * (len(head) - 1), *body)]
    return "\n".join(["\n\n".join(about(results)), "", *lines, ""])
