"""What of a portrait is the person, and what lies behind: a soft matte and a clean background plate.

The matte is a random walker (Grady 2006): from each pixel a walker steps to its neighbours, more readily where the
colours are alike; the matte is the probability that it meets the person before the background. Face, a rim of hair or
scalp above it, and the bottom of the picture below the chin are known to be the person; the upper corners and what is
far from the face are known to be background. Colour models of both, made from a first pass, join later passes as a pull
on each pixel. The plate is the background carried on smoothly behind the person.
"""

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter, grey_dilation, zoom
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import spsolve

from afjax.codec.face.render.fields import smooth

__all__ = ["SIDE", "background_plate", "person_matte"]

SIDE = 128
_CLUSTERS = 6
_DISC = np.hypot(*np.mgrid[-2:3, -2:3]) < 2.3


def _neighbours(image: np.ndarray):
    """Sparse `[n * n, n * n]` weights between each pixel of `image` `[n, n, 3]` and those beside it."""
    n = len(image)
    index = np.arange(n * n).reshape(n, n)
    pairs, weights = [], []
    for a, b, step in (
        (index[:, :-1], index[:, 1:], np.diff(image, axis=1)),
        (index[:-1], index[1:], np.diff(image, axis=0)),
    ):
        pairs.append(np.stack([a.ravel(), b.ravel()]))
        weights.append((step**2).sum(-1).ravel())
    pairs, difference = np.concatenate(pairs, 1), np.concatenate(weights)
    weight = np.exp(-difference / (2.0 * difference.mean() + 1e-6)) + 1e-3
    matrix = coo_matrix((weight, pairs), (n * n, n * n))
    return (matrix + matrix.T).tocsr()


def _walk(matrix, person: np.ndarray, wall: np.ndarray, pull: np.ndarray, strength: float) -> np.ndarray:
    """Probabilities `[n, n]`; `person` and `wall` are the known pixels, `pull` a prior joined with `strength`."""
    known = 1e2 * (person | wall).ravel()
    total = np.asarray(matrix.sum(1)).ravel() + known + strength
    target = known * person.ravel() + strength * pull.ravel()
    return spsolve((diags(total) - matrix).tocsc(), target, permc_spec="MMD_AT_PLUS_A").reshape(person.shape)


def _nearest(colours: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the nearest centre and the distance to it, of each colour `[m, c]`."""
    squared = (colours**2).sum(1, keepdims=True) - 2 * colours @ centres.T + (centres**2).sum(1)
    return squared.argmin(1), np.sqrt(np.maximum(squared.min(1), 0))


def _clusters(colours: np.ndarray) -> np.ndarray:
    """Centres `[k, c]` of k-means, started along the first principal axis."""
    order = np.argsort(
        (colours - colours.mean(0)) @ np.linalg.svd(colours - colours.mean(0), full_matrices=False)[2][0]
    )
    centres = np.stack([part.mean(0) for part in np.array_split(colours[order], _CLUSTERS)])
    for _ in range(6):
        label, _ = _nearest(colours, centres)
        found = [k for k in range(_CLUSTERS) if (label == k).any()]
        centres[found] = [colours[label == k].mean(0) for k in found]
    return centres


def person_matte(image: np.ndarray, away: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Soft matte `[size, size]` in [0, 1] of a crop float `[size, size, 3]`.

    Args:
      away: `[SIDE, SIDE]` distance outside of the face oval in face heights, negative inside.
      below: `[SIDE, SIDE]` how far below the chin, in face heights.
    """
    size = len(image)
    small = image.reshape(SIDE, size // SIDE, SIDE, size // SIDE, 3).mean((1, 3)) if size > SIDE else image
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1)
    reach = np.where(below < -0.9, 0.10, 0.02)
    trunk = (below > 0.05) & (np.abs(x - 0.5) < 0.10 + 0.35 * np.clip(below, 0, 0.6))
    person = (away < reach) | trunk
    border = np.minimum(np.minimum(x, 1 - x), y + 0.03)
    wall = ((away > 0.52) | (border < 0.03)) & (below < -0.25) & (np.abs(x - 0.5) > 0.22) & ~person
    # Colours weigh with their place: a background changes slowly across a picture.
    place = np.stack([x, y], -1) * 60.0
    features = np.concatenate([small, place], -1)
    matrix = _neighbours(small)
    share = _walk(matrix, person, wall, np.zeros_like(x), 1e-4)
    for _ in range(2):
        inner, outer = _clusters(features[share > 0.85]), _clusters(features[(share < 0.15) & (below < 0)])
        near = [_nearest(features.reshape(-1, 5), centres)[1].reshape(x.shape) for centres in (inner, outer)]
        pull = 1 / (1 + np.exp(np.clip((near[0] - near[1]) / 8, -20, 20)))
        share = _walk(matrix, person, wall, pull, 0.08)
    # Hair left on the wall stays behind as a ghost when the head moves; wall carried along by the head is hardly seen.
    generous = gaussian_filter(grey_dilation((share > 0.35).astype(float), footprint=_DISC), 0.9)
    # Shoulders hardly move: there the wall goes with them, and nothing can tear.
    matte = np.maximum(generous, smooth(below, -0.25, 0.12))
    return np.clip(zoom(matte, size / SIDE, order=1, grid_mode=True, mode="nearest"), 0, 1)


def background_plate(image: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """The crop `[size, size, 3]` with the person replaced by what surrounds them, near things first."""
    step = len(image) // SIDE
    small, covered = (a.reshape(SIDE, step, SIDE, step, -1).mean((1, 3)) for a in (image, matte[..., None]))
    clear = (~binary_dilation(covered[..., 0] > 0.02, iterations=3)).astype(np.float64)
    plate, missing, sigma = np.zeros_like(small), np.ones_like(clear), 1.0
    while sigma < SIDE / 2:
        weight = gaussian_filter(clear, sigma)
        value = gaussian_filter(small * clear[..., None], (sigma, sigma, 0)) / np.maximum(weight, 1e-8)[..., None]
        share = missing * np.clip(weight / 0.15, 0, 1)
        plate += share[..., None] * value
        missing -= share
        sigma *= 1.8
    plate += missing[..., None] * small
    sharp = gaussian_filter(clear, 1.0) * clear
    plate, sharp = (
        zoom(a, (step, step, 1), order=1, grid_mode=True, mode="nearest") for a in (plate, sharp[..., None])
    )
    return image * sharp + plate * (1 - sharp)
