"""The released network live, at the size of the tests."""

import json
from dataclasses import replace

import numpy as np
import pytest

from afjax.config import from_dict
from experiments.configs import released
from experiments.live import released_pipeline
from experiments.live.released_pipeline import SMALL


@pytest.mark.slow
def test_a_block_goes_from_pictures_to_pictures(tmp_path, capsys):
    summary = released_pipeline.measure(SMALL, block=5, blocks=6, most=1)
    json.dumps(summary)
    assert summary["setting"] == {"block": 5, "size": 64, "nfe": 10, "precision": "tf32"}
    assert set(summary["stage_ms"]) == set(summary["floor_ms"]) == {"see", "step", "show"}
    block, stages = summary["block_ms"], summary["stage_ms"]
    assert 0 < block["p50"] <= block["p99"] and block["n"] == 6
    assert all(summary["floor_ms"][name] < stages[name]["p50"] for name in stages)
    released_pipeline.report(summary)
    assert "sessions at real time" in capsys.readouterr().out


@pytest.mark.slow
def test_sessions_see_their_own_pictures_and_go_on():
    config = from_dict(released.get_config("empty").to_dict())
    line = released_pipeline.Pipeline(replace(config, model=SMALL.flow), SMALL, 2)
    first, second = np.stack(line.whole()), np.stack(line.whole())
    assert first.shape == (2, 10, 64, 64, 3) and first.dtype == np.uint8
    assert (first[0] != first[1]).any() and (first != second).any()
