"""Seamless Interaction: two people, one video and one lapel microphone per person, faces and speech labelled.

    python -m data_pipeline.sets.seamless --root FOLDER --out pairs.csv

Files lie as the hub's archives unpack (A), or as the bucket has single files (B):

    LABEL/SPLIT/0012/0345/V00_S0644_I00000125_P0299A.{mp4,wav,json,npz}
    LABEL/SPLIT/{video/F.mp4,audio/F.wav,metadata/vad/F.jsonl,boxes_and_keypoints/keypoints/F.npy}

LABEL is improvised or naturalistic, SPLIT train, dev (which becomes eval) or test (left out). Ids join the two people
of an interaction, whichever archives of a split hold them.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from data_pipeline.sets import program
from data_pipeline.sets.table import Row, Skipped, json_of, usable

LICENCE = "CC BY-NC 4.0"
_FILE = re.compile(r"((V\d+)_S\d+_I\d+)_(P\d+[A-Z]?)")
_SPLITS = {"train": "train", "dev": "eval"}


def read(root: Path, skip: Skipped) -> Iterator[Row]:
    """Interactions of exactly two people whose files are whole."""
    for label in ("improvised", "naturalistic"):
        for folder in sorted(path for path in root.glob(f"{label}/*") if path.is_dir()):
            if folder.name not in _SPLITS:
                skip(f"{label}/{folder.name}", "it is neither train nor dev")
                continue
            for archive in sorted(folder.glob("*/*.tar")):
                if not archive.with_suffix("").is_dir():
                    skip(archive.relative_to(root), "the archive is not unpacked")
            yield from _split(folder, _SPLITS[folder.name], skip)


def _split(folder: Path, split: str, skip: Skipped) -> Iterator[Row]:
    people: dict[str, dict[str, dict]] = {}
    for video in sorted([*folder.glob("[0-9]*/[0-9]*/*.mp4"), *folder.glob("video/*.mp4")], key=lambda path: path.stem):
        found = _FILE.fullmatch(video.stem)
        if not found:
            skip(video.name, "its name is not VENDOR_SESSION_INTERACTION_PARTICIPANT")
            continue
        key, vendor, person = found.groups()
        if person in people.get(key, {}):
            skip(video.stem, "it is there twice, the first is taken")
        elif (side := _side(video, skip)) is not None:
            people.setdefault(key, {})[person] = side | {"person": f"seamless_{vendor}_{person}"}
    for key, found in sorted(people.items()):
        if len(found) != 2:
            skip(key, "its partner is missing" if len(found) == 1 else f"{len(found)} people")
            continue
        sides = zip(("avatar", "user"), (found[person] for person in sorted(found)), strict=True)
        yield {"conversation": key, "split": split} | {
            f"{role}_{what}": value for role, side in sides for what, value in side.items()
        }


def _side(video: Path, skip: Skipped) -> dict | None:
    """Columns of one person; None if something is wrong with their files."""
    name, bucket = video.stem, video.parent.name == "video"
    above = video.parent.parent
    audio = above / "audio" / f"{name}.wav" if bucket else video.with_suffix(".wav")
    boxes = above / "boxes_and_keypoints" / "keypoints" / f"{name}.npy" if bucket else video.with_suffix(".npz")
    speech = above / "metadata" / "vad" / f"{name}.jsonl" if bucket else video.with_suffix(".json")
    if not usable((video, audio), skip, name):
        return None
    if not bucket and speech.is_file():
        labels = json_of(speech, skip, name)
        if labels is None:
            return None
        if not (isinstance(labels, dict) and labels.get("metadata:vad")):
            skip(name, "nobody speaks in its labels")
            return None
    side = {"video": video, "audio": audio}
    return side | {what: path for what, path in (("boxes", boxes), ("speech", speech)) if path.is_file()}


if __name__ == "__main__":
    program.run(read, "Seamless Interaction", LICENCE)
