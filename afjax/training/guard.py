"""Finds the step at which a run broke, without waiting for the device at every step."""

import math
from collections.abc import Iterable, Mapping

import jax

from afjax.errors import InputError
from afjax.types import Scalar


class LossGuard:
    """Keeps the losses and gradient norms of the last steps on the device until `check` fetches them together.

    A step is bad where loss or gradient norm is not finite, or where the loss is more than `max_loss_ratio` times the
    `usual` one (None: the first that is seen).
    """

    def __init__(self, max_loss_ratio: float, usual: float | None = None):
        self.max_loss_ratio, self.usual = max_loss_ratio, usual
        self._pending = []

    def note(self, step: int, metrics: Mapping[str, Scalar], windows: Iterable):
        """Remembers a step's `loss` and `grad_norm`, and the names of the windows that it saw."""
        self._pending.append((step, metrics["loss"], metrics["grad_norm"], windows))

    def check(self, kept: int | None):
        """Raises InputError for the first bad step since the last check; `kept`: the newest checkpoint's step."""
        values = jax.device_get([(loss, norm) for _, loss, norm, _ in self._pending])
        for (step, _, _, windows), (loss, norm) in zip(self._pending, values, strict=True):
            self.usual = float(loss) if self.usual is None else self.usual
            if not math.isfinite(loss):
                why = f"the loss is {loss:g}"
            elif not math.isfinite(norm):
                why = f"the gradient's norm is {norm:g}"
            elif loss > self.max_loss_ratio * self.usual:
                why = f"the loss is {loss:.4g}, after {self.usual:.4g}"
            else:
                continue
            state = "there is no checkpoint before it" if kept is None else f"the checkpoint of step {kept} is kept"
            raise InputError(f"{why} with the windows {', '.join(map(str, windows))}", f"step {step}", state)
        self._pending = []
