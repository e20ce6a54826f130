"""Eyes of a portrait: lids that close and irises that turn, in closed form.

Each eye has axes of its own: `p` along the line through its corners (-1 outer, +1 inner), `q` across it towards the
chin, both in half widths of the eye. The lids are quartics through the corners,

  U(p) = (1 - p^2) (u0 + u1 p + u2 p^2)     upper        L(p) likewise     lower

The rim around them, top(p) and bottom(p), is where lashes, liner and eyeball end and plain skin begins; it is looked
for in the portrait. With blink b the upper lid's edge travels from U to a closing line Z near L. All between the rim's
top and that edge is painted with skin, the edge with the portrait's own lash colour. The lower rim comes up to Z. The
skin is a cubic in (p, q) per colour, fitted to a ring just outside of the rim, so that it joins without a border. Gaze
moves what is sampled between the lids; near a lid the eyeball goes on with what it shows there, so that an iris slides
under it.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates, median_filter

__all__ = ["Eyes", "gaze_shift", "make_eyes", "paint_lids"]

KNOTS = 17
REACH = 1.5  # the rim is known for |p| <= REACH
_MEET = 0.12  # the lids meet this share of the opening above the lower lid
_SLACK = 0.05
_GAP = 6  # steps of 0.025
_UPPER, _LOWER = (0, 9, 10, 11, 12, 13, 14, 15, 8), tuple(range(9))


class Eyes(NamedTuple):
    """Both eyes (image left, image right) of a portrait."""

    centre: np.ndarray  # [2, 2] pixels
    axes: np.ndarray  # [2, 2, 2] rows: along p, along q (unit vectors)
    half: np.ndarray  # [2] half width in pixels
    upper: np.ndarray  # [2, 3] u0, u1, u2
    lower: np.ndarray  # [2, 3]
    top: np.ndarray  # [2, KNOTS] rim above, at p = -REACH ... REACH
    bottom: np.ndarray  # [2, KNOTS]
    skin: np.ndarray  # [2, 10, 3] colour 0..255 by the monomials of `_cubic`
    lash: np.ndarray  # [2, 3] colour 0..255
    thick: np.ndarray  # [2] half thickness of the lash line


def make_eyes(contours: np.ndarray, image: np.ndarray) -> Eyes:
    """Eyes from lid contours `[2, 71, >=2]` in pixels of `image` float `[size, size, 3]`."""
    parts = [_eye(contour[:16, :2].astype(np.float64), image) for contour in contours]
    return Eyes(*(np.stack(part).astype(np.float32) for part in zip(*parts, strict=True)))


def _lid(p, coefficients):
    return (1 - p * p) * (coefficients[..., 0] + p * (coefficients[..., 1] + p * coefficients[..., 2]))


def _fit(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    p = np.clip(p, -0.97, 0.97)
    basis = (1 - p * p)[:, None] * np.stack([np.ones_like(p), p, p * p], -1)
    return np.linalg.solve(basis.T @ basis + 0.02 * np.eye(3), basis.T @ q)


def _cubic(p, q, xp=np):
    terms = (p * 0 + 1, p, q, p * p, p * q, q * q, p**3, p * p * q, p * q * q, q**3)
    return xp.stack(terms, -1)


def _eye(points: np.ndarray, image: np.ndarray):
    centre, half = (points[0] + points[8]) / 2, max(np.linalg.norm(points[8] - points[0]) / 2, 1.0)
    along = (points[8] - points[0]) / (2 * half)
    down = np.array([-along[1], along[0]])
    axes = np.stack([along, down * (np.sign(down[1]) or 1.0)])
    local = (points - centre) @ axes.T / half
    upper, lower = _fit(*local[list(_UPPER)].T), _fit(*local[list(_LOWER)].T)
    # Lids that the network sees crossed would open a hole when they close.
    lower[0] = max(lower[0], upper[0] + 0.12)

    p, q = np.meshgrid(np.linspace(-REACH - 0.3, REACH + 0.3, 61), np.linspace(-1.3, 1.2, 101), indexing="ij")
    place = centre + half * np.stack([p, q], -1) @ axes
    colours = np.stack([map_coordinates(c, np.moveaxis(place, -1, 0)[::-1], order=1, mode="nearest")
                        for c in np.moveaxis(image, -1, 0)], -1)  # fmt: skip
    high, low = (np.where(np.abs(p) < 1, _lid(p, lid), 0) for lid in (upper, lower))
    ring = ((q < high - 0.25) & (q > high - 0.6)) | ((q > low + 0.2) & (q < low + 0.5))
    rough, spread = _skin(p, q, colours, ring & (np.abs(p) < 1.3))
    error = np.abs(colours - _cubic(p, q) @ rough).sum(-1)
    top, bottom = _rim(p, q, high, low, error > max(40.0, 3 * spread))
    ring = ((q < top - _SLACK) & (q > top - 0.3)) | ((q > bottom + _SLACK) & (q < bottom + 0.3))
    skin, _ = _skin(p, q, colours, ring & (np.abs(p) < 1.35))

    knots = np.linspace(-REACH, REACH, KNOTS)
    edge = (np.abs(p) < 0.8) & (np.abs(q - high) < 0.1)
    lash = colours[edge][np.argsort(colours[edge].sum(-1))[: max(edge.sum() // 6, 1)]].mean(0)
    thick = np.clip(0.45 * np.median((high - top)[np.abs(p) < 0.7]), 0.05, 0.12)
    rims = [np.interp(knots, p[:, 0], rim[:, 0]) for rim in (top, bottom)]
    return centre, axes, np.float64(half), upper, lower, *rims, skin, np.minimum(lash, 90), thick


def _skin(p: np.ndarray, q: np.ndarray, colours: np.ndarray, ring: np.ndarray) -> tuple[np.ndarray, float]:
    """Cubic `[10, 3]` of the skin's colour and its median error; lashes and brow hairs are outliers and lose weight."""
    basis, colours = _cubic(p[ring], q[ring]), colours[ring]
    ridge = np.diag([1e-3, 0.3, 0.3, 1, 1, 1, 3, 3, 3, 3]) * len(basis) / 60
    tone = colours.sum(-1)
    weight = np.where(tone >= np.percentile(tone, 25), 1.0, 0.02)
    for _ in range(5):
        scaled = basis * weight[:, None]
        fit = np.linalg.solve(scaled.T @ basis + ridge, scaled.T @ colours)
        error = (colours - basis @ fit).sum(-1)
        weight = 1 / (1 + (error / np.where(error < 0, 30.0, 60.0)) ** 2)
    return fit, float(np.median(np.abs(colours - basis @ fit).sum(-1)))


