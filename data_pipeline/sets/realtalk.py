"""RealTalk: two people in one picture, their faces marked in every frame, both voices on one track.

    python -m data_pipeline.sets.realtalk --root FOLDER --out pairs.csv
    python -m data_pipeline.sets.realtalk --root FOLDER --voices VOICES --out pairs.csv

    videos/.../YOUTUBEID.avi        from videos_00.tar and so on, unpacked
    metadata/YOUTUBEID.json         from annotations.tar.gz, unpacked
    VOICES/YOUTUBEID/{p0,p1}.wav    one voice per person, if separated already; else the build does it, --separate

A box per frame says who is p0 and who is p1; nothing ties them to a side of the picture. People recur, but nobody says
who they are: a person is a person of one video. The pickles of emoca.tar.gz are not touched.
"""

from collections.abc import Iterator
from pathlib import Path

from data_pipeline.recorded.pairs import MIXED
from data_pipeline.sets import program
from data_pipeline.sets.table import Row, Skipped, json_of, name_of, usable

LICENCE = "Apache-2.0 as the hub says; the pictures are a channel's"
_PEOPLE = ("p0", "p1")


def read(root: Path, skip: Skipped, voices: str) -> Iterator[Row]:
    """Videos with boxes of two people, and their voices, separate or mixed."""
    separated, taken = program.folder(voices, "voices") if voices else None, set()
    for archive in sorted([*root.glob("videos/*.tar"), *root.glob("*.tar.gz")]):
        if not any(root.glob("videos/**/*.avi" if archive.suffix == ".tar" else "metadata/*.json")):
            skip(archive.relative_to(root), "the archive is not unpacked")
    for video in sorted(root.glob("videos/**/*.avi")):
        name, boxes = video.stem, root / "metadata" / f"{video.stem}.json"
        sounds = [separated / name / f"{person}.wav" if separated else MIXED for person in _PEOPLE]
        if not usable((video, *(sounds if separated else ())), skip, name):
            continue
        frames = json_of(boxes, skip, name)
        if frames is None:
            continue
        seen = _seen(frames)
        if not {*_PEOPLE} <= seen:
            skip(name, f"boxes of {len(seen & {*_PEOPLE})} people, two are needed")
            continue
        row = {"conversation": name_of(f"realtalk_{name}", taken)}
        for role, person, sound in zip(("avatar", "user"), _PEOPLE, sounds, strict=True):
            row |= {f"{role}_video": video, f"{role}_person": f"realtalk_{name}_{person}"}
            row |= {f"{role}_audio": sound, f"{role}_boxes": f"{boxes}#{person}"}
        yield row


def _seen(frames) -> set[str]:
    found = set()
    for frame in frames.values() if isinstance(frames, dict) else ():
        people = frame.get("people") if isinstance(frame, dict) else None
        found |= {name for name, person in (people or {}).items() if isinstance(person, dict) and person.get("bbox")}
    return found


if __name__ == "__main__":
    program.run(read, "RealTalk", LICENCE, voices=("", "Folder of voices separated already: YOUTUBEID/{p0,p1}.wav."))
