"""Numbers that the released network computed on synthetic weights.

Small files lie in `data/`, the others in the folder that AFJAX_PARITY names; a test whose file is in neither skips.
"""

import functools
import os
from pathlib import Path

import numpy as np
import pytest

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
