"""Signals by which a person or a scheduler asks a run to end."""

import signal
import sys
import threading

import jax
from jax.experimental import multihost_utils

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Preemption:
    """Notes a signal while the block runs instead of ending the process; the second signal ends it at once.

    The noted signal is raised again when the block is left, for its earlier handler. JAX notes SIGTERM where there are
    several processes, and `asked` is then true in all of them at the same step.
    """

    def __init__(self):
        self.noted = 0
        self._before = {}

    def __enter__(self):
        if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind, *_):
        self._give_back()
        if self.noted and kind is None:
            if jax.process_count() == 1:
                signal.raise_signal(self.noted)
            else:
                sys.exit(128 + self.noted)

    def asked(self, step: int) -> bool:
        """Whether the run shall end after this step; to be called once per step."""
        if jax.process_count() > 1 and multihost_utils.reached_preemption_sync_point(step):
            self.noted = signal.SIGTERM
        return bool(self.noted)

    @property
    def name(self) -> str:
        """Name of the noted signal, such as SIGTERM."""
        return signal.Signals(self.noted).name

    def _note(self, number, _frame):
        self.noted = number
        self._give_back()

    def _give_back(self):
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
