"""CANDOR: video calls of two people, one camera per person and their voices on two channels.

    python -m data_pipeline.sets.candor --root FOLDER --out pairs.csv

    [raw_media_part_001/]UUID/processed/{UUID.mp3,USER.mp4,USER.mp4,channel_map.json}
    [raw_media_part_001/]UUID/transcription/transcript_audiophile.csv

`channel_map.json` says whose voice is left and whose right. The whole call's video, UUID.mp4, is not used.
"""

from collections.abc import Iterator
from pathlib import Path

from data_pipeline.sets import program
from data_pipeline.sets.table import Row, Skipped, json_of, usable

LICENCE = "on request, research only"


def read(root: Path, skip: Skipped) -> Iterator[Row]:
    """Calls with one camera per person and a map of channels."""
    seen = set()
    for folder in sorted([*root.glob("*/processed"), *root.glob("raw_media_part_*/*/processed")]):
        name = folder.parent.name
        if name in seen:
            skip(name, "it is there twice, the first is taken")
            continue
        seen.add(name)
        channels = json_of(folder / "channel_map.json", skip, name)
        if channels is None:
            continue
        people = [channels.get(side) for side in ("L", "R")] if isinstance(channels, dict) else []
        if len(people) != 2 or not all(isinstance(person, str) and person for person in people):
            skip(name, "channel_map.json has no L and R")
        elif people[0] == people[1]:
            skip(name, "both channels are of one person")
        elif usable([folder / f"{name}.mp3", *(folder / f"{person}.mp4" for person in people)], skip, name):
            yield _row(name, folder, people)


def _row(name: str, folder: Path, people: list[str]) -> Row:
    row, turns = {"conversation": name}, folder.parent / "transcription" / "transcript_audiophile.csv"
    for role, person, channel in zip(("avatar", "user"), people, (1, 2), strict=True):
        row |= {f"{role}_video": folder / f"{person}.mp4", f"{role}_person": f"candor_{person}"}
        row |= {f"{role}_audio": folder / f"{name}.mp3", f"{role}_channel": channel}
        row |= {f"{role}_speech": f"{turns}#{person}"} if turns.is_file() else {}
    return row


if __name__ == "__main__":
    program.run(read, "CANDOR", LICENCE)
