"""A soft matte of the person in a portrait, and a clean background plate.

The matte is a random walker (Grady 2006): from each pixel a walker steps to its neighbours, more readily where the
colours are alike; the matte is the probability that it meets the person before the background. Face, a rim of hair or
scalp above it, and the bottom of the picture below the chin are known to be the person; the upper corners and what is
far from the face are known to be background. Each pixel is also pulled to the side whose known pixels are nearest to it
in colour and place; what a pass is sure of is known in the next. The plate is the background carried on smoothly behind
the person.

There are two mattes. `person_matte`, of what moves with the person, is generous: hair left on the wall stays behind as
a ghost when the head moves, and wall carried along by the head is hardly seen. `person_alone`, of what is shown over
another background, is strict, since the wall is seen there.
"""

import numpy as np
from scipy.ndimage import (
    binary_dilation,
    binary_fill_holes,
    binary_opening,
    gaussian_filter,
    grey_dilation,
    label,
    zoom,
)
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from afjax.codec.face.render.fields import smooth

__all__ = ["SIDE", "background_plate", "person_alone", "person_matte"]

SIDE = 128
_NEIGHBOURS, _ALIKE, _SURELY = 4, 6.0, 0.8
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


def _distance(features: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Mean distance `[n, n]` of each pixel's features `[n, n, c]` to the nearest few of the known pixels `[n, n]`."""
    nearest, _ = cKDTree(features[known]).query(features.reshape(-1, features.shape[-1]), k=_NEIGHBOURS)
    return nearest.mean(-1).reshape(known.shape)


def person_matte(image: np.ndarray, away: np.ndarray, below: np.ndarray) -> np.ndarray:
    """What moves with the person: soft matte `[size, size]` in [0, 1] of a crop float `[size, size, 3]`.

    Args:
      away: `[SIDE, SIDE]` distance outside of the face oval in face heights, negative inside.
      below: `[SIDE, SIDE]` how far below the chin, in face heights.
    """
    share, person = _share(image, away, below, passes=3, place=60.0, wall_below=False)
    generous = gaussian_filter(grey_dilation(_body(share > 0.5, person, away), footprint=_DISC), 0.9)
    # Shoulders hardly move: there the wall goes with them, and nothing can tear.
    matte = np.maximum(generous, smooth(below, 0.0, 0.3))
    matte = np.clip(zoom(matte, len(image) / SIDE, order=1, grid_mode=True, mode="nearest"), 0, 1)
    return np.where(matte < 0.02, 0.0, matte)


def person_alone(image: np.ndarray, away: np.ndarray, below: np.ndarray) -> np.ndarray:
    """What is shown over another background: soft matte `[SIDE, SIDE]`; arguments as in `person_matte`."""
    # Wall below the chin is found from pass to pass, by its colour in a wider neighbourhood.
    share, person = _share(image, away, below, passes=5, place=24.0, wall_below=True)
    body = binary_fill_holes(_body(share > _SURELY, person & (away < 0), away))
    return gaussian_filter(body.astype(float), 0.9)


def _share(image: np.ndarray, away: np.ndarray, below: np.ndarray, passes: int, place: float, wall_below: bool):
    """Probability `[SIDE, SIDE]` of each pixel to be the person's, and the pixels known to be so.

    Args:
      place: weight of a pixel's place beside its colour after the first pass, in colour levels per picture side.
      wall_below: whether pixels below the chin may become known as background.
    """
    size = len(image)
    small = image.reshape(SIDE, size // SIDE, SIDE, size // SIDE, 3).mean((1, 3)) if size > SIDE else image
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1)
    reach = np.where(below < -0.9, 0.10, 0.02)
    trunk = (below > 0.05) & (np.abs(x - 0.5) < 0.10 + 0.35 * np.clip(below, 0, 0.6))
    person = (away < reach) | trunk
    border = np.minimum(np.minimum(x, 1 - x), y + 0.03)
    wall = ((away > 0.52) & (below < -0.25)) | ((border < 0.03) & (below < -0.05))
    wall &= (np.abs(x - 0.5) > 0.22) & ~person
    # Colours weigh with their place: a background changes slowly across a picture.
    at = np.stack([x, y], -1)
    features = np.concatenate([small, 60.0 * at], -1)
    matrix = _neighbours(small)
    # Rim and trunk may be wall in truth: pixels that look like it are not known.
    person &= (away < 0.02) | (_distance(small, wall) > _ALIKE)
    # In a patterned wall each tile is an island that a walker hardly leaves: the first pass goes by colours as well.
    sure = person, wall
    for _ in range(passes):
        inside, outside = (_distance(features, part) for part in sure)
        pull = 1 / (1 + np.exp(np.clip((inside - outside) / 8, -20, 20)))
        share = _walk(matrix, person, wall, pull, 0.08)
        sure = share > 0.85, (share < 0.15) & (wall_below | (below < 0))
        features = np.concatenate([small, place * at], -1)
    return share, person


def _body(part: np.ndarray, person: np.ndarray, away: np.ndarray) -> np.ndarray:
    """The person in a part `[SIDE, SIDE]` of the picture, as 0 and 1.

    Thin pieces count as lines of the wall, and pieces apart from the face as wall.
    """
    parts, _ = label(binary_opening(part, _DISC) | person)
    return (np.isin(parts, np.unique(parts[away < 0])) & (parts > 0)).astype(float)


def background_plate(image: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """The crop `[size, size, 3]` with the person replaced by what surrounds them, near things first.

    The plate is the crop itself where the matte is 0: nothing of the wall is left to move with the person.
    """
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
    plate = zoom(plate, (step, step, 1), order=1, grid_mode=True, mode="nearest")
    return np.where(matte[..., None] > 0, plate, image)
