"""Fréchet distance between Gaussians of motion frames.

  FD = |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2)

The last trace is the sum of the square roots of the eigenvalues of R^T C2 R for any R with R R^T = C1, which is
symmetric and positive, so no matrix square root of a product is needed. Covariances of motion are shrunk towards their
own diagonal, C <- (1 - s) C + s diag(C) with s = SHRINKAGE; that leaves uncorrelated channels as they are. Features of
a network (FID, FVD) are added up in a `Pool`, whose memory does not grow with the clips. Their covariances are not
shrunk (`metrics.feature_distance`).
"""

import numpy as np

from afjax.errors import InputError

SHRINKAGE = 0.01


def distance(mean1: np.ndarray, cov1: np.ndarray, mean2: np.ndarray, cov2: np.ndarray) -> np.ndarray:
    """FD of Gaussians; means `[..., d]`, covariances `[..., d, d]`, any leading axes -> `[...]`."""
    root = _root(cov1)
    product = np.swapaxes(root, -1, -2) @ cov2 @ root
    eigenvalues = np.linalg.eigvalsh((product + np.swapaxes(product, -1, -2)) / 2)
    cross = np.sqrt(np.maximum(eigenvalues, 0.0)).sum(axis=-1)
    traces = np.trace(cov1, axis1=-2, axis2=-1) + np.trace(cov2, axis1=-2, axis2=-1)
    return np.maximum(np.square(mean1 - mean2).sum(axis=-1) + traces - 2.0 * cross, 0.0)


def _root(cov: np.ndarray) -> np.ndarray:
    """A matrix R with R R^T = C, `[..., d, d]`: Cholesky's, or for a C of low rank that of its eigenvectors."""
    still = 1e-12 * np.trace(cov, axis1=-2, axis2=-1)[..., None, None] + 1e-30
    try:
        return np.linalg.cholesky(cov + still * np.eye(cov.shape[-1]))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(cov)
        return vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]


def moments(motion: np.ndarray) -> np.ndarray:
    """Per clip `[n, t, d]` -> `[n, d, d + 1]`: mean of f f^T beside the mean of f. Their clip mean is the pool's."""
    motion = np.asarray(motion, np.float64)
    second = np.matmul(motion.swapaxes(1, 2), motion) / motion.shape[1]
    return np.concatenate([second, motion.mean(axis=1)[..., None]], axis=-1)


def gaussian(pooled: np.ndarray, shrinkage: float = SHRINKAGE) -> tuple[np.ndarray, np.ndarray]:
    """Mean and shrunk covariance from pooled moments `[..., d, d + 1]`."""
    mean = pooled[..., -1]
    covariance = pooled[..., :-1] - mean[..., :, None] * mean[..., None, :]
    eye = np.eye(mean.shape[-1])
    return mean, covariance * (1.0 - shrinkage + shrinkage * eye)


def fd(generated: np.ndarray, recorded: np.ndarray, shrinkage: float = SHRINKAGE) -> float:
    """FD between all frames of two sets of clips, `[n, t, d]` and `[m, t, d]`; lower is better."""
    pools = (gaussian(moments(motion).mean(axis=0), shrinkage) for motion in (generated, recorded))
    return float(distance(*next(pools), *next(pools)))


def pooled_distance(pairs: np.ndarray) -> np.ndarray:
    """Statistic for `bootstrap.interval`: pooled moments of generated and recorded `[r, 2, d, d + 1]` -> `[r]`."""
    return distance(*gaussian(pairs[:, 0]), *gaussian(pairs[:, 1]))


def halves(groups: np.ndarray, splits: int = 4, seed: int = 0) -> np.ndarray:
    """Ways to divide groups of clips in two `[splits, n]`, bool: is a clip in the first half? Groups stay whole."""
    groups = np.unique(groups, return_inverse=True)[1]
    count, rng = groups.max() + 1, np.random.default_rng(seed)
    return np.stack([(rng.permutation(count) < count // 2)[groups] for _ in range(splits)])


def split_moments(generated: np.ndarray, recorded: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Values `[n, s, 2, d, d + 2]` for `split_distance`: moments of clips on the side that they count for.

    Generated clips count in the `first` half `[s, n]`, recorded ones in the other. The last column holds 1 there.
    """
    sides = np.stack([first, ~first], axis=-1).swapaxes(0, 1)[..., None, None]
    both = np.stack([generated, recorded], axis=1)[:, None]
    both = np.concatenate([both, np.ones((*both.shape[:-1], 1))], axis=-1)
    return np.where(sides, both, 0.0)


def split_distance(means: np.ndarray) -> np.ndarray:
    """Statistic: distance of a row from the recorded of *other* conversations, `[r, s, 2, d, d + 2]` -> `[r]`.

    It is the mean over s divisions of the distance between the row's clips of one half and the recorded ones of the
    other. Two finite samples are never at distance 0: the recorded row shows how large this part of every row is.
    """
    share = means[..., :1, -1:]
    pools = means[..., :-1] / np.where(share > 0, share, np.nan)
    drawn = np.isfinite(pools).all(axis=(2, 3, 4))  # a draw of groups may leave a half empty
    found = np.zeros(means.shape[:2])
    found[drawn] = distance(*gaussian(pools[drawn][:, 0]), *gaussian(pools[drawn][:, 1]))
    count = drawn.sum(axis=1)
    return np.where(count > 0, found.sum(axis=1) / np.maximum(count, 1), np.nan)


class Pool:
    """Running mean and covariance of rows `[m, d]`: d^2 numbers, however many rows are added.

    Rows are added to the moments about the running mean (Chan, Golub and LeVeque 1979), so that a mean far from 0 costs
    no digits.
    """

    def __init__(self):
        self.count = 0
        self.mean: np.ndarray | None = None
        self._scatter: np.ndarray | None = None

    def add(self, rows: np.ndarray) -> "Pool":
        """Adds rows `[m, d]`; InputError if they are not finite or have another d than those before."""
        rows = np.asarray(rows, np.float64)
        if rows.ndim != 2 or (self.mean is not None and rows.shape[1] != len(self.mean)):
            wanted = "D" if self.mean is None else len(self.mean)
            raise InputError(f"features have shape {rows.shape}, not [m, {wanted}]")
        if not np.isfinite(rows).all():
            raise InputError("features have values that are not finite numbers")
        if not len(rows):
            return self
        if self.mean is None:
            self.mean, self._scatter = np.zeros(rows.shape[1]), np.zeros((rows.shape[1],) * 2)
        total = self.count + len(rows)
        mean = rows.mean(axis=0)
        step, centred = mean - self.mean, rows - mean
        self._scatter += centred.T @ centred + np.outer(step, step) * (self.count * len(rows) / total)
        self.mean = self.mean + step * (len(rows) / total)
        self.count = total
        return self

    def gaussian(self, shrinkage: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Mean `[d]` and covariance `[d, d]` (divided by rows - 1, as in the usual FID); needs two rows."""
        if self.count < 2:
            raise InputError(f"a covariance needs at least 2 rows of features, not {self.count}")
        covariance = self._scatter / (self.count - 1)
        return self.mean, covariance * (1.0 - shrinkage + shrinkage * np.eye(len(self.mean)))
