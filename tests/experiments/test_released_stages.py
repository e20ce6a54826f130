"""The benchmark of the released network's stages, at the size of the tests."""

import functools

import pytest

from afjax.weights.tiny_release import FLOW, LATENT
from experiments.live import released_stages


def test_summary_of_every_stage(capsys):
    sizes = {"matrix_product": 64, "encode_frame": LATENT, "decode_block": LATENT, "generator_block": FLOW}
    small = {name: functools.partial(released_stages.STAGES[name], size) for name, size in sizes.items()}
    assert set(released_stages.STAGES) == set(sizes)
    summary = released_stages.benchmark(small, 5)
    assert set(summary) == {"device", "jax", "repeats", "stages"} and summary["repeats"] == 5
    for stage in summary["stages"].values():
        seconds = stage["seconds"]
        assert 0 < seconds["min"] <= seconds["p50"] <= seconds["max"]
        assert stage["gflop_per_second"] == pytest.approx(stage["gflop"] / seconds["p50"]) and stage["gflop"] > 0
        assert stage["peak_gigabytes"] > 0 and "compile_seconds" in stage
    assert summary["stages"]["matrix_product"]["gflop"] == pytest.approx(2 * 64**3 / 1e9)
    released_stages.report(summary)
    printed = capsys.readouterr().out
    assert all(name in printed for name in small)
