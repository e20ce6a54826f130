"""Coordinates of a portrait's mouth, and the seam where its lips meet.

`u` runs along the line through the inner lip corners (-1 image left, +1 image right), `v` down from the seam between
the lips, both in half widths of the mouth.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

__all__ = ["LOWER_INNER_LIP", "SEAM_END", "UPPER_INNER_LIP", "Mouth", "mouth_frame"]

LOWER_INNER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
UPPER_INNER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
CLOSED = 0.08  # lips further apart than this share of the mouth's half width show teeth or a gap
SEAM_END = 1.12  # the seam's curve ends beyond the inner corners, which the mesh sees too far inside


class Mouth(NamedTuple):
    """Mouth coordinates: u = (x - centre) . along / half; v = (x - centre) . down / half - seam(u)."""

    centre: np.ndarray  # [2]
    along: np.ndarray  # [2]
    half: float
    seam: np.ndarray  # [5] quartic, highest power first
    gap: float  # the portrait's own opening between the lips, in half widths


def mouth_frame(mesh: np.ndarray, image: np.ndarray) -> Mouth:
    """Mouth coordinates from a mesh `[468, 3]` in pixels of `image` float `[size, size, 3]`.

    The seam goes along the lower inner lip, so that teeth which the portrait shows stay with the skull. The mesh misses
    it by a pixel or two, so it is drawn to the dark line between closed lips, or to the edge where teeth end and the
    redder lip begins.
    """
    left, right = mesh[78, :2], mesh[308, :2]
    centre, half = (left + right) / 2, float(np.linalg.norm(right - left)) / 2
    along = (right - left) / (2 * half)
    turn = np.stack([along, [-along[1], along[0]]], 1)
    low = (mesh[list(LOWER_INNER_LIP), :2] - centre) @ turn / half
    high = (mesh[list(UPPER_INNER_LIP), :2] - centre) @ turn / half
    gap = float((low - high)[3:8, 1].mean())
    curve = np.polyfit(low[:, 0], low[:, 1], 4)

    limit = SEAM_END if gap < CLOSED else 0.8
    u, offset = np.linspace(-limit, limit, 23), np.linspace(-0.2, 0.2, 41)
    v = np.polyval(curve, np.clip(u, -1, 1))[:, None] + offset
    pixel = centre + half * (np.stack([np.broadcast_to(u[:, None], v.shape), v], -1) @ turn.T)
    soft = gaussian_filter(image, (0.6, 0.6, 0))
    place = np.moveaxis(pixel, -1, 0)[::-1]
    tone = np.stack([map_coordinates(plane, place, order=1) for plane in np.moveaxis(soft, -1, 0)], -1)
    if gap < CLOSED:
        cost = tone @ [0.3, 0.6, 0.1] / 8 + (offset / 0.12) ** 2
    else:
        cost = -np.gradient(tone @ [1, -0.5, -0.5], axis=1) + (offset / 0.1) ** 2
    best = _cheapest_path(cost)
    fixed = np.array([-1.0, 1.0]) if limit < 1 else np.zeros(0)
    shape = np.concatenate([np.polyval(curve, np.clip(u, -1, 1)) + offset[best], np.polyval(curve, fixed)])
    return Mouth(centre, along, half, np.polyfit(np.concatenate([u, fixed]), shape, 4), gap)


def _cheapest_path(cost: np.ndarray) -> np.ndarray:
    """Column `[rows]` for each row of `cost` `[rows, columns]`, steps of at most 2 columns between rows."""
    total, came = cost.copy(), np.zeros(cost.shape, int)
    columns = np.arange(cost.shape[1])
    for row in range(1, len(cost)):
        moves = np.clip(columns + np.arange(-2, 3)[:, None], 0, cost.shape[1] - 1)
        price = total[row - 1][moves] + 0.1 * np.abs(np.arange(-2, 3))[:, None]
        pick = price.argmin(0)
        came[row] = moves[pick, columns]
        total[row] += price[pick, columns]
    path = [int(total[-1].argmin())]
    for row in range(len(cost) - 1, 0, -1):
        path.append(came[row, path[-1]])
    return np.array(path[::-1])
