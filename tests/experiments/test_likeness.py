"""Likeness of simulated people to real ones, on made ones."""

import numpy as np

from afjax.codec.face.channels import CHANNELS
from data_pipeline.simulate.behaviour import footage
from experiments.evaluation import likeness


def person(seed, gain=1.0):
    rng = np.random.default_rng(seed)
    return footage.restless(rng, 400, gain * np.exp(0.3 * rng.standard_normal(len(CHANNELS))))


def test_people_of_one_kind_are_alike_and_a_still_one_is_outside():
    simulated = [likeness.figures(person(seed)) for seed in range(40)]
    same = {"a": likeness.figures(person(100)), "b": likeness.figures(person(101))}
    alike = likeness.shares(likeness.compare(simulated, same), 2)
    assert alike["inside"] > 0.75 and alike["within_1.5"] > 0.7
    still = {"still": likeness.figures(person(102, 0.1))}
    table = likeness.compare(simulated, still)
    assert likeness.shares(table, 1) == {"inside": 0.0, "within_1.5": 0.0}
    assert table["speed"]["yaw"]["outside"] == ["still"] and table["speed"]["yaw"]["ratio"] > 5
