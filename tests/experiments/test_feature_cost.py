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
