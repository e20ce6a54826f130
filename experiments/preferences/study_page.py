"""The page of a preference study: pairs, their order, the key."""

import json
import random
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from afjax import files
from afjax.errors import InputError
from afjax.files import folder_aside
from afjax.media.container import open_media
from afjax.media.video import VideoInfo, probe
from afjax.metrics import preference_votes
from experiments import cli

TEMPLATE = Path(__file__).with_name("preference_page.html")
"""The page; `@STUDY@` in it stands for the study as JSON."""


TEXTS = {
    "reactiveness": ("Reactiveness", "Which avatar reacts better to what the other person says and does?"),
    "motion_richness": ("Motion richness", "Which avatar moves in a richer, livelier way?"),
    "verbal_alignment": ("Verbal alignment", "Which avatar's lips and face fit its own words better?"),
    "nonverbal_alignment": (
        "Non-verbal alignment",
        "Which avatar's gaze, nods and expressions fit the other person's better?",
    ),
    "overall": ("Overall", "Which avatar would you rather talk to?"),
}
"""Heading and wording of each of `preference.QUESTIONS`."""


_SECONDS = 0.1


_PLAIN_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder", "creation_time"}


@dataclass(frozen=True)
class Pair:
    """Two videos of one name, under the ids by which the page knows them.

    Attributes:
      id: id of the pair.
      name: the file name in both folders.
      a, b: ids of the videos.
    """

    id: str
    name: str
    a: str
    b: str


def common_videos(a: Path, b: Path) -> tuple[list[str], list[str]]:
    """Names of the .mp4 files that lie in both folders, and of those that lie in one only; both sorted.

    Raises InputError if a folder is missing, both are the same or no name is common.
    """
    for folder in (a, b):
        if not folder.is_dir():
            do = "--a and --b name folders of videos, or with --user_video models"
            raise InputError("no such folder", folder, do)
    if a.resolve() == b.resolve():
        raise InputError("--a and --b are the same folder", a)
    inside = [{file.name for file in folder.iterdir() if file.suffix.lower() == ".mp4"} for folder in (a, b)]
    both = sorted(inside[0] & inside[1])
    if not both:
        raise InputError(
            f"no .mp4 name is in both {a} ({len(inside[0])} videos) and {b} ({len(inside[1])} videos)",
            do="give both systems' videos of a clip the same name",
        )
    return both, sorted(inside[0] ^ inside[1])


def sample_pairs(names: Sequence[str], seed: int) -> tuple[str, list[Pair]]:
    """Id of the study and its pairs, in an order and under ids that say nothing about the names."""
    rng = random.Random(seed)
    tokens = rng.sample(range(16**11, 16**12), 3 * len(names) + 1)
    ids = [f"{token:x}" for token in tokens]
    pairs = [Pair(ids[k], name, ids[k + 1], ids[k + 2]) for name, k in zip(names, range(1, len(ids), 3), strict=True)]
    return ids[0], sorted(pairs, key=lambda pair: pair.id)


def page(study: str, pairs: Sequence[Pair], note: str, questions: Sequence[str]) -> str:
    """The page's HTML. It holds neither names nor sides: a pair's videos are listed by their ids in rising order."""
    content = {
        "study": study,
        "note": note,
        "pairs": [{"id": pair.id, "videos": sorted((pair.a, pair.b))} for pair in pairs],
        "questions": [{"id": q, "title": TEXTS[q][0], "text": TEXTS[q][1]} for q in questions],
    }
    text = json.dumps(content, indent=1).replace("<", "\\u003c")
    return TEMPLATE.read_text(encoding="utf-8").replace("@STUDY@", text)


def check(path: Path) -> tuple[VideoInfo, list[str]]:
    """Size and length of a video that browsers play, and its tags. Raises InputError for any other."""
    info = probe(path)
    with open_media(path, "video") as container:
        codec = container.streams.video[0].codec_context
        kind = f"{codec.name} {codec.pix_fmt}"
        tags = sorted(set(container.metadata) - _PLAIN_TAGS)
    if kind not in {"h264 yuv420p", "h264 yuvj420p"}:
        raise InputError(
            f"{kind} does not play in every browser", path, "convert it: ffmpeg -i IN -c:v libx264 -pix_fmt yuv420p OUT"
        )
    return info, tags


def telling(name: str, a: Path, b: Path) -> list[str]:
    """Lines on what in a pair's files might tell the systems apart. Raises InputError for unplayable videos."""
    (first, first_tags), (second, second_tags) = check(a / name), check(b / name)
    lines = []
    if (first.width, first.height) != (second.width, second.height):
        lines.append(f"{name}: {first.width} x {first.height} px in A, {second.width} x {second.height} in B")
    if abs(first.seconds - second.seconds) > _SECONDS:
        lines.append(f"{name}: {first.seconds:.2f} s in A, {second.seconds:.2f} s in B")
    if first.has_sound != second.has_sound:
        lines.append(f"{name}: only {'A' if first.has_sound else 'B'} has sound")
    if tags := sorted({*first_tags, *second_tags}):
        lines.append(f"{name}: carries tags that a participant could read: {', '.join(tags)}")
    return lines


def places(out: Path, key: Path | None = None) -> tuple[Path, Path]:
    """Folder of the page and file of the key, by default key.json beside it.

    Raises InputError where they can't be written, one exists, or participants could read the key.
    """
    out = files.writable(out, folder=True).resolve()
    key = out.parent / "key.json" if key is None else files.writable(key).resolve()
    if key.is_relative_to(out):
        raise InputError("the key would lie in the site, where participants can read it", key, "choose another --key")
    if out.exists() and any(out.iterdir()):
        raise InputError("it exists already", out, "choose another --out")
    if key.exists():
        raise InputError("it exists already, and its study's answers need it", key, "choose another --key or --out")
    return out, key


def make(
    a: Path, b: Path, out: Path, key: Path | None = None, seed: int | None = None, note: str = "",
    questions: Sequence[str] = preference_votes.QUESTIONS,
) -> tuple[dict, list[str]]:  # fmt: skip
    """Writes the folder `out` and the file `key`, or nothing if anything is wrong.

    Args:
      a, b: folders of the systems' videos.
      out: folder to make.
      key: file to make; None is key.json beside `out`.
      seed: seed of ids and order; None draws one.
      note: a sentence that participants read about all videos.
      questions: what is asked about every pair.

    Returns the content of `key`, and remarks on what might tell the systems apart or was left out.

    Raises:
      InputError: a folder or common names are missing, a video does not play in browsers, an output exists.
    """
    (out, key), a, b = places(out, key), a.resolve(), b.resolve()
    names, single = common_videos(a, b)
    remarks = [f"{name} is in one folder only and left out" for name in single]
    with folder_aside(out) as folder, cli.Progress(len(names), "check", "pairs") as progress:
        for name in names:
            remarks += telling(name, a, b)
            progress.update()
        seed = secrets.randbits(32) if seed is None else seed
        study, pairs = sample_pairs(names, seed)
        (folder / "videos").mkdir()
        sources = {token: system / pair.name for pair in pairs for token, system in ((pair.a, a), (pair.b, b))}
        for token, source in sorted(sources.items()):
            shutil.copyfile(source, folder / "videos" / f"{token}.mp4")
        (folder / "index.html").write_text(page(study, pairs, note, questions), encoding="utf-8")
        sides = {pair.id: {"name": pair.name, "a": pair.a, "b": pair.b} for pair in pairs}
        content = {"study": study, "seed": seed, "a": str(a), "b": str(b), "questions": list(questions), "pairs": sides}
        files.write_json(key, content)
    return content, remarks
