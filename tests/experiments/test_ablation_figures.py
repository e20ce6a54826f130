"""What the figures of a suite are made of."""

import math
from types import SimpleNamespace

import pytest

from experiments import ablation_figures


def made(name, inside, edge):
    row = {"jitter_inside": {"mean": inside}, "jitter_boundary": {"mean": edge}}
    return SimpleNamespace(cell=SimpleNamespace(name=name), record={"metrics": {"model": row}})


def test_jitter_is_the_mean_over_seeds_and_left_open_where_a_block_has_no_inside():
    found = ablation_figures._jitter([made("a", 0.5, 1.0), made("b", None, 1.2), made("a", 0.7, 1.4)])
    assert found["a"] == pytest.approx({"inside": 0.6, "at edges": 1.2})
    assert math.isnan(found["b"]["inside"]) and found["b"]["at edges"] == 1.2
