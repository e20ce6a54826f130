"""Builds of recorded conversations whose processes die: the same command again gives the same bytes.

Networks and decoders are those of `faults/sitecustomize.py`.
"""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.dataset import batches
from data_pipeline.records import read_metadata

pytest.importorskip("av")
pytest.importorskip("soxr")
soundfile = pytest.importorskip("soundfile")
ROOT = Path(__file__).resolve().parents[2]
SECONDS, VIDEOS = 4, 3
HEADER = "conversation,avatar_video,user_video,avatar_person,user_person,avatar_audio,user_audio,split,set,licence\n"


@pytest.fixture(scope="module")
def media(tmp_path_factory, write_video):
    """Folder of videos that flicker, and of voices."""
    folder = tmp_path_factory.mktemp("media")
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

    def start(self, out, *further):
        command = [sys.executable, "-m", "data_pipeline.build", f"--pairs={self.table}", f"--seconds={SECONDS}"]
        path = os.pathsep.join([str(Path(__file__).parent / "faults"), str(ROOT)])
        environment = {**os.environ, "PYTHONPATH": path, "AFJAX_TEST_NOTES": str(self.noted)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([*command, f"--out={self.folder / out}", *further], cwd=ROOT, env=environment, **pipes)

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
    found = [*out.glob("*.safetensors"), out / "metadata.json", out / "clips.csv"]
    return {path.name: path.read_bytes() for path in found}


def rows(out):
    with open(out / "clips.csv", newline="") as file:
        return {row["conversation"]: row for row in csv.DictReader(file)}


LINES = [line(n, {1: "slow", 3: "fragile", 4: "poison"}.get(n, "")) for n in (5, 4, 3, 2, 1, 0)]


def test_a_killed_driver_and_files_that_kill_their_process(media, tmp_path):
    builds, out = Builds(media, tmp_path, LINES), tmp_path / "set"
    first = builds.start("set", "--workers=1")
    builds.wait_for("c01", first)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert not (out / "metadata.json").exists()
    said = builds.build("set", "--workers=2")
    assert "c04: set aside, the process that reads it died in 3 attempts" in said and "c03: attempt 2" in said
    assert [len(builds.notes(f"c{n:02d}")) for n in range(6)] == [1, 2, 1, 2, 3, 1]
    before = contents(out)
    again = builds.build("set", "--workers=1")
    assert "c04: set aside" in again and len(builds.notes()) == 10 and contents(out) == before
    kept = rows(out)
    assert [kept[name]["kept"] for name in sorted(kept)] == ["1", "1", "1", "1", "0", "1"]
    metadata = read_metadata(out)
    assert metadata.sets == {"own": {"licences": ["CC0"], "conversations": 5, "clips": 5}}
    assert metadata.splits["train"]["count"] == 3 and len(list(out.glob("train-*"))) == 1
    batch = next(batches(out, batch=2, frames=20))
    assert np.isfinite(batch["avatar_motion"]).all()


@pytest.mark.slow
def test_sixty_conversations_end_the_same_whoever_dies(media, tmp_path):
    """With one worker and two, with a worker killed, and a driver."""
    builds, slow = Builds(media, tmp_path, [line(n, "slow" if n % 20 == 9 else "") for n in range(60)]), "c29"
    builds.build("one", "--workers=1")
    wanted = contents(tmp_path / "one")
    assert sum(name.startswith("train") for name in wanted) > 5
    builds.build("two", "--workers=2")
    assert contents(tmp_path / "two") == wanted
    for case in ("worker", "driver"):
        for path in builds.noted.iterdir():
            path.unlink()
        first = builds.start(case, "--workers=2")
        worker = builds.wait_for(slow, first)
        os.kill(first.pid if case == "driver" else worker, signal.SIGKILL)
        said, errors = first.communicate(timeout=600)
        if case == "driver":
            said = builds.build(case, "--workers=1")
        assert first.returncode == (-9 if case == "driver" else 0) and f"{slow}: attempt 2" in said, errors
        assert contents(tmp_path / case) == wanted
        assert len(builds.notes(slow)) == 2


@pytest.mark.slow
def test_of_two_builds_of_one_folder_one_refuses(media, tmp_path):
    builds = Builds(media, tmp_path, [line(n, "slow") for n in range(40)])
    first = builds.start("set", "--workers=1")
    builds.wait_for("c00", first)
    second = builds.start("set")
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 2 and errors.count("\n") == 1 and "another process is at work" in errors
    said, errors = first.communicate(timeout=600)
    assert first.returncode == 0, said + errors
    contents(tmp_path / "set")
