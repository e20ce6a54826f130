"""Depth, head weight and displacement fields of one portrait, on a coarse grid.

Everything here is numpy, made once per portrait. Coordinates:

  pixel      of the square crop, 0 at the centre of the first pixel, x right, y down
  canonical  the portrait's own upright face: origin at the mean of the rigid points, unit = distance of the outer eye
             corners, x right, y down, z away
  mouth      u along the mouth, v down from its seam, in half widths of the mouth (`seam`)

A displacement field says by how much each canonical point moves for one unit of its motion channel. There are two sets,
`base` (upper face and upper lip) and `low` (lower lip and chin). With g(u) = (1 - |u|^2.4)^1.1 between the corners,
the jaw carries the share

  base: (1 - g) m(v)        low: g + (1 - g) m(v)        m: 0 below the nose ... 0.4 at the corners ... 1 at the chin

so the lips part by exactly g and the cheeks, where g = 0, move as one. Across the seam each set goes on with its value
at the seam: what lies there belongs to the other set, and a constant keeps the map invertible.
"""

from typing import NamedTuple

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.ndimage import gaussian_filter, grey_erosion

from afjax.codec.face.render.seam import SEAM_END, Mouth
from afjax.codec.face.track.template import Pose, canonical

__all__ = ["FIELDS", "Frame", "depth", "displacements", "face_frame", "head_weight", "outside", "smooth"]

FIELDS = ("jaw_open", "mouth_width", "smile", "upper_lip", "brow_raise", "brow_furrow")

OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149,
        150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip
BROWS = (
    ((70, 46), (63, 53), (105, 52), (66, 65), (107, 55)),
    ((300, 276), (293, 283), (334, 282), (296, 295), (336, 285)),
)
STEEPEST = 1.8
INNER_BROWS = (55, 285)
CHEEKS, WINGS = (205, 425), (48, 278)  # the middle of the cheeks, the wings of the nose
UPPER_LIDS, LOWER_LIDS = (159, 386), (145, 374)


class Frame(NamedTuple):
    """Canonical axes of a portrait: pixel = origin + unit * rotation @ canonical, with z in pixels too."""

    origin: np.ndarray  # [3]
    unit: float
    rotation: np.ndarray  # [3, 3]
    points: np.ndarray  # [468, 3] canonical landmarks


