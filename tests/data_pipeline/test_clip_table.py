"""Quality numbers of many clips: the table on disk, filters that read it, and a report that stays small."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from afjax.audio.feature_extractors import described
from afjax.codec.face.channels import CHANNELS
from afjax.config.filters import NUMBERS
from afjax.errors import InputError, InputWarning
from data_pipeline import records
from data_pipeline.dataset import batches
from data_pipeline.recorded import page, table, tally
from data_pipeline.recorded.pairs import Pair, Side

ROOT = Path(__file__).resolve().parents[2]
CLIPS = 50
"""Of a conversation."""


def numbers(n):
    """Of a person in clip n of a set."""
    rng = np.random.default_rng(n)
    found = {name: float(rng.random()) for name in NUMBERS}
    return found | {"face_size": 60.0 + n % 200, "bleed": None if n % 10 == 0 else -60.0 + n % 50, "identity": None}


def corpus(folder, count):
    """Conversations of CLIPS clips, every fifth clip set aside; -> pairs, in three sets."""
    pairs = []
    for number in range(count // CLIPS):
        name, lines = f"c{number:05d}", []
        for n in range(CLIPS):
            whole = number * CLIPS + n
            reason = f"avatar: a face is seen in {whole % 90}% of it" if n % 5 == 0 else ""
            line = {"start": 500 * n, "reason": reason, "avatar_face": 1.0, "user_face": 1.0}
            line["quality"] = {"avatar": numbers(whole), "user": numbers(whole + 1)}
            lines.append([f"{n:04d}", line])
        (folder / name).mkdir(parents=True)
        result = {"sync": {}, "reason": "", "frames": 500 * CLIPS, "clips": CLIPS, "lines": lines}
        (folder / name / "result.json").write_text(json.dumps(result))
        sides = [Side(Path(f"{role}.mp4"), "", Path("a.wav"), 0, f"{role}{number}") for role in ("ann", "bob")]
        source = ("Seamless", "CANDOR", "")[number % 3]
        pairs.append(Pair(name, *sides, "eval" if number % 7 == 6 else "train", source, "CC0"))
    return pairs


def tabulated(folder, count, sheets=True):
    pairs = corpus(folder / "clips", count)
    found = tally.tabulate(folder / "clips.csv", pairs, folder / "clips", 500, total=count * 4 // 5)
    for row in found.sheets:
        (folder / "clips" / row["conversation"] / f"{row['clip']}.jpg").write_bytes(b"\xff" * 15_000)
    return pairs, found


@pytest.mark.parametrize("count", [5_000, pytest.param(700_000, marks=pytest.mark.slow)])
def test_the_report_of_a_corpus_can_be_read(tmp_path, count):
    """As many lines and pictures for 700,000 clips as for 5,000; the counts are of all."""
    pairs, found = tabulated(tmp_path, count)
    summary = {"out": "records", "codec": "face", "conversations": len(pairs), "minutes": 20 * count / 60}
    summary |= {"splits": found.splits(500), "set_aside": found.set_aside}
    short = {"says": {}, "kept": 40, "clips": CLIPS, "frames": 500 * CLIPS, "reason": ""}
    text = page.page(summary, pairs, {pair.name: short for pair in pairs}, found, tmp_path / "clips")
    print(f"{count} clips: {len(text) / 1e6:.1f} MB, {text.count('<')} tags")
    assert len(text) < 5e6 and text.count("<") < 60_000
    assert found.set_aside == count // 5 and text.count("<svg") == len(NUMBERS) - 2  # no lag is clear, no identity
    per_set = {source: counts.total() for source, counts in found.yields.items()}
    assert sum(per_set.values()) == count and set(per_set) == {"Seamless", "CANDOR", ""}
    assert sum(counts[""] for counts in found.yields.values()) == count * 4 // 5
    assert found.numbers.of("face_size")["Seamless"].sum() == 2 * found.yields["Seamless"][""]
    assert "http" not in text and "<script" not in text


def test_the_table_has_a_row_for_every_clip(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    _, found = tabulated(tmp_path, 1_000)
    rows = parquet.read_table(tmp_path / table.CLIPS).to_pylist()
    assert len(rows) == 1_000 and set(rows[0]) == set(table.COLUMNS)
    kept = [row for row in rows if row["record"] is not None]
    for split in ("train", "eval"):
        assert [row["record"] for row in kept if row["split"] == split] == list(range(found.clips[split]))
    row = rows[41]
    assert row["conversation"] == "c00000" and row["clip"] == "0041" and row["seconds"] == 20
    assert row["avatar_face_size"] == 101 and row["user_face_size"] == 102 and row["user_identity"] is None
    assert row["user_bleed"] == pytest.approx(-18) and rows[10]["avatar_bleed"] is None
    assert "a face is seen" in rows[40]["reason"] and rows[40]["record"] is None
    again = tmp_path / "again"
    tabulated(again, 1_000)
    assert (again / table.CLIPS).read_bytes() == (tmp_path / table.CLIPS).read_bytes()


def test_without_the_package_no_table_is_left_that_is_not_true(tmp_path, monkeypatch):
    (tmp_path / table.CLIPS).write_text("of an earlier build")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.warns(InputWarning, match="clips.parquet isn't written, .*requirements-parquet.txt"):
        tabulated(tmp_path, 100)
    assert not (tmp_path / table.CLIPS).exists() and (tmp_path / "clips.csv").exists()
    with pytest.raises(InputError, match="data.filter needs the package pyarrow"):
        table.passing(tmp_path, "train", "bleed<-20", 80)


@pytest.fixture(scope="module")
def filtered(tmp_path_factory, clip, save):
    """A set of 40 kept clips whose avatars' faces are 61 .. 109 pixels large, every fifth not used."""
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("filtered")
    _, found = tabulated(folder, CLIPS)
    save(folder, [clip(seed, evaluation=False) for seed in range(found.clips["train"])])
    return folder


