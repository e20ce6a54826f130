"""From recordings to the paper's tables by one command, also when it is killed on the way."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.reproduction import recipe, tables
from experiments.reproduction.published import OURS, TABLES
from experiments.reproduction.recipe import Settings

ROOT = Path(__file__).resolve().parents[2]
ALL = tuple(range(1, 8))


def given(tmp_path, **more) -> Settings:
    return Settings(tmp_path / "data", tmp_path / "networks", tmp_path / "out", **more)


def test_every_row_of_ours_is_measured(tmp_path):
    for protocol in ("hdtf", "vico"):
        (tmp_path / "data" / protocol).mkdir(parents=True)
    names = {step.name for step in recipe.plan(ALL, given(tmp_path))}
    for number, table in TABLES.items():
        protocol = recipe.PROTOCOL.get(number, "dyadic")
        ours = {OURS[row] for row in table.rows if row in OURS} - {"recorded"}
        assert {f"{protocol}_{model}" for model in ours} <= names
        assert all(len(row) == len(table.columns) for row in table.rows.values())
        if "latency" in table.columns:
            assert {f"timed_{model}" for model in ours} <= names


def test_a_table_alone_needs_less(tmp_path):
    names = [step.name for step in recipe.plan((5,), given(tmp_path))]
    assert (
        names[:4] == ["codec", "records", "features_50", "features_10"] and "tuned" in names and "talking_only" in names
    )
    assert not {"infp", "plain_5", "study", "timed_tuned", "hdtf_tuned"} & set(names)


def test_blocks_share_the_window(tmp_path):
    steps = {step.name: step for step in recipe.plan((7,), given(tmp_path))}
    assert "--config.layout.cache=43" in steps["plain_5"].arguments
    assert "--config.layout.cache=23" in steps["tuned_25"].arguments
    assert not any("layout" in argument for argument in steps["plain"].arguments)


def test_tables_hold_ours_beside_the_papers_and_say_what_is_missing(tmp_path):
    figure = {"mean": 30.0, "low": 28.0, "high": 33.0, "n": 12}
    (tmp_path / "measured" / "dyadic_tuned").mkdir(parents=True)
    content = {
        "metrics": {"model": {"FID": figure}, "recorded": {}}, "missing": {"FVD": "no network i3d.onnx"}, "notes": []
    }  # fmt: skip
    (tmp_path / "measured" / "dyadic_tuned" / "published.json").write_text(json.dumps(content))
    page = tables.write(tmp_path, (6,)).read_text()
    stored = json.loads((tmp_path / "table6.json").read_text())
    row = stored["rows"]["with it, tuned"]
    assert row["ours"] == {"FID": figure} and row["paper"]["FVD"] == 170.874
    assert stored["missing"]["FVD"] == "no network i3d.onnx"
    assert stored["missing"]["with it"] == "nothing of dyadic was measured for plain"
    assert "| ours, tuned | 30.000 [28.000, 33.000] | - |" in page and "- FVD: no network i3d.onnx" in page


def start(out: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "experiments.reproduce", "--tiny", f"--out={out}"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def results(out: Path) -> dict[int, dict]:
    found = {number: json.loads((out / f"table{number}.json").read_text()) for number in ALL}
    for table in found.values():
        for row in table["rows"].values():
            row["ours"].pop("latency", None)
        table["missing"].pop("answers", None)  # names its folder
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Folder of a run that was never stopped, and its seconds."""
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("onnxruntime")
    out, started = tmp_path_factory.mktemp("whole") / "out", time.monotonic()
    child = start(out)
    said, _ = child.communicate()
    assert child.returncode == 0, said
    return out, time.monotonic() - started


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_all_tables_come_from_recordings(whole):
    found = results(whole[0])
    for number in (1, 3, 6, 7):
        rows = [row for row in found[number]["rows"].values() if row["model"] not in (None, "recorded")]
        assert rows and all("FVD" in row["ours"] for row in rows)
    assert found[4]["rows"]["Avatar Forcing"]["model"] == "tuned"
    assert (whole[0] / "bundle").is_dir() and (whole[0] / "study" / "site" / "index.html").is_file()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_five_times_the_tables_are_the_same(whole, tmp_path):
    moments = random.Random(0)
    for _ in range(5):
        child = start(tmp_path / "out")
        try:
            child.communicate(timeout=moments.uniform(0.05, 0.3) * whole[1])
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            child.communicate()
    child = start(tmp_path / "out")
    said, _ = child.communicate()
    assert child.returncode == 0, said
    assert results(tmp_path / "out") == results(whole[0])
