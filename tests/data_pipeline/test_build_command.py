"""`python -m data_pipeline.build`: a user's mistake is one line and code 2, a terminated build leaves nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "data_pipeline.build"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "--out"),
        (["--out={tmp}/set", "--trian=3"], "trian"),
        (["--out={tmp}/set", "--seed=-1"], "--seed"),
        (["--out={tmp}/set", "stray"], "stray"),
        (["--out={tmp}"], "exists already"),
        (["--out={tmp}/set", "--pairs={tmp}/pairs.csv"], "pairs.csv: No such file"),
        (["--out={tmp}/set", "--pairs={tmp}/pairs.csv", "--seed=3"], "--seed belongs to simulated"),
        (["--out={tmp}/set", "--latent=weights"], "--latent needs --pairs"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(tmp_path, arguments, part):
    (tmp_path / "here").touch()
    line = [*COMMAND, *(argument.format(tmp=tmp_path) for argument in arguments)]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1 and part in done.stderr
    assert os.listdir(tmp_path) == ["here"]


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminated_build_leaves_nothing(tmp_path, speaker, sign):
    line = [*COMMAND, f"--out={tmp_path}/set", "--train=100000", "--workers=1"]
    # a hang-up that is ignored here, by nohup, would be ignored there as well
    listening = {"preexec_fn": lambda: signal.signal(sign, signal.SIG_DFL)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(line, cwd=ROOT, **pipes, **listening) as build:
        try:
            until = time.monotonic() + 60
            while not list(tmp_path.iterdir()) and time.monotonic() < until:
                time.sleep(0.1)
            assert list(tmp_path.iterdir())
            build.send_signal(sign)
            _, errors = build.communicate(timeout=30)
        finally:
            build.kill()
    assert (build.returncode, errors) == (128 + sign, "")
    assert not list(tmp_path.iterdir())
