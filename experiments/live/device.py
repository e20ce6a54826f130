"""The machine's device, and times of stages on it."""

import os
import platform
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclass
class Stage:
    """A stage to time: `call()` runs it once and returns arrays; `gflop` is its work."""

    call: Callable[[], Any]
    gflop: float


def measure(stage: Stage, repeats: int) -> dict[str, Any]:
    """Seconds of a stage over `repeats` calls, after one that compiles."""

    def once() -> float:
        start = time.perf_counter()
        jax.block_until_ready(stage.call())
        return time.perf_counter() - start

    first = once()
    seconds = sorted(once() for _ in range(repeats))
    middle = float(np.median(seconds))
    return {
        "seconds": {"p50": middle, "min": seconds[0], "max": seconds[-1]},
        "compile_seconds": first - middle,
        "gflop": stage.gflop,
        "gflop_per_second": stage.gflop / middle,
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def device() -> str:
    """Name of the device that computes."""
    found = jax.devices()[0]
    if found.platform != "cpu":
        return found.device_kind
    return f"{platform.machine()} CPU, {len(os.sched_getaffinity(0))} cores"


def gflop(function, *arguments) -> float:
    """Work of a function without loops, as XLA counts it."""
    return jax.jit(function).lower(*arguments).cost_analysis()["flops"] / 1e9


def matrix_product(size: int = 2048) -> Stage:
    a = jax.random.normal(jax.random.key(0), (size, size))
    product = jax.jit(jnp.matmul)
    return Stage(lambda: product(a, a), 2 * size**3 / 1e9)
