"""UDIVA v0.5: two people at a table, one frontal camera per person, lapel microphones on a stereo track.

    python -m data_pipeline.sets.udiva --root FOLDER --out pairs.csv

    {train,val,test}/recordings/{talk,animals,lego,ghost}_recordings_*/SESSION/{FC1,FC2}_{T,A,L,G}.mp4
    a table of sessions anywhere below, *.csv: ID,PART.1,PART.2,...

FC1 shows the first participant, whose voice is read from the left channel; FC2 the second one, with the right channel.
`val` becomes eval, `test` is left out.
"""

from collections.abc import Iterator
from pathlib import Path

from data_pipeline.sets import program
from data_pipeline.sets.table import Row, Skipped, csv_rows, usable

LICENCE = "on request, research only"
_SPLITS = {"train": "train", "val": "eval"}
_TASKS = {"talk": "T", "animals": "A", "lego": "L", "ghost": "G"}
_COLUMNS = ("ID", "PART.1", "PART.2")


def read(root: Path, skip: Skipped) -> Iterator[Row]:
    """Sessions of known people with files of both cameras."""
    people = _people(root)
    for folder in sorted(path for path in root.glob("*/recordings/*_recordings*/*") if path.is_dir()):
        split, task, session = folder.parents[2].name, folder.parent.name.partition("_")[0], folder.name
        name = f"{session}_{task}"
        if split not in _SPLITS or task not in _TASKS:
            skip(folder.relative_to(root), "it is neither train nor val" if split not in _SPLITS else "no known task")
        elif session.zfill(6) not in people:
            skip(name, "no table of sessions says who is in it")
        elif usable(videos := [folder / f"{camera}_{_TASKS[task]}.mp4" for camera in ("FC1", "FC2")], skip, name):
            row = {"conversation": name, "split": _SPLITS[split]}
            sides = zip(("avatar", "user"), videos, people[session.zfill(6)], (1, 2), strict=True)
            for role, video, person, channel in sides:
                row |= {f"{role}_video": video, f"{role}_person": f"udiva_{person}", f"{role}_channel": channel}
            yield row


def _people(root: Path) -> dict[str, tuple[str, str]]:
    """Both participants by session, a number of six digits."""
    found = {}
    for path in sorted(root.rglob("*.csv")):
        for row in csv_rows(path):
            if not {*_COLUMNS} <= {*row}:
                break
            session, first, second = (row[column] for column in _COLUMNS)
            if session and first and second and first != second:
                found[session.zfill(6)] = first, second
    return found


if __name__ == "__main__":
    program.run(read, "UDIVA v0.5", LICENCE)
