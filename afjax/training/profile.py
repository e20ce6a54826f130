"""A profiler's trace of chosen steps, for TensorBoard's profile page or ui.perfetto.dev."""

from pathlib import Path
from typing import Any

import jax


class Profile:
    """Traces the steps `first .. last - 1` of a run into `folder`; nothing if `steps` is None.

    Steps are numbered from 0; steps before the start of a continued run are not traced. It is a context manager, so
    that a trace is written where the loop ends inside the range.
    """

    def __init__(self, folder: Path, steps: tuple[int, int] | None = None):
        self._folder, (self._first, self._last) = Path(folder), steps or (0, 0)
        self._running = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop()

    def step(self, number: int, state: Any) -> jax.profiler.StepTraceAnnotation:
        """Annotation to be entered around step `number`; `state` is the result of the step before it."""
        inside = self._first <= number < self._last
        if inside != self._running:
            jax.block_until_ready(state)  # earlier work belongs to earlier steps
            if inside:
                jax.profiler.start_trace(self._folder)
                self._running = True
            else:
                self._stop()
        return jax.profiler.StepTraceAnnotation("train", step_num=number)

    def _stop(self):
        if self._running:
            jax.profiler.stop_trace()
            self._running = False
