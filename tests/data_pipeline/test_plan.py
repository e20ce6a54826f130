"""What a build does before and after its conversations, at the size of a corpus: the table, splits, numbers, files."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_pipeline import shards
from data_pipeline.recorded import sharding, tally
from data_pipeline.recorded.pairs import read_pairs
from data_pipeline.recorded.sharding import planned

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = "conversation,avatar_video,user_video,avatar_person,user_person,avatar_boxes,avatar_speech,set,licence\n"
SIZE = """
import re, sys, time
from pathlib import Path
from data_pipeline import shards
from data_pipeline.recorded.pairs import read_pairs
from data_pipeline.recorded.sharding import planned

begun = time.monotonic()
pairs = sorted(read_pairs(sys.argv[1]), key=lambda pair: pair.name)
for split in ("train", "eval"):
    files = planned(split, [(pair.name, 7) for pair in pairs if pair.split == split], 170)
    print(split, sum(stop - first for file in files for _, first, stop in file.spans), len(files))
most = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())  # what a parent has is not in it
print(time.monotonic() - begun, int(most[1]) / 1024)
"""


def write_table(path, count):
    with path.open("w") as file:
        file.write(COLUMNS)
        for n in range(count):
            stem = f"improvised/train/{n // 1000:04d}/{n // 20:04d}/V00_S{n // 12:04d}_I{n:08d}_P"
            people = f"V00_P{n // 10:04d}A,V00_P{n // 10 + 1 + n % 3:04d}" if n % 500 else f"x{n},y{n}"
            file.write(f"c{n:06d},{stem}1.mp4,{stem}2.mp4,{people},{stem}1.npz,{stem}1.json,Seamless,CC BY-NC 4.0\n")
    return path


def test_files_are_filled_in_the_order_of_names():
    files = planned("train", [("a", 3), ("b", 0), ("c", 6), ("d", 1)], 4, first=10)
    assert [file.name for file in files] == [f"train-0000{n}-of-00003.safetensors" for n in range(3)]
    assert [file.first for file in files] == [10, 14, 18]
    assert [file.spans for file in files] == [(("a", 0, 3), ("c", 0, 1)), (("c", 1, 5),), (("c", 5, 6), ("d", 0, 1))]
    (empty,) = planned("eval", [], 4)
    assert empty.spans == () and empty.name == "eval-00000-of-00001.safetensors"


def test_sums_of_files_are_those_of_all():
    rows = np.random.default_rng(0).standard_normal((90, 5)).astype(np.float32)
    whole, parts = sharding.Moments(), []
    whole.add(rows)
    for part in np.split(rows, 3):
        moments = sharding.Moments()
        moments.add(part)
        sums = json.loads(json.dumps(moments.sums()))  # as they are noted
        parts.append({"sums": {"motion": sums, "audio": sums}})
    for found, wanted in zip(list(sharding.added(parts))[:2], whole.result(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    with_none = [*parts, {"sums": dict.fromkeys(sharding.TRACKS, sharding.Moments().sums())}]
    np.testing.assert_array_equal([*sharding.added(with_none)], [*sharding.added(parts)])


def test_a_file_that_is_there_is_written_once(tmp_path, clip, monkeypatch):
    """And again if it was changed, or its conversations were."""
    from data_pipeline.schema import encode

    def conversation(name, source):
        folder = tmp_path / "clips" / name
        folder.mkdir(parents=True, exist_ok=True)
        lines = [["0000", {"start": 0, "reason": ""}], ["0001", {"start": 80, "reason": "dark"}]]
        (folder / "result.json").write_text(json.dumps({"source": source, "reason": "", "lines": lines}))
        (folder / "0000.npz").write_bytes(encode(clip(len(name))))

    conversation("a", "1")
    conversation("bc", "2")
    made, before = [], shards.write_shard
    monkeypatch.setattr(shards, "write_shard", lambda *rest: made.append(1) or before(*rest))
    (shard,) = planned("train", [("a", 1), ("bc", 1)], sharding.records_of_a_file(tmp_path, "a"), first=4)
    said = sharding.write(shard, tmp_path)
    assert sharding.write(shard, tmp_path) == said and len(made) == 1 and said["count"] == 2
    split = shards.open_split(tmp_path, "train")
    assert [split.conversation(n).seed for n in range(2)] == [4, 5]
    whole = (tmp_path / shard.name).read_bytes()
    (tmp_path / shard.name).write_bytes(whole[:-1] + b"x")
    assert sharding.write(shard, tmp_path) == said and (tmp_path / shard.name).read_bytes() == whole
    conversation("a", "3")
    assert sharding.write(shard, tmp_path)["key"] != said["key"] and len(made) == 3
    assert not list((tmp_path / "attempts").iterdir())


def test_the_table_of_clips_is_written_as_a_stream(tmp_path):
    """Of 400 conversations the report keeps a few lines and sheets, and counts all."""
    pairs = sorted(read_pairs(write_table(tmp_path / "pairs.csv", 400)), key=lambda pair: pair.name)
    for number, pair in enumerate(pairs):
        lines = [
            [f"{n:04d}", {"start": 100 * n, "reason": "" if n else f"dark in {number}%", "quality": {}}]
            for n in range(3)
        ]
        folder = tmp_path / "clips" / pair.name
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps({"sync": {}, "reason": "", "lines": lines}))
    found = tally.tabulate(tmp_path / "clips.csv", pairs, tmp_path / "clips", 100, total=800)
    assert sum(found.clips.values()) == 800 and found.set_aside == 400 and len(found.reasons) == 1
    assert 100 <= len(found.sheets) <= 120 and len(found.aside) == 400
    assert found.sets == {"Seamless": {"licences": ["CC BY-NC 4.0"], "conversations": 400, "clips": 800}}
    with open(tmp_path / "clips.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1200
    for split in ("train", "eval"):
        numbers = [int(row["record"]) for row in rows if row["split"] == split and row["kept"] == "1"]
        assert numbers == list(range(found.clips[split]))


@pytest.mark.parametrize("count", [3_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_corpus_is_planned_in_a_minute_and_a_gigabyte(tmp_path, count):
    path = write_table(tmp_path / "pairs.csv", count)
    done = subprocess.run([sys.executable, "-c", SIZE, path], capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stderr
    train, held, cost = (line.split() for line in done.stdout.splitlines())
    assert int(train[1]) + int(held[1]) == 7 * count and int(held[1]) > 0
    seconds, megabytes = map(float, cost)
    print(f"{count} lines: {seconds:.1f} s, {megabytes:.0f} MB")
    assert seconds < 60 and megabytes < 1000 * max(count / 100_000, 0.4)
