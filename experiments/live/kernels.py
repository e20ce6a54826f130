"""A device's time by a profiler's trace: kernels by name, and how they were launched."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import jax

__all__ = ["top"]

_LAUNCHES = ("cuLaunchKernel", "cuGraphLaunch", "hipLaunchKernel", "hipGraphLaunch")


def top(folder: Path, calls: int, most: int = 25) -> dict[str, Any]:
    """Figures per call, from a trace of `jax.profiler` over `calls` equal calls.

    `kernels`: rows of the `most` longest; `count` and `busy_ms` of all kernels; `launches` by kind. Kernels of a CPU
    are XLA's operations, and a loop's time repeats that of its body.
    """
    file = max(Path(folder).glob("**/*.xplane.pb"), key=lambda path: path.stat().st_mtime)
    planes = list(jax.profiler.ProfileData.from_file(str(file)).planes)
    device = any(plane.name.startswith("/device:GPU") for plane in planes)
    took, launches = defaultdict(list), Counter()
    for plane in planes:
        for line in plane.lines:
            kernels = plane.name.startswith("/device:GPU") and "Stream" in line.name
            for event in line.events:
                if device and not kernels:
                    launches.update(kind for kind in _LAUNCHES if event.name.startswith(kind))
                elif kernels or any(name == "hlo_op" for name, _ in event.stats):
                    took[event.name].append(event.duration_ns / 1e6)
    busy = sum(map(sum, took.values()))
    rows = sorted(((sum(times), len(times), name) for name, times in took.items()), reverse=True)[:most]
    return {
        "busy_ms": busy / calls,
        "kernels": [
            {"name": name, "ms": total / calls, "calls": count / calls, "share": total / busy}
            for total, count, name in rows
        ],
        "count": sum(map(len, took.values())) / calls,
        "launches": {name: count / calls for name, count in launches.items()},
    }
