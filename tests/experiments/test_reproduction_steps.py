"""Steps run once, in order, two at a time, and go on where they were stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from afjax.errors import InputError
from experiments.reproduction.steps import Step, done, run

ROOT = Path(__file__).resolve().parents[2]
MODULE = "timeit"
"""Of the standard library: it runs the statement that it is given, once with -n1 -r1."""


def step(name: str, code: str, *needs: str) -> Step:
    return Step(name, MODULE, ("-n1", "-r1", code), needs)


def append(path: Path, word: str) -> str:
    return f"open({str(path)!r}, 'a').write({word!r})"


def test_they_run_once_in_the_order_of_their_needs(tmp_path):
    seen, said = tmp_path / "seen", []
    plan = [step("a", append(seen, "a")), step("b", append(seen, "b"), "a"), step("c", append(seen, "c"), "b")]
    run(plan, tmp_path, jobs=3, say=said.append)
    assert seen.read_text() == "abc" and [line.partition(":")[0] for line in said] == ["a", "b", "c"]
    run(plan, tmp_path, say=said.append)
    assert seen.read_text() == "abc" and len(said) == 3
    plan[1] = step("b", append(seen, "B") + "; raise SystemExit('stopped')", "a")
    with pytest.raises(InputError, match="stopped"):
        run(plan, tmp_path, say=said.append)
    assert seen.read_text() == "abcB" and done(plan[2], tmp_path) is None, "c waits for another b"
    plan[1] = step("b", append(seen, "b"), "a")
    run(plan, tmp_path, say=said.append)
    assert seen.read_text() == "abcBbc"


def test_independent_steps_run_side_by_side(tmp_path):
    wait = "import pathlib, time\nwhile not pathlib.Path({!r}).exists(): time.sleep(.01)"
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    plan = [step("one", f"open({a!r}, 'w')\n" + wait.format(b)), step("two", f"open({b!r}, 'w')\n" + wait.format(a))]
    run(plan, tmp_path, jobs=2, say=lambda line: None)
    assert all(done(each, tmp_path)["seconds"] > 0 for each in plan)


def test_a_step_that_fails_is_named_and_tried_again(tmp_path):
    seen = tmp_path / "seen"
    fails = f"import os\nif not os.path.exists({str(seen)!r}): raise SystemExit('no such thing')"
    plan = [step("a", fails), step("b", append(seen, "b"), "a")]
    with pytest.raises(InputError, match=r"step a: SystemExit: no such thing; .*a\.log says more"):
        run(plan, tmp_path, say=lambda line: None)
    assert not seen.exists()
    seen.write_text("")
    run(plan, tmp_path, say=lambda line: None)
    assert seen.read_text() == "b"


def test_an_order_that_can_not_be_is_a_defect(tmp_path):
    with pytest.raises(ValueError, match="step b"):
        run([step("b", "0", "a"), step("a", "0")], tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux ends a step with its parent")
def test_a_killed_run_leaves_no_step_behind(tmp_path):
    code = f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    source = (
        "from pathlib import Path; from experiments.reproduction.steps import *; "
        f"run([Step('a', 'timeit', ('-n1', '-r1', {code!r}))], Path({str(tmp_path)!r}))"
    )
    parent = subprocess.Popen([sys.executable, "-c", source], cwd=ROOT, stdout=subprocess.DEVNULL)
    pid = tmp_path / "pid"
    while not pid.exists() or not pid.read_text():
        assert parent.poll() is None
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(100):
        try:
            os.kill(int(pid.read_text()), 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the step lives on")
