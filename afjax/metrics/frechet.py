"""Fréchet distance between Gaussians of motion frames.

  FD = |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2)

The last trace is the sum of the square roots of the eigenvalues of C1^1/2 C2 C1^1/2, which is symmetric and positive,
so no matrix square root of a product is needed. Covariances are shrunk towards their own diagonal,
C <- (1 - s) C + s diag(C) with s = SHRINKAGE; that leaves uncorrelated channels as they are.
"""

import numpy as np

SHRINKAGE = 0.01


def distance(mean1: np.ndarray, cov1: np.ndarray, mean2: np.ndarray, cov2: np.ndarray) -> np.ndarray:
    """FD of Gaussians; means `[..., D]`, covariances `[..., D, D]`, any leading axes -> `[...]`."""
    values, vectors = np.linalg.eigh(cov1)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    product = root @ cov2 @ root
    eigenvalues = np.linalg.eigvalsh((product + np.swapaxes(product, -1, -2)) / 2)
    cross = np.sqrt(np.maximum(eigenvalues, 0.0)).sum(axis=-1)
    traces = np.trace(cov1, axis1=-2, axis2=-1) + np.trace(cov2, axis1=-2, axis2=-1)
    return np.maximum(np.square(mean1 - mean2).sum(axis=-1) + traces - 2.0 * cross, 0.0)


def moments(motion: np.ndarray) -> np.ndarray:
    """Per clip `[n, T, D] -> [n, D, D + 1]`: mean of f f^T beside the mean of f. Their clip mean is the pool's."""
    motion = np.asarray(motion, np.float64)
    second = np.matmul(motion.swapaxes(1, 2), motion) / motion.shape[1]
    return np.concatenate([second, motion.mean(axis=1)[..., None]], axis=-1)


def gaussian(pooled: np.ndarray, shrinkage: float = SHRINKAGE) -> tuple[np.ndarray, np.ndarray]:
    """Mean and shrunk covariance from pooled moments `[..., D, D + 1]`."""
    mean = pooled[..., -1]
    covariance = pooled[..., :-1] - mean[..., :, None] * mean[..., None, :]
    eye = np.eye(mean.shape[-1])
    return mean, covariance * (1.0 - shrinkage + shrinkage * eye)


def fd(generated: np.ndarray, recorded: np.ndarray, shrinkage: float = SHRINKAGE) -> float:
    """FD between all frames of two sets of clips, `[n, T, D]` and `[m, T, D]`; lower is better."""
    pools = (gaussian(moments(motion).mean(axis=0), shrinkage) for motion in (generated, recorded))
    return float(distance(*next(pools), *next(pools)))


def pooled_distance(pairs: np.ndarray) -> np.ndarray:
    """Statistic for `bootstrap.interval`: pooled moments of generated and recorded `[r, 2, D, D + 1] -> [r]`."""
    return distance(*gaussian(pairs[:, 0]), *gaussian(pairs[:, 1]))
