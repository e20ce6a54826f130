"""Jobs on a cluster of Ray: plain tasks; only names and small results travel.

Ray begins a task again whose process or machine died, DEATHS times in all; jobs give up sooner. Few tasks are handed
over at a time, so that a list of any length takes no memory. Ray's telemetry is off.
"""

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

from afjax.errors import InputError
from data_pipeline.executors import DEATHS, Run, lost

STORE = 200 << 20
"""Bytes of the object store of a node of our own: no pictures pass through it."""
WAITING = 2
"""Tasks per processor that Ray is given ahead."""


@contextmanager
def connected(workers: int, address: str, gpus: float) -> Iterator[Run]:
    """A cluster, as for `data_pipeline.executors.executor`; a node of our own ends with the block."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError:
        raise InputError("the package ray is missing", do="pip install -r requirements-cluster.txt") from None
    _knock(address)
    before = signal.getsignal(signal.SIGTERM)
    node = {"num_cpus": workers, "object_store_memory": STORE, "include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **node)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise InputError(f"Ray can't be reached ({str(error).splitlines()[0]})", address, "ray start --head") from None
    signal.signal(signal.SIGTERM, before)  # Ray has set its own handler
    try:
        if gpus and not ray.cluster_resources().get("GPU"):
            raise InputError("the cluster has no GPU", address, "leave --ray_gpus out")
        yield partial(_run, gpus=gpus)
    finally:
        ray.shutdown()


def _knock(address: str):
    """Raises InputError where nobody listens: Ray itself would try for long."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except (OSError, OverflowError) as error:
            raise InputError(f"Ray can't be reached ({error})", address, "ray start --head") from None


def _run(function: Callable[..., Any], jobs: Iterable[tuple[str, tuple]], gpus: float) -> Iterator[tuple[str, Any]]:
    import ray
    from ray.exceptions import RayError, RayTaskError

    task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=DEATHS - 1, max_calls=0)(_call)
    todo, going = iter(jobs), {}
    while True:
        room = 1 + WAITING * int(ray.cluster_resources().get("CPU", 1))  # machines come and go
        for name, arguments in islice(todo, max(0, room - len(going))):
            going[task.remote(function, arguments, gpus)] = name
        if not going:
            return
        for found in ray.wait(list(going), num_returns=1)[0]:
            name = going.pop(found)
            try:
                result = ray.get(found)
            except RayTaskError as error:
                error.cause.add_note(str(error))
                raise error.cause from None
            except RayError:
                raise lost(name) from None
            yield name, result


def _call(function: Callable[..., Any], arguments: tuple, gpus: float) -> Any:
    if gpus:  # before JAX is loaded
        os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", f"{0.9 * gpus:.3f}")
    return function(*arguments)
