"""A run that is killed and started again ends as one that never was; the whole proof is `kill_and_resume`, 25 kills."""

import pytest

from tests.end_to_end.kill_and_resume import differences, kill_and_resume, start


@pytest.mark.slow  # tests/training/test_interrupted.py shows the same for signals
def test_kills_leave_no_trace(config, tmp_path):
    """Every step is logged, in both runs: a line holds means since the line before, or since the start."""
    settings = [f"--config.training.{name}={value}" for name, value in (("save_every", 3), ("log_every", 1))]
    settings += [f"--config.data.path={config.data.path}", "--config.training.sample_every=1000"]
    straight = tmp_path / "straight"
    straight.mkdir()
    assert start(straight, settings, straight / "log.txt").wait() == 0, (straight / "log.txt").read_text()
    kill_and_resume(tmp_path / "run", settings, kills=2, longest=0.2)
    assert differences(config, straight, tmp_path / "run") == []
