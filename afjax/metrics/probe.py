"""Linear probe: how much of known coefficients a representation tells."""

import numpy as np

__all__ = ["linear_r2"]


def linear_r2(inputs: np.ndarray, targets: np.ndarray, test_inputs: np.ndarray, test_targets: np.ndarray) -> np.ndarray:
    """R² `[k]` on the test rows of a least-squares fit (with a constant) of targets `[n, k]` from inputs `[n, d]`.

    The fit is that of least norm where inputs depend on one another. R² = 1 - sum of squared errors / sum of squared
    deviations from the mean of the test rows: it is below 0 where the fit is worse than that mean.
    """
    centre, middle = inputs.mean(0), targets.mean(0)
    fit = np.linalg.lstsq(inputs - centre, targets - middle, rcond=1e-5)[0]
    errors = test_targets - middle - (test_inputs - centre) @ fit
    return 1 - (errors**2).sum(0) / ((test_targets - test_targets.mean(0)) ** 2).sum(0)
