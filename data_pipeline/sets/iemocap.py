"""IEMOCAP: pairs of actors in the halves of one picture, with lapel microphones on a stereo track.

    python -m data_pipeline.sets.iemocap --root FOLDER --out pairs.csv

    Session1/dialog/avi/DivX/Ses01F_impro01.avi
    Session1/dialog/wav/Ses01F_impro01.wav

F or M in a name is the actor who wears sensors on the face; the other actor becomes the avatar. `--left` says who sits
left, F or M, or `sensors` or `other`. The left channel is the woman's. Build a few, and look at their contact sheets
and lags.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from afjax.errors import InputError
from data_pipeline.sets import program
from data_pipeline.sets.table import Row, Skipped, usable

LICENCE = "on request, research only"
_NAME = re.compile(r"(Ses\d\d)([FM])_\w+")
_OTHER = {"F": "M", "M": "F"}


def read(root: Path, skip: Skipped, left: str = "F") -> Iterator[Row]:
    """Dialogues with a picture and a sound."""
    if left not in ("F", "M", "sensors", "other"):
        raise InputError(f"--left is {left!r}", do="F, M, sensors or other")
    for video in sorted(root.glob("Session*/dialog/avi/DivX/*.avi")):
        name, found = video.stem, _NAME.fullmatch(video.stem)
        if not found:
            skip(name, "its name is not SesNNF_... or SesNNM_...")
            continue
        sound = video.parents[2] / "wav" / f"{name}.wav"
        if not usable((video, sound), skip, name):
            continue
        session, sensors = found.groups()
        seated = {"sensors": sensors, "other": _OTHER[sensors]}.get(left, left)
        row = {"conversation": name, "avatar_half": "left" if _OTHER[sensors] == seated else "right"}
        for role, person in (("avatar", _OTHER[sensors]), ("user", sensors)):
            row |= {f"{role}_video": video, f"{role}_person": f"iemocap_{session}{person}"}
            row |= {f"{role}_audio": sound, f"{role}_channel": 1 if person == "F" else 2}
        yield row


if __name__ == "__main__":
    program.run(read, "IEMOCAP", LICENCE, left=("F", "Who sits in the left half: F, M, sensors or other."))
