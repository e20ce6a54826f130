"""Fréchet distance of two sets of clips by rows of features (FID, FVD, FD of tracks), with intervals by groups.

With m the means and A the roots of the covariances of both sets, C = A^T A, k = 1 generated and 2 recorded,

  A1 A2^T = U S V^T,      FD = |m1 - m2|^2 + |A1|^2 + |A2|^2 - 2 sum S

which is `frechet.distance` without shrinkage. A root has as many rows as the covariance has rank, so that few clips
cost little, and there is no matrix square root of a product.

FD of 2048 features can't be computed again for a thousand draws of groups. Its interval is that of FD to first order: a
row x of the first set moves it by

  h1(x) = 2 (m1 - m2) . (x - m1) + (x - m1)^T (I - T) (x - m1) - its mean,      T = A1^+ U V^T A2

(the influence function; T is the optimal map of the first Gaussian to the second), a row of the second likewise. With w
a clip's weight in a draw, FD of the draw is FD + the w-weighted mean of h1 + that of h2. Finite samples have a distance
above 0 that no interval knows of: judge FD by the numbers of rows beside it.
"""

from collections.abc import Sequence

import numpy as np

from afjax.errors import InputError
from afjax.metrics import bootstrap
from afjax.metrics.frechet import Pool

_STILL = 1e-10
"""Directions with less than this share of the largest variance are left out."""


def root(clips: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean `[d]` of all rows of clips `[m, d]`, root A `[r, d]` of their covariance, A^T A = C, and their number.

    Clips are read one after the other; no more than d rows are held at once, so that arrays on disk stay there.

    Raises:
      InputError: there are fewer than two rows, or they are not finite or differ in d.
    """
    pool, held = Pool(), []
    for rows in clips:
        pool.add(rows)
        if pool.mean is not None and pool.count <= len(pool.mean):
            held.append(np.asarray(rows, np.float64))
        else:
            held.clear()
    if held and pool.count > 1:  # fewer rows than features: the small matrix of products of rows has all there is
        centred = np.concatenate(held) - pool.mean
        values, vectors = np.linalg.eigh(centred @ centred.T)
        kept = values > _STILL * max(values[-1], 1e-300)
        return pool.mean, vectors[:, kept].T @ centred / np.sqrt(pool.count - 1), pool.count
    mean, covariance = pool.gaussian()
    values, vectors = np.linalg.eigh(covariance)
    kept = values > _STILL * max(values[-1], 1e-300)
    return mean, np.sqrt(values[kept])[:, None] * vectors[:, kept].T, pool.count


def influences(clips: Sequence[np.ndarray], mean: np.ndarray, shift: np.ndarray, plan: np.ndarray) -> np.ndarray:
    """Per clip the sum of its rows' influence and their number, `[n, 2]`; the sums add up to 0.

    `shift`: this set's mean less the other set's `[d]`; `plan`: T as two factors `[2, r, d]`, T = first^T second.
    """
    sums = []
    for rows in clips:
        centred = np.asarray(rows, np.float64) - mean
        moved = ((centred @ plan[0].T) * (centred @ plan[1].T)).sum()
        sums.append((2.0 * centred.sum(axis=0) @ shift + np.square(centred).sum() - moved, len(centred)))
    sums = np.array(sums)
    sums[:, 0] -= sums[:, 1] * sums[:, 0].sum() / sums[:, 1].sum()
    return sums


def distance_and_influences(
    generated: Sequence[np.ndarray], recorded: Sequence[np.ndarray]
) -> tuple[float, np.ndarray, np.ndarray]:
    """FD of two sets of clips of feature rows `[m, d]`, and the influences `[n, 2]` of the clips of both."""
    (mean1, root1, _), (mean2, root2, _) = root(generated), root(recorded)
    if len(mean1) != len(mean2):
        raise InputError(f"features of {len(mean1)} and of {len(mean2)} numbers", "Fréchet distance")
    left, singular, right = np.linalg.svd(root1 @ root2.T, full_matrices=False)
    figure = np.square(mean1 - mean2).sum() + np.square(root1).sum() + np.square(root2).sum() - 2.0 * singular.sum()
    forward = np.stack([left.T @ _inverse(root1), right @ root2])
    backward = np.stack([right @ _inverse(root2), left.T @ root1])
    first = influences(generated, mean1, mean1 - mean2, forward)
    second = influences(recorded, mean2, mean2 - mean1, backward)
    return float(max(figure, 0.0)), first, second


def _inverse(rows: np.ndarray) -> np.ndarray:
    """The transpose of the pseudoinverse of a root, whose rows are orthogonal."""
    return rows / np.maximum(np.square(rows).sum(axis=1, keepdims=True), 1e-300)


def estimate(
    generated: Sequence[np.ndarray], recorded: Sequence[np.ndarray], groups: np.ndarray, seed: int = 0
) -> bootstrap.Estimate:
    """FD and its 95 % interval over groups `[n]` of the clips, which have the same order in both sets.

    "n" counts clips, "rows" the rows of features of the smaller set.
    """
    figure, first, second = distance_and_influences(generated, recorded)
    values = np.concatenate([first, second], axis=1)

    def drawn(means):
        moved = means[:, 0] / means[:, 1] + means[:, 2] / means[:, 3]
        return np.maximum(figure + moved, 0.0)

    found = bootstrap.interval(values, seed, drawn, groups=groups)
    return found | {"rows": int(min(first[:, 1].sum(), second[:, 1].sum()))}
