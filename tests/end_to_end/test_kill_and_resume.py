"""A run that is killed and started again ends as one that never was; the whole proof is `kill_and_resume`, 25 kills."""

import pytest

from tests.end_to_end.kill_and_resume import differences, kill_and_resume


@pytest.mark.slow  # tests/training/test_interrupted.py shows the same for signals
def test_kills_leave_no_trace(config, workdir, tmp_path):
    settings = [f"--config.training.{name}={value}" for name, value in (("save_every", 3), ("log_every", 1))]
    settings += [f"--config.data.path={config.data.path}", "--config.training.sample_every=1000"]
    kill_and_resume(tmp_path / "run", settings, kills=2, longest=0.2)
    assert differences(config, workdir, tmp_path / "run") == []
