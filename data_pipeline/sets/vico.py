"""ViCo: a speaker with a voice, and a listener without one, who becomes the avatar.

    python -m data_pipeline.sets.vico --root FOLDER --out pairs.csv

Files lie as published (A), or as in the challenge (B). Tables lie in the folder, with these columns and perhaps others:

    *.csv: audio,listener,speaker,listener_id,speaker_id,data_split
    VIDEOS/{listener,speaker}.mp4, AUDIOS/audio.wav

    {train,valid,test}.csv: uuid,speaker_id,listener_id
    videos/UUID.{listener,speaker}.mp4, audios/UUID.wav

`train` is training data; `valid` and `dev` become eval; `test` is left out.
"""

from collections.abc import Iterator
from pathlib import Path

from data_pipeline.recorded.pairs import SILENT
from data_pipeline.sets import program
from data_pipeline.sets.table import Row, Skipped, csv_rows, name_of, usable

LICENCE = "for research, see its page"
_SPLITS = {"train": "train", "valid": "eval", "val": "eval", "dev": "eval"}
_PUBLISHED = {"audio", "listener", "speaker", "listener_id", "speaker_id", "data_split"}
_CHALLENGE = {"uuid", "speaker_id", "listener_id"}


def read(root: Path, skip: Skipped) -> Iterator[Row]:
    """Lines of the tables whose files are whole."""
    taken = set()
    for path in sorted(root.glob("*.csv")):
        for number, cells in enumerate(csv_rows(path), 2):
            place = f"{path.name} line {number}"
            if {*cells} >= _PUBLISHED:
                name, split = cells["listener"], cells["data_split"]
                listener, speaker = (root / "VIDEOS" / f"{cells[role]}.mp4" for role in ("listener", "speaker"))
                sound = root / "AUDIOS" / f"{cells['audio']}.wav"
            elif {*cells} >= _CHALLENGE:
                name, split = cells["uuid"], path.stem
                listener, speaker = (root / "videos" / f"{name}.{role}.mp4" for role in ("listener", "speaker"))
                sound = root / "audios" / f"{name}.wav"
            else:
                skip(path.name, "it is no table of ViCo")
                break
            if split not in _SPLITS:
                skip(place, f"its split is {split!r}")
            elif not all(cells[column] for column in ("listener_id", "speaker_id")):
                skip(place, "its people have no ids")
            elif cells["listener_id"] == cells["speaker_id"]:
                skip(place, "one person is on both sides")
            elif usable((listener, speaker, sound), skip, name):
                yield {
                    "conversation": name_of(name, taken), "split": _SPLITS[split],
                    "avatar_video": listener, "avatar_person": f"vico_{cells['listener_id']}", "avatar_audio": SILENT,
                    "user_video": speaker, "user_person": f"vico_{cells['speaker_id']}", "user_audio": sound,
                }  # fmt: skip


if __name__ == "__main__":
    program.run(read, "ViCo", LICENCE)