def read(folder, filter, **more):
    iterator = batches(folder, batch=4, frames=20, filter=filter, **more)
    for _ in range(20):
        next(iterator)
        yield from (int(name.split("@")[0].rpartition("-")[2]) for name in iterator.windows)


def test_training_reads_what_a_filter_leaves(filtered):
    sizes = [60 + n for n in range(CLIPS) if n % 5]
    wanted = {number for number, size in enumerate(sizes) if size > 90}
    assert set(read(filtered, "avatar_face_size>90")) == wanted
    both = {number for number, size in enumerate(sizes) if size < 80}  # the user's is larger by one
    assert set(read(filtered, "face_size<=80")) == both
    assert set(read(filtered, "")) == set(range(len(sizes)))
    assert set(read(filtered, "", leave=10)) == set(range(30))
    assert set(read(filtered, "avatar_face_size>90", leave=10)) == {n for n in wanted if n < 30}
    iterator = batches(filtered, batch=4, frames=20, filter="avatar_face_size>90")
    assert iterator.kept == [(filtered, len(wanted), len(sizes))]


def test_a_number_that_is_not_known_holds(filtered):
    known = [n for n in range(CLIPS) if n % 5]
    wanted = {number for number, n in enumerate(known) if (n + 1) % 10 == 0}  # of the user nothing is known
    assert set(read(filtered, "user_bleed<-70")) == wanted


def test_a_filter_that_leaves_nothing_or_does_not_fit_is_one_line(filtered, tmp_path, clip, save):
    with pytest.raises(InputError, match="data.filter leaves none of 40 clips"):
        batches(filtered, filter="face_size>900")
    save(tmp_path, [clip(0, evaluation=False)])
    with pytest.raises(InputError, match="nothing that data.filter could read"):
        batches(tmp_path, frames=20, filter="face_size>60")
    (tmp_path / table.CLIPS).write_bytes((filtered / table.CLIPS).read_bytes())
    with pytest.raises(InputError, match="it has 40 records of train, the data set 1"):
        batches(tmp_path, frames=20, filter="face_size>60")
    (tmp_path / table.CLIPS).write_bytes(b"PAR1 no table")
    with pytest.raises(InputError, match="can't be read"):
        batches(tmp_path, frames=20, filter="face_size>60")


def test_of_several_sets_those_without_numbers_are_read_whole(filtered, tmp_path, clip, save):
    save(tmp_path, [clip(seed, evaluation=False) for seed in range(3)])
    with pytest.warns(InputWarning, match="all of it is read"):
        iterator = batches([(filtered, 1.0), (tmp_path, 1.0)], batch=4, frames=20, filter="avatar_face_size>100")
    assert [(kept, total) for _, kept, total in iterator.kept] == [(8, 40), (3, 3)]


@pytest.mark.parametrize("filter, said", [("nose>1", "there is no number 'nose'"), ("face_size>900", "leaves none")])
def test_a_training_says_so_in_one_line(filtered, tmp_path, filter, said):
    copied = Path(shutil.copytree(filtered, tmp_path / "records"))
    made = dataclasses.replace(records.read_metadata(copied), channels=CHANNELS, features=described(records.EXTRACTOR))
    records.write_metadata(copied, made)
    line = [sys.executable, "-m", "experiments.train", "--config=experiments/configs/quickstart.py"]
    line += [f"--config.data.path={copied}", f"--workdir={tmp_path}/run", f"--config.data.filter={filter}"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2 and said in done.stderr.splitlines()[-1], done.stderr
    assert "Traceback" not in done.stderr
