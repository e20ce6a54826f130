"""The measured distance between stream and whole clip is nothing where both see the same, and something elsewhere."""

import numpy as np

from afjax.weights import convert
from afjax.weights import tiny_release as released
from afjax.weights.folder import to_folder
from experiments.evaluation import audio_window

FRAMES = 20


def test_distance():
    whole = np.random.default_rng(0).normal(size=(400, 3))
    same = audio_window.distance(whole, whole)
    assert same["difference"] == 0 and abs(same["correlation"] - 1) < 1e-12
    other = audio_window.distance(-whole, whole)
    assert abs(other["correlation"] + 1) < 1e-12 and abs(other["difference"] - 2) < 0.1


def test_stream_that_sees_all_is_at_no_distance(tmp_path):
    to_folder(**released.write(tmp_path / "in"), out=str(tmp_path / "weights"), heads=released.FLOW.heads)
    weights = convert.load(tmp_path / "weights")
    wave = 0.1 * np.random.default_rng(1).normal(size=FRAMES * 640).astype(np.float32)
    at_once = audio_window.measure(weights, wave, FRAMES, FRAMES)
    assert at_once.pop("r2") == {}  # ten rows tell nothing of 64 directions
    assert set(at_once) == {"features", "projected"}
    assert max(row["difference"] for row in at_once.values()) < 1e-4
    in_blocks = audio_window.measure(weights, wave, 5, 5)
    assert set(in_blocks) - {"r2"} == {"features", "features, later", "projected", "projected, later"}
    assert min(row["difference"] for name, row in in_blocks.items() if name != "r2") > 1e-3


def test_a_projection_keeps_what_lies_in_its_directions():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 20)) + 5.0
    assert audio_window.explained(rows, 3) > 1 - 1e-9
    assert 0.3 < audio_window.explained(rows, 1) < 0.8
    noise = audio_window.explained(rng.normal(size=(400, 20)), 5)  # directions that the other half doesn't share
    assert 0.15 < noise < 0.35