def smooth(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, a cubic between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def face_frame(mesh: np.ndarray, pose: Pose) -> Frame:
    """Canonical axes of a mesh `[468, 3]` in pixels whose head pose is `pose`."""
    return Frame(pose.translation, pose.scale, pose.rotation, canonical(mesh.astype(np.float64), pose))


def outside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Signed distance `[n]` of points `[n, 2]` to a polygon `[m, 2]`, negative inside."""
    a, b = polygon, np.roll(polygon, -1, 0)
    edge, rel = b - a, points[:, None] - a
    t = np.clip((rel * edge).sum(-1) / (edge**2).sum(-1), 0, 1)
    distance = np.linalg.norm(rel - t[..., None] * edge, axis=-1).min(1)
    crosses = (a[:, 1] > points[:, None, 1]) != (b[:, 1] > points[:, None, 1])
    x = a[:, 0] + (points[:, None, 1] - a[:, 1]) * edge[:, 0] / np.where(edge[:, 1] == 0, 1e-9, edge[:, 1])
    inside = (crosses & (points[:, None, 0] < x)).sum(1) % 2 == 1
    return np.where(inside, -distance, distance)


def depth(mesh: np.ndarray, grid: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Depth `[n, n]` in pixels at the grid `[n, n, 2]`: the mesh inside the oval, falling back behind it."""
    n = len(grid)
    flat, away = grid.reshape(-1, 2), away.reshape(-1)
    inside = RBFInterpolator(mesh[:, :2], mesh[:, 2], kernel="linear", smoothing=1.0, neighbors=40)
    z = np.zeros(n * n)
    near = away < 6.0
    z[near] = inside(flat[near])
    oval = mesh[list(OVAL)]
    reach = ((flat[:, None] - oval[None, :, :2]) ** 2).sum(-1)
    weight = 1 / (reach + 30.0) ** 2
    border = (weight * oval[:, 2]).sum(1) / weight.sum(1)
    cap = np.percentile(mesh[:, 2], 97) * 1.15
    back = np.minimum(border + 0.35 * np.maximum(away, 0), np.maximum(cap, border))
    share = smooth(away, -4.0, 6.0)
    z = np.where(near, z * (1 - share) + back * share, back).reshape(n, n)
    soft = gaussian_filter(z, 1.6)
    share = smooth(away, -14.0, 4.0).reshape(n, n)
    z = z * (1 - share) + soft * share
    # Steeper sides would fold over when the head turns, and a fold on a coarse grid has a ragged edge.
    cell = grid[0, 1, 0] - grid[0, 0, 0]
    cone = STEEPEST * cell * np.hypot(*np.mgrid[-16:17, -16:17])
    return gaussian_filter(grey_erosion(z, structure=-cone, mode="nearest"), 0.7)


def head_weight(grid: np.ndarray, away: np.ndarray, frame: Frame, height: float, size: int) -> np.ndarray:
    """Share `[n, n]` of the head's motion that each grid point takes: 1 on face and hair, 0 at the frame's border.

    Args:
      grid: `[n, n, 2]` pixels; away: `[n, n]` their distance outside the face oval.
      height: face height in pixels; size: width of the crop.
    """
    upright = (grid - frame.origin[:2]) / frame.unit @ frame.rotation[:2, :2]
    chin = frame.points[152, 1]
    below = smooth(upright[..., 1], chin - 0.9, chin + 0.05)
    room, fade = 0.45 * (1 - below) + 0.02 * below, 0.5 * (1 - below) + 0.36 * below
    share = 1 - smooth((away / height - room) / fade, 0.0, 1.0)
    border = np.minimum(grid, size - 1 - grid).min(-1) / size
    return share * smooth(border, 0.0, 0.12)


def displacements(frame: Frame, mouth: Mouth, points: np.ndarray, grid: np.ndarray, away: np.ndarray):
    """The fields `base` and `low`, each `[k, n, n, 3]` in canonical units per unit of channel, in the order FIELDS.

    Args:
      points: `[n, n, 3]` canonical points of the grid; grid: `[n, n, 2]` their pixels.
      away: `[n, n]` signed distance to the face oval in canonical units.
    """
    down = np.array([-mouth.along[1], mouth.along[0]])
    u = (grid - mouth.centre) @ mouth.along / mouth.half
    v = (grid - mouth.centre) @ down / mouth.half - np.polyval(mouth.seam, np.clip(u, -SEAM_END, SEAM_END))
    near = 1 - smooth(away, 0.0, 0.55)
    hold = 1 - smooth(np.abs(u), 0.85, 1.5)
    above, under = v - hold * np.maximum(v, 0), v - hold * np.minimum(v, 0)
    base = _lips(frame, points, u, above, mouth.half / frame.unit, upper=True)
    low = _lips(frame, points, u, under, mouth.half / frame.unit, upper=False)
    brows = _brows(frame, points)
    # Lips and cheeks need not reach beyond the oval; the chin takes the throat along, the brows the hairline.
    return tuple(near[None, ..., None] * np.concatenate([lips, brows]) for lips in (base, low))


def _lips(frame: Frame, points: np.ndarray, u, v, half: float, upper: bool) -> np.ndarray:
    """Jaw, width, smile and upper lip `[4, n, n, 3]`; `half` = half width of the mouth in canonical units."""
    part = np.maximum(1 - np.abs(u) ** 2.4, 0) ** 1.1
    follow = smooth(v, -1.15, 1.5)
    jaw = (1 - part) * follow + (0 if upper else part)
    hinge = (frame.points[234] + frame.points[454]) / 2
    lip = frame.points[14] - hinge
    # A small turn about the axis through the ears, one unit of it = one unit of lip gap.
    reach = np.maximum(hinge[2] - points[..., 2], 0.0)
    turned = np.stack([np.zeros_like(u), reach, np.clip(points[..., 1] - hinge[1], 0, 1.2)], -1) / -lip[2]
    # Outside of the chin the throat is not on the jaw: it gives way instead of turning with it.
    throat = 1 - smooth(points[..., 1], frame.points[152, 1] - 0.02, frame.points[152, 1] + 0.5)
    jaw = (jaw * throat)[..., None] * turned

    side, reach = np.sign(u), np.abs(u)
    drawn = np.exp(-(((reach - 1.0) / 0.6) ** 2) - (v / 0.9) ** 2)
    jaw = jaw + np.stack([-0.13 * side * drawn, np.zeros_like(u), np.zeros_like(u)], -1)
    tail = np.exp(-((np.maximum(reach - 1, 0) / 0.8) ** 2))
    across = np.clip(u, -1, 1) * tail * np.exp(-((v / 1.3) ** 2))
    thin = -0.35 * v * np.exp(-((v / 0.55) ** 2)) * np.exp(-((u / 1.0) ** 2))
    width = np.stack([0.5 * across, thin, 0.35 * np.exp(-((u / 1.2) ** 2) - (v / 1.0) ** 2)], -1)

    nose = np.clip((frame.points[13, 1] - frame.points[2, 1]) / half, 0.4, 2.0)
    upright = (1 - 0.85 * smooth(-v, 0.0, nose)) * (1 - smooth(-v, nose, 2 * nose))
    raised = np.maximum(1 - (0.9 * u) ** 2, 0) ** 1.5 * (upright if upper else np.exp(-((v / 0.7) ** 2)))
    lift = np.stack([np.zeros_like(u), -raised * (1.0 if upper else 0.0), np.zeros_like(u)], -1)

    # A parabola along the lips, so that they bow instead of kinking in the middle.
    corner = np.where(reach < 1.05, (reach / 1.05) ** 2, np.exp(-(((reach - 1.05) / 0.85) ** 2)))
    corner = corner * np.exp(-((v / 1.1) ** 2))
    cheek, wing = _bumps(frame, points, CHEEKS, 0.24), _bumps(frame, points, WINGS, 0.09)
    up = corner + cheek + (0.8 if upper else 0.6) * raised  # lips that smile part a little
    smile = np.stack([side * (0.9 * corner + 0.25 * wing), -up, 0.35 * corner], -1)

    # Nothing that a mouth does here reaches the eyes.
    lids = frame.points[list(LOWER_LIDS), 1].mean()
    return smooth(points[..., 1], lids + 0.02, lids + 0.2)[..., None] * np.stack([jaw, width, smile, lift])


def _bumps(frame: Frame, points: np.ndarray, at: tuple[int, int], width: float) -> np.ndarray:
    """Share `[n, n]` that falls off around two landmarks, in canonical units."""
    centres = frame.points[list(at), :2]
    away = ((points[..., None, :2] - centres) ** 2).sum(-1)
    return np.exp(-away / width**2).max(-1)


def _brows(frame: Frame, points: np.ndarray) -> np.ndarray:
    """Raised and drawn together brows `[2, n, n, 3]`."""
    x, y = points[..., 0], points[..., 1]
    raised, drawn_x, drawn_y = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    for brow, inner, lid, sign in zip(BROWS, INNER_BROWS, UPPER_LIDS, (1, -1), strict=True):
        line = frame.points[np.array(brow)].mean(1)
        order = np.argsort(line[:, 0])
        curve = np.interp(x, line[order, 0], line[order, 1])
        ends = line[order[[0, -1]], 0]
        off = np.maximum(np.maximum(ends[0] - x, x - ends[1]), 0)
        lateral = np.exp(-((off / 0.13) ** 2))
        room = max(frame.points[lid, 1] - line[2, 1], 0.08)
        below, above = np.maximum(y - curve, 0), np.maximum(curve - y, 0)
        upright = (1 - smooth(below, 0.12 * room, 1.0 * room)) * np.exp(-((np.maximum(above - 0.05, 0) / 0.26) ** 2))
        raised = np.maximum(raised, lateral * upright)
        at = frame.points[inner]
        bump = np.exp(-(((x - at[0]) / 0.15) ** 2) - ((y - at[1] + 0.02) / 0.13) ** 2)
        drawn_x, drawn_y = drawn_x + sign * 0.5 * bump, drawn_y + 0.22 * bump
    zero = np.zeros_like(x)
    return np.stack([np.stack([zero, -raised, zero], -1), np.stack([drawn_x, drawn_y, zero], -1)])
