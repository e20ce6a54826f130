"""Speed and memory of a training run, for the log.

    frames_per_second   motion frames of the batches, data.batch * data.window per step
    flops_per_second    matrix multiplications of the model, 3 * forward a step
    mfu                 flops_per_second / (devices * peak of a device): only where the peak is known
    input_wait          share of the time in which the loop waited for `next(batches)`
    device_gb           most memory that the first device ever held (process_gb: the process, where devices don't say)

The backward pass has two multiplications for each of the forward pass. Multiplications that a mask hides count as the
model's. Those that are repeated to save memory, the optimizer's, and all that is elementwise do not. Winners and losers
run through both models where there is a frozen reference: the policy counts 3 * 2, the reference 2.
"""

import math
import resource
import sys
import time
from collections.abc import Callable, Iterator

import jax

PEAK = {
    "NVIDIA A100": 312e12,
    "NVIDIA H100": 989e12,
    "NVIDIA H100 NVL": 835e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA H200": 989e12,
    "NVIDIA H200 NVL": 835e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5": 459e12,
    "TPU v6 lite": 918e12,
}
"""Dense bfloat16 FLOP/s of one device, by the start of its name: NVIDIA's data sheets (half of what they state with
sparsity) and Google's pages on TPU v4, v5e ("v5 lite"), v5p ("v5") and v6e ("v6 lite")."""


def peak(device_kind: str) -> float | None:
    """FLOP/s of a device by its `device_kind`, the longest name of PEAK that it starts with; None if unknown."""
    known = [name for name in PEAK if device_kind.startswith(name)]
    return PEAK[max(known, key=len)] if known else None


def matmul_flops(function: Callable, *arguments) -> int:
    """Additions and multiplications in the matrix products of `function(*arguments)`; shapes will do as arguments."""
    return _count(jax.make_jaxpr(function)(*arguments).jaxpr)


def _count(jaxpr) -> int:
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            summed = math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
            total += 2 * summed * math.prod(equation.outvars[0].aval.shape)
        inner = (getattr(value, "jaxpr", value) for value in jax.tree.leaves(list(equation.params.values())))
        times = equation.params["length"] if equation.primitive.name == "scan" else 1
        total += times * sum(_count(found) for found in inner if hasattr(found, "eqns"))
    return total


def peak_memory() -> dict[str, float]:
    """`device_gb` of the first local device or, where it keeps no count, `process_gb`; both in 1e9 bytes."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and "peak_bytes_in_use" in stats:
        return {"device_gb": stats["peak_bytes_in_use"] / 1e9}
    unit = 1 if sys.platform == "darwin" else 1024
    return {"process_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9}


class Meter:
    """Counts steps and the time that the loop waits for batches, since the last record or `restart`."""

    def __init__(self, frames: int, flops: int = 0, devices: int = 1):
        """`frames` and `flops` (0: not known) of a step, `devices` that it runs on."""
        self._frames, self._flops = frames, flops
        self._peak = devices * (peak(jax.devices()[0].device_kind) or 0)
        self.restart()

    def restart(self):
        """Forgets what was counted, for time that was not spent on training."""
        self._steps, self._waited, self._start = 0, 0.0, time.perf_counter()

    def next(self, batches: Iterator[dict]) -> dict:
        """The next batch, with its waiting time counted."""
        start = time.perf_counter()
        batch = next(batches)
        self._waited += time.perf_counter() - start
        self._steps += 1
        return batch

    def figures(self) -> dict[str, float]:
        """The figures of the module's docstring and `steps_per_second`; the steps' results must have come in."""
        seconds = time.perf_counter() - self._start
        steps_per_second, waited = self._steps / seconds, self._waited / seconds
        self.restart()
        figures = {
            "steps_per_second": steps_per_second,
            "frames_per_second": steps_per_second * self._frames,
            "input_wait": waited,
        }
        if self._flops:
            figures["flops_per_second"] = steps_per_second * self._flops
        if self._flops and self._peak:
            figures["mfu"] = figures["flops_per_second"] / self._peak
        return figures | peak_memory()
