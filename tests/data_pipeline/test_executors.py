"""Jobs in processes: all results whoever dies, and nothing of one job touches another."""

import os
import signal
import sys

import pytest

from afjax.errors import InputError
from data_pipeline.executors import DEATHS, executor, local


def double(number):
    return 2 * number


def killed_once(path):
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


def killed(_):
    os.kill(os.getpid(), signal.SIGKILL)


def wrong(number):
    raise ValueError(f"number {number}")


def leaving(_):
    sys.exit(3)


def test_every_job_has_its_result():
    jobs = ((str(number), (number,)) for number in range(9))
    assert dict(local.run(double, jobs, 2)) == {str(number): 2 * number for number in range(9)}
    assert not list(local.run(double, (), 2))


def test_a_process_that_dies_loses_its_own_job_which_is_begun_again(tmp_path):
    paths = [tmp_path / name for name in "abc"]
    assert sorted(local.run(killed_once, ((path.name, (path,)) for path in paths), 2)) == [(n, n) for n in "abc"]


@pytest.mark.parametrize("function", [killed, leaving])
def test_a_job_that_always_dies_ends_in_one_line(function):
    with pytest.raises(InputError, match=f"odd: a process died {DEATHS} times"):
        list(local.run(function, [("odd", (0,))], 1))


def test_a_defect_keeps_its_traceback():
    with pytest.raises(ValueError, match="number 3") as caught:
        list(local.run(wrong, [("odd", (3,))], 1))
    assert "in wrong" in "".join(caught.value.__notes__)


def test_an_unknown_executor_is_named():
    with pytest.raises(InputError, match="no executor 'spark'"), executor("spark", 2):
        pass
