"""The page that compares runs: what it reads, what it draws, and that it stands alone."""

import json
import math
import re

import pytest

from afjax.errors import InputError
from experiments.report import svg
from experiments.report.compare_runs import compare, find
from tests.experiments.test_page import Page


def run(folder, losses, config, summary=None):
    """A run folder with a loss every ten steps."""
    folder.mkdir(parents=True)
    lines = [{"step": 10 * n, "loss": loss, "frames_per_second": 100.0 * n} for n, loss in enumerate(losses, 1)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "config.json").write_text(json.dumps(config))
    if summary:
        (folder / "summary.json").write_text(json.dumps(summary))
    return folder


@pytest.fixture
def two(tmp_path):
    model = {"width": 96, "depth": 3}
    run(tmp_path / "a" / "run", [4.0, 2.0, 1.0], {"model": model, "seed": 0}, {"loss": 0.5, "parameters": 611_000})
    run(tmp_path / "b" / "run", [4.0, "nan", 3.0], {"model": model | {"width": 128}, "seed": 0, "more": True})
    return tmp_path


def test_figures_and_differences(two):
    found = compare(find([str(two / "*" / "run")]), two / "runs.html")
    assert found["differ"] == ["model.width", "more"]
    assert list(found["runs"]) == ["a", "b"]
    first, second = found["runs"].values()
    assert (first["steps"], first["loss, end"], first["parameters"], first["frames/s"]) == (30, 0.5, 611_000, 200.0)
    assert (second["loss, end"], second["parameters"], second["MFU"]) == (3.0, None, None)


def test_the_page_stands_alone_and_shows_every_scalar(two):
    compare(find([str(two / "a" / "run"), str(two / "b" / "run")]), two / "runs.html")
    text = (two / "runs.html").read_text()
    page = Page(text)
    assert not page.sources and not re.search(r"https?://|url\(|@import|<script", text)
    assert {"a", "b", "loss", "frames_per_second", "model.width", "128", "96", "–"} <= set(page.text)
    assert "depth" not in text and "seed" not in text
    charts = text.split('role="img"')[1:]
    assert [chart.count("<polyline") for chart in charts] == [3, 2], "the NaN cuts a line in two"


def test_a_line_that_is_being_written_is_left_out(two):
    with (two / "a" / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 40, "lo')
    (two / "b" / "run" / "config.json").unlink()
    found = compare(find([str(two / "*" / "run")]), two / "runs.html")
    assert found["runs"]["a"]["steps"] == 30


def test_names_from_outside_are_escaped(tmp_path):
    evil = "<script>alert(1)"
    run(tmp_path / evil, [1.0, 2.0], {evil: 1})
    run(tmp_path / "b", [1.0, 2.0], {})
    compare(find([str(tmp_path / "*")]), tmp_path / "runs.html")
    text = (tmp_path / "runs.html").read_text()
    Page(text)
    assert "<script" not in text and "&lt;script&gt;" in text


def test_folders_without_a_log_are_refused(two):
    with pytest.raises(InputError, match="metrics.jsonl is missing"):
        find([str(two / "a")])


def points(drawn):
    return [
        [tuple(map(float, p.split(","))) for p in line.split(" ")] for line in re.findall(r'points="([^"]*)"', drawn)
    ]


def test_charts_are_linear_or_logarithmic():
    (line,) = points(svg.chart({"a": [(0, 0.0), (5, 1.0), (10, 2.0)]}, {"a": ""}, ""))
    assert line[0][0] == svg.LEFT and line[2][0] == svg.WIDTH - svg.RIGHT
    assert line[1] == pytest.approx(((line[0][0] + line[2][0]) / 2, (line[0][1] + line[2][1]) / 2), abs=0.1)
    (line,) = points(svg.chart({"a": [(0, 1.0), (1, 10.0), (2, 100.0)]}, {"a": ""}, ""))
    assert line[1][1] == pytest.approx((line[0][1] + line[2][1]) / 2, abs=0.1) and line[0][1] > line[2][1]
    assert len(points(svg.chart({"a": [(0, 3.0)]}, {"a": ""}, ""))) == 1
    assert svg.chart({"a": [(0, math.nan)]}, {"a": ""}, "") == ""


def test_ticks_are_round():
    assert svg.ticks(0, 100) == [0, 50, 100] and svg.ticks(3, 3) == [3]
    assert svg.ticks(0.1, 0.5) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert [svg.number(v) for v in (0, 0.00123, 12.34, 1200, 12345, 4.56e9)] == [
        "0", "0.00123", "12.3", "1200", "12.3k", "4.56G",
    ]  # fmt: skip
