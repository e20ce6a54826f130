"""Data that do not fit into memory: what is held does not grow with them, and a step does not wait."""

import os
import time
import tracemalloc

import pytest

from data_pipeline.dataset import batches
from data_pipeline.records import read_split
from experiments.live import input_cost

WIDTHS = (64, 500)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Three minutes, and half an hour in ten times as many files."""
    folder = tmp_path_factory.mktemp("sets")
    return [input_cost.linked_set(folder / f"{hours}", hours, WIDTHS, 3) for hours in (0.05, 0.5)]


def held(call) -> int:
    """Most bytes that a call allocates at a time."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def read(folder):
    iterator = batches(folder, batch=8, frames=50, stored=True)
    for _ in range(8):
        next(iterator)
        time.sleep(0.02)


def test_what_is_held_does_not_grow_with_the_data(sets):
    """Beside the same data read into a list it is some batches, read ahead as it happens."""
    few, many = (held(lambda folder=folder: read(folder)) for folder in sets)
    whole = held(lambda: list(read_split(sets[1], "train")))
    assert max(few, many) < whole / 8


@pytest.mark.skipif(not os.path.exists("/proc/self/io"), reason="Linux alone counts what a process reads")
def test_a_window_is_all_that_is_read_for_it(sets):
    motion, features = WIDTHS
    window = 50 * 2 * (2 * motion + 2 * features)
    assert window <= input_cost.bytes_of_window(sets[1], 50) < 1.02 * window


@pytest.mark.slow
def test_ten_hours_and_two_hundred_take_the_same_memory_and_no_waiting(tmp_path):
    """At the paper's widths, batch 8, steps of 50 ms; run it on a machine that does nothing else."""
    few, many = (input_cost.measure(tmp_path, hours, 8, 50, 50.0, 20) for hours in (10, 200))
    assert abs(many["resident_mb"] / few["resident_mb"] - 1) < 0.1
    assert max(few["input_wait"], many["input_wait"]) < 0.02
    assert many["bytes_per_window"] < 1.01 * 50 * 2 * 2 * sum(input_cost.WIDTHS)
