"""Numbers that the released network computed on synthetic weights, and how near ours must come.

Small files lie in `data/`, the others in the folder that AFJAX_PARITY names; a test whose file is in neither skips.
Limits stand on the noise floor, the difference between the released network's own float32 and float64 runs.
"""

import functools
import json
import os
from pathlib import Path

import numpy as np
import pytest

from afjax.weights import synthetic

DATA = Path(__file__).parent / "data"


def path(name: str) -> Path:
    """A fixture file; skips the test where it is absent."""
    folders = [DATA, *(Path(folder) for folder in [os.environ.get("AFJAX_PARITY")] if folder)]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    pytest.skip(f"no {name} (set AFJAX_PARITY)")


@functools.cache
def reference(file: str) -> dict[str, np.ndarray]:
    """Every array of `file`.npz."""
    with np.load(path(f"{file}.npz"), allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


@functools.cache
def weights(manifest: str) -> dict[str, np.ndarray]:
    """Synthetic weights under released names, e.g. of "flow_small"."""
    seed = json.loads(path("manifests/digests.json").read_text())[f"{manifest}.json"]["seed"]
    return synthetic.state_dict(synthetic.manifest_shapes(path(f"manifests/{manifest}.json")), seed)


def limits(file: str, key: str, x64: bool) -> tuple[float, float]:
    """Largest maximal and rms error."""
    floor = json.loads(path("noise_floor.json").read_text())[file][key]
    if x64:
        return 4e-7 * floor["ref_max"], 2e-7 * floor["ref_rms"]
    return max(10 * floor["max_abs"], 4e-6 * floor["ref_max"]), max(5 * floor["rms"], 1e-6 * floor["ref_rms"])


def check(file: str, key: str, got, x64: bool = False):
    """AssertionError where `got` is too far from the stored array."""
    expected = reference(file)[f"f64/{key}" if x64 else key].astype(np.float64)
    got = np.asarray(got, np.float64)
    assert got.shape == expected.shape
    error = np.abs(got - expected)
    worst, rms = error.max(), np.sqrt((error**2).mean())
    most, most_rms = limits(file, key, x64)
    assert worst <= most and rms <= most_rms, (
        f"{file}:{key}: {worst:.2e} of {most:.2e}, rms {rms:.2e} of {most_rms:.2e}"
    )
