"""Processor time of a job, stage by stage: of its process, all threads, and of the programs it has run and awaited.

A stage that begins within another one pauses it, so that stages add up to the whole. The data set holds nothing of
this; the build notes it in `OUT/cost.jsonl` (`data_pipeline.cost` prints the sum).
"""

import resource
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

OTHER = "the rest"
"""Name of the time outside all stages."""
Item = TypeVar("Item")


class Meter:
    """Seconds by stage."""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self._stages, self._since = [OTHER], _now()

    def switch(self, name: str = ""):
        """Begins a stage; without a name, ends the one that began last."""
        now = _now()
        self.seconds[self._stages[-1]] = self.seconds.get(self._stages[-1], 0.0) + now - self._since
        self._since = now
        if name:
            self._stages.append(name)
        elif len(self._stages) > 1:
            self._stages.pop()


def _now() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


_METER = Meter()  # a process does one job at a time


@contextmanager
def metered() -> Iterator[dict[str, float]]:
    """Meters a job: the yielded table holds the seconds of each stage when the block has ended."""
    global _METER
    _METER = Meter()
    try:
        yield _METER.seconds
    finally:
        _METER.switch()


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Counts the block as work of a stage."""
    _METER.switch(name)
    try:
        yield
    finally:
        _METER.switch()


def staged(name: str, items: Iterable[Item]) -> Iterator[Item]:
    """Yields the same items, and counts their making as work of a stage."""
    items = iter(items)
    while True:
        with stage(name):
            try:
                item = next(items)
            except StopIteration:
                return
        yield item
