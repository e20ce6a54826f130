"""Jobs in processes of this machine. A process that dies takes only its own job with it, which is begun again."""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from data_pipeline.executors import DEATHS, lost

_PATIENCE = 10.0
"""Seconds that a process has to leave."""


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    pipe: Connection
    job: tuple[str, tuple] | None = None


def run(function: Callable[..., Any], jobs: Iterable[tuple[str, tuple]], workers: int = 2) -> Iterator[tuple[str, Any]]:
    """`data_pipeline.executors.Run` with `workers` processes. A job's exception is raised here and ends all jobs."""
    crew: list[_Worker] = []
    todo, again, deaths = iter(jobs), deque(), Counter()
    try:
        while True:
            while sum(worker.job is not None for worker in crew) < workers:
                job = again.popleft() if again else next(todo, None)
                if job is None:
                    break
                _hand(crew, function, job)
            busy = [worker for worker in crew if worker.job is not None]
            if not busy:
                return
            ready = wait([part for worker in busy for part in (worker.pipe, worker.process.sentinel)])
            for worker in [each for each in busy if each.pipe in ready or each.process.sentinel in ready]:
                name, _ = worker.job
                try:
                    fine, answer = worker.pipe.recv() if worker.pipe.poll() else (None, None)
                except (EOFError, OSError):
                    fine = None
                if fine is None:
                    again.append(worker.job)
                    _dismiss(crew, worker)
                    deaths[name] += 1
                    if deaths[name] >= DEATHS:
                        raise lost(name)
                    continue
                worker.job = None
                if not fine:
                    raise answer
                yield name, answer
    finally:
        for worker in crew:
            worker.process.terminate()
        until = time.monotonic() + _PATIENCE
        for worker in crew:
            worker.process.join(max(0.0, until - time.monotonic()))
            worker.process.kill()


def _hand(crew: list[_Worker], function: Callable, job: tuple[str, tuple]):
    """Gives a job to an idle process, or to one more process."""
    for worker in [each for each in crew if each.job is None]:
        try:
            worker.pipe.send((function, job[1]))
        except OSError:  # it died idle
            _dismiss(crew, worker)
            continue
        worker.job = job
        return
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    crew.append(_Worker(process, pipe, job))
    try:
        pipe.send((function, job[1]))
    except OSError:  # as if it had died with the job
        pass


def _dismiss(crew: list[_Worker], worker: _Worker):
    crew.remove(worker)
    worker.pipe.close()
    worker.process.kill()
    worker.process.join()


def _serve(pipe: Connection):
    """A process: quiet on stderr. It ends with its parent, by an exception so that jobs can note it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_follow, daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = True, function(*arguments)
        except Exception as error:
            error.add_note("".join(traceback.format_exception(error)))
            answer = False, error
        pipe.send(answer)


def _leave(number: int, _frame: Any):
    raise SystemExit(128 + number)


def _follow():
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os._exit(1)
