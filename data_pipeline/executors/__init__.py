"""Executors of a build's jobs: processes of this machine, or a cluster.

A job is a function of a module and a few names; it works on files, and its result is small. A job whose process died is
begun again, and a cluster may run one twice at the same time. Jobs are written so that neither matters
(`data_pipeline.recorded.attempts`).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from afjax.errors import InputError

EXECUTORS = ("local", "ray")
DEATHS = 6
"""Times that a job may lose its process; jobs give up sooner (`recorded.attempts.ATTEMPTS`)."""

Run = Callable[[Callable[..., Any], Iterable[tuple[str, tuple]]], Iterator[tuple[str, Any]]]
"""Runs a function on jobs, each (name, arguments); yields (name, result) as they finish."""


@contextmanager
def executor(name: str, workers: int, address: str = "local", gpus: float = 0.0) -> Iterator[Run]:
    """An executor, ready for jobs until the block ends.

    Args:
      name: one of EXECUTORS; workers: processes of `local`, and of a node that `ray` starts itself.
      address: that of a running Ray cluster, or "local"; gpus: share of a device that a job of `ray` holds.

    Raises InputError for an unknown name, a missing package, or a cluster that can't be reached.
    """
    if name == "local":
        from data_pipeline.executors import local

        yield partial(local.run, workers=workers)
    elif name == "ray":
        from data_pipeline.executors import cluster

        with cluster.connected(workers, address, gpus) as run:
            yield run
    else:
        raise InputError(f"no executor {name!r}", do=f"there are {', '.join(EXECUTORS)}")


def lost(name: str) -> InputError:
    """The error for a job that loses its process again and again before it can report this itself."""
    do = "give --workers=1 or more memory; what is finished is kept"
    return InputError(f"a process died {DEATHS} times, perhaps for want of memory", name, do)
