"""Builds of recorded conversations by command, with the networks and decoders of `data_pipeline/faults`."""

import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SECONDS, VIDEOS = 4, 3
HEADER = "conversation,avatar_video,user_video,avatar_person,user_person,avatar_audio,user_audio,split,set,licence\n"


def write_media(folder, write_video):
    """Videos that flicker, and voices; -> the folder."""
    import soundfile

    folder.mkdir(exist_ok=True)
    for number in range(VIDEOS):
        rng = np.random.default_rng(number)
        greys = [np.full((112, 112, 3), grey, np.uint8) for grey in rng.integers(40, 200, SECONDS * 25)]
        write_video(folder / f"{number}.mp4", greys)
    for number in range(2 * VIDEOS):
        rng = np.random.default_rng(number)
        loud = np.repeat(rng.random(SECONDS * 8) < 0.5, 2000)
        soundfile.write(folder / f"{number}.wav", 0.2 * loud * rng.standard_normal(len(loud)), 16_000)
    return folder


def line(number, person=""):
    """Of the conversation of a number, with another avatar than its own if one is named."""
    avatar, user = number % VIDEOS, (number + 1) % VIDEOS
    people = f"{person or f'ann{number}'},bob{number}"
    sounds = f"{number % (2 * VIDEOS)}.wav,{(number + 1) % (2 * VIDEOS)}.wav"
    return f"c{number:02d},{avatar}.mp4,{user}.mp4,{people},{sounds},{'eval' if number % 4 == 1 else 'train'},own,CC0\n"


class Builds:
    """Builds in a folder of their own from a table of lines; `notes` are of processes that began a conversation."""

    def __init__(self, media, folder, lines):
        self.table = media / f"{folder.name}.csv"
        self.table.write_text(HEADER + "".join(lines))
        self.folder, self.noted = folder, folder / "notes"
        self.noted.mkdir()
        path = os.pathsep.join([str(ROOT / "tests" / "data_pipeline" / "faults"), str(ROOT)])
        self.environment = {**os.environ, "PYTHONPATH": path, "AFJAX_TEST_NOTES": str(self.noted)}

    def start(self, out, *further):
        command = [sys.executable, "-m", "data_pipeline.build", f"--pairs={self.table}", f"--seconds={SECONDS}"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(
            [*command, f"--out={self.folder / out}", *further], cwd=ROOT, env=self.environment, **pipes
        )

    def build(self, out, *further):
        done = self.start(out, *further)
        said, errors = done.communicate(timeout=600)
        assert done.returncode == 0, said + errors
        return said

    def notes(self, name=""):
        return sorted(path.name.split(".") for path in self.noted.glob(f"{name}*"))

    def wait_for(self, name, build):
        """The number of the process that works on a conversation."""
        while not self.notes(name):
            time.sleep(0.05)
            assert build.poll() is None, build.communicate()
        return int(self.notes(name)[-1][1])


def contents(out):
    """All that must be the same whoever built it, by name; nothing unfinished lies beside it."""
    assert not [path for path in out.rglob("*") if "partial" in path.name or path.name == "attempts"]
    found = [*out.glob("*.safetensors"), out / "metadata.json", out / "clips.csv", *out.glob("clips.parquet")]
    return {path.name: path.read_bytes() for path in found}


def rows(out):
    with open(out / "clips.csv", newline="") as file:
        return {row["conversation"]: row for row in csv.DictReader(file)}
