"""The cost of features: every part is timed, and fewer voices are multiplied up."""

import pytest

from afjax.weights.tiny_release import SPEECH
from experiments.live import feature_cost
from tests.training.test_training import quick


@pytest.mark.slow
def test_times_are_of_a_whole_batch(monkeypatch):
    """Every call is said to take one millisecond: two voices of 32 are a sixteenth of the work."""
    calls = []
    monkeypatch.setattr(feature_cost, "milliseconds", lambda call, repeats: calls.append(call()) or 1.0)
    config = quick()
    times = feature_cost.measure(config, SPEECH, voices=2, repeats=1)
    assert list(times.values()) == [1.0, config.data.batch, config.data.batch]
    metrics, mel, wav2vec2 = calls
    assert metrics["loss"] > 0
    assert mel.shape == (2, config.data.window, 100) and wav2vec2.shape == (2, config.data.window, 16)


def test_the_first_call_is_not_timed():
    seen = []
    assert feature_cost.milliseconds(lambda: seen.append(1), 3) >= 0
    assert len(seen) == 4


def test_work_and_bytes_of_a_step_are_counted():
    """Two voices; a stream's rows take a window of two seconds for each block; stored rows take two bytes a number."""
    config = quick()
    model, stored, stream, once, projected = feature_cost.counted(config, SPEECH)
    assert model["gflop_a_step"] > 0 and stored["gflop_a_step"] == projected["gflop_a_step"] == 0
    rows, window = 2 * config.data.batch * config.data.window, config.data.window
    assert stored["mb_a_step"] == pytest.approx(rows * 2 * SPEECH.dim / 1e6)
    assert once["mb_a_step"] == stream["mb_a_step"] == pytest.approx(rows * (50 + window) / window * 1280 / 1e6)
    ratio = stream["gflop_a_step"] / once["gflop_a_step"]
    assert ratio == pytest.approx(-(-window // config.layout.block) * 50 / (50 + window))
    assert stored["gb_an_hour"] == pytest.approx(2 * 3600 * 25 * 2 * SPEECH.dim / 1e9)