def _rim(p, q, high, low, other) -> tuple[np.ndarray, np.ndarray]:
    """Top and bottom `[columns, 1]` of what is not skin, followed outwards from the lids until skin comes."""
    line, inner = q[0], (high[:, 0] + low[:, 0]) / 2
    tops, bottoms = high[:, 0].copy(), low[:, 0].copy()
    reach = np.clip((REACH - np.abs(p[:, 0])) / 0.6, 0, 1)
    limit_up, limit_down = 0.5 * reach + 0.03, 0.32 * reach + 0.03
    for column in range(len(p)):
        for rims, lid, sign, limit in ((tops, high, -1, limit_up), (bottoms, low, 1, limit_down)):
            if abs(p[column, 0]) > REACH - 0.1:
                continue
            start = lid[column, 0] if abs(p[column, 0]) < 1 else inner[column]
            steps = start + sign * np.arange(0, limit[column], 0.025)
            seen = np.flatnonzero(np.interp(steps, line, other[column].astype(float)) > 0.5)
            # The white of an eye may pass for skin: only a longer stretch of skin ends the search.
            ends = np.flatnonzero(np.diff(np.concatenate([[-1], seen])) > _GAP)
            seen = seen[: ends[0]] if len(ends) else seen
            rims[column] = steps[seen[-1]] if len(seen) else start
    tops, bottoms = (gaussian_filter1d(median_filter(rim, 9), 1.5) for rim in (tops, bottoms))
    inside = np.clip(1.2 - np.abs(p[:, 0]), 0, 0.4) / 0.4
    return (tops - _SLACK * (0.4 + inside))[:, None], (bottoms + 0.6 * _SLACK * (0.4 + inside))[:, None]


def _ramp(x, low, high):
    t = jnp.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _local(eyes: Eyes, source):
    """Points `[..., 2]` in the axes of the nearer eye: whether it is the one at the image's right, p and q."""
    right = (source - (eyes.centre[0] + eyes.centre[1]) / 2) @ (eyes.centre[1] - eyes.centre[0]) > 0
    p, q = (_pick(right, [(source - eyes.centre[side]) @ eyes.axes[side, axis] / eyes.half[side] for side in (0, 1)])
            for axis in (0, 1))  # fmt: skip
    return right, p, q


def _pick(right, pair):
    return jnp.where(right, pair[1], pair[0])


def _lids_at(eyes: Eyes, right, p):
    """Upper and lower lid of the eyes at p."""
    return tuple(_pick(right, [_lid(p, lids[side]) for side in (0, 1)]) for lids in (eyes.upper, eyes.lower))


