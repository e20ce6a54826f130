"""What the figures of a suite are made of."""

import math
from types import SimpleNamespace

import pytest

from experiments.ablation import figures


def made(name, inside, edge):
    row = {"jitter_inside": {"mean": inside}, "jitter_boundary": {"mean": edge}}
    return SimpleNamespace(cell=SimpleNamespace(name=name), record={"metrics": {"model": row}})


def test_the_frontier_has_a_point_a_seed_and_shades_what_is_as_good_as_the_first_cell(tmp_path, monkeypatch):
    def cell(name, wait, fd, response):
        row = {"fd": {"mean": fd}, "event_response_smile": {"mean": response}}
        reaction = {"model": {"p50": wait}, "people": {"p50": 280.0}}
        record = {"metrics": {"model": row}, "reaction": reaction}
        return SimpleNamespace(cell=SimpleNamespace(name=name), record=record)

    cells = [cell("late", None, 3.0, None), cell("first", 780, 1.0, 0.5), cell("first", 820, 2.0, 0.7)]
    figures._frontier(tmp_path / "drawn.png", "first", cells)
    assert (tmp_path / "drawn.png").stat().st_size > 1000
    drawn = []
    monkeypatch.setattr(figures.comparison_plots, "trades", lambda *given, ticks: drawn.extend(given))
    figures._frontier(tmp_path / "drawn.png", "first", cells)
    _, panels, _, people = drawn
    (distance, near), (response, often) = panels.values()
    assert distance["first"] == [(780, 1.0), (820, 2.0)] and response["first"] == [(780, 0.5), (820, 0.7)]
    assert math.isnan(distance["late"][0][0]) and distance["late"][0][1] == 3.0
    assert near == pytest.approx((0, 1.65)) and often == pytest.approx((0.54, 1)) and people == 280


def test_evaluations_are_drawn_by_what_they_cost(tmp_path, monkeypatch):
    def cell(name, evaluations, fd, smile):
        row = {"fd": {"mean": fd}, "event_response_smile": {"mean": smile}, "variance": {"mean": 0.9}}
        record = {"metrics": {"model": row}, "evaluations": evaluations}
        return SimpleNamespace(cell=SimpleNamespace(name=name), record=record)

    cells = [cell("teacher", 20, 1.0, 0.5), cell("student", 2, 1.5, None), cell("teacher", 20, 2.0, 0.5)]
    figures._evaluations(tmp_path / "drawn.png", "teacher", cells)
    assert (tmp_path / "drawn.png").stat().st_size > 1000
    drawn = []
    monkeypatch.setattr(figures.comparison_plots, "trades", lambda *given, ticks: drawn.extend(given))
    figures._evaluations(tmp_path / "drawn.png", "teacher", cells)
    distance, smiles, _ = drawn[1].values()
    assert distance == ({"teacher": [(20, 1.0), (20, 2.0)], "student": [(2, 1.5)]}, pytest.approx((0, 1.65)))
    assert math.isnan(smiles[0]["student"][0][1])


def test_jitter_is_the_mean_over_seeds_and_left_open_where_a_block_has_no_inside():
    found = figures._jitter([made("a", 0.5, 1.0), made("b", None, 1.2), made("a", 0.7, 1.4)])
    assert found["a"] == pytest.approx({"inside": 0.6, "at edges": 1.2})
    assert math.isnan(found["b"]["inside"]) and found["b"]["at edges"] == 1.2