def gaze_shift(eyes: Eyes, source, gaze):
    """Source points moved so that the irises turn by `gaze`.

    Args:
      source: `[..., 2]` pixels of the portrait; gaze: `[2]` to the image's right and down, in eye widths.
    """
    right, p, q = _local(eyes, source)
    inside = jnp.clip(p, -1, 1)
    upper, lower = _lids_at(eyes, right, inside)
    edge = 0.3 / _pick(right, eyes.half)
    visible = _ramp(q - upper, 0, edge) * _ramp(lower - q, 0, edge) * (jnp.abs(p) < 1)
    turn_p, turn_q = (_pick(right, 2 * eyes.axes[:, axis] @ gaze) for axis in (0, 1))
    to_p = inside - turn_p * (1 - jnp.abs(inside) ** 3)
    margin = 0.07 * jnp.clip(jnp.abs(gaze).sum() / 0.04, 0, 1)
    high, low = _lids_at(eyes, right, to_p)
    middle = (high + low) / 2
    to_q = jnp.clip(q - turn_q, jnp.minimum(high + margin, middle), jnp.maximum(low - margin, middle))
    move_p, move_q = (visible * step * _pick(right, eyes.half) for step in (to_p - p, to_q - q))
    along, across = (jnp.where(right[..., None], eyes.axes[1, axis], eyes.axes[0, axis]) for axis in (0, 1))
    return source + move_p[..., None] * along + move_q[..., None] * across


def _rims_at(eyes: Eyes, right, p):
    """The rim's top and bottom at p, linear between the knots."""
    at = (jnp.clip(p, -REACH, REACH) + REACH) * (KNOTS - 1) / (2 * REACH)
    knot = jnp.minimum(at.astype(jnp.int32), KNOTS - 2)
    share, knot = at - knot, knot + KNOTS * right
    rims = (eyes.top.reshape(-1), eyes.bottom.reshape(-1))
    return tuple(rim[knot] * (1 - share) + rim[knot + 1] * share for rim in rims)


def paint_lids(eyes: Eyes, source, colour, blink, squeeze):
    """Colours `[..., 3]` with the lids closed by `blink` over `colour` sampled at `source` `[..., 2]`.

    `squeeze`: share of half the eye by which cheeks push the lower lid up; like `blink` a scalar in 0..1.
    """
    early = _ramp(blink, 0.0, 0.25)
    right, p, q = _local(eyes, source)
    inside = jnp.clip(p, -1, 1)
    top, bottom = _rims_at(eyes, right, p)
    upper, lower = _lids_at(eyes, right, inside)
    close = lower - _MEET * (lower - upper)
    line = upper + blink * (close - upper)
    pushed = bottom + squeeze * ((upper + lower) / 2 - bottom)
    rise = jnp.maximum(jnp.minimum(bottom + blink * (close - bottom), pushed), line)
    soft = 0.6 / _pick(right, eyes.half)
    wide = 1 - _ramp(jnp.abs(p), REACH - 0.35, REACH - 0.1)
    over = 1 - _ramp(q, line - soft, line + soft)
    # What the edge has passed is skin at once; lashes above its resting place fade while it leaves.
    passed = _ramp(q, upper - soft, upper + soft) * jnp.minimum(1, 30 * blink)
    lid = over * _ramp(q, top - 1.5 * soft, top + 0.5 * soft) * jnp.maximum(passed, early)
    under = _ramp(q, rise - soft, rise + soft) * (1 - _ramp(q, bottom - 0.5 * soft, bottom + 1.5 * soft))
    under = under * jnp.maximum(early, _ramp(squeeze, 0.0, 0.15))
    covered = wide * jnp.maximum(lid, under)
    basis = _cubic(jnp.clip(p, -REACH, REACH), jnp.clip(q, -1.1, 1.1), jnp)
    skin = jnp.where(right[..., None], basis @ eyes.skin[1], basis @ eyes.skin[0])
    # The lid bulges over the eyeball: lighter in its middle, darker towards the lashes.
    bulge = 1 + blink * (0.03 * over - 0.13 * _ramp(q, line - 0.28, line) * over) * (1 - inside**4)
    colour = colour + covered[..., None] * (jnp.clip(skin, 0, 255) * bulge[..., None] - colour)
    drawn = jnp.exp(-(((q - line) / (_pick(right, eyes.thick) + soft / 1.7)) ** 2))
    drawn = 0.85 * drawn * early * (1 - _ramp(jnp.abs(p), 0.85, 1.08))
    return colour + drawn[..., None] * (jnp.where(right[..., None], eyes.lash[1], eyes.lash[0]) - colour)
