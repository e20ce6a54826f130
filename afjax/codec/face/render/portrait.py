"""Everything the renderer must know of one portrait, as one pytree of arrays.

The portrait is cropped to a square of about 2.35 face heights. Where that square leaves the portrait it is moved, then
made smaller, down to 1.25 face heights. Only where the face itself is cut off is the picture's edge carried on, with an
InputWarning. The crop is kept at twice the frame's resolution: a frame's pixel at rest is the mean of four texels, and
a moved one nearly so, which keeps frames equally sharp whether the face moves or not.

The crop I is split into person and background plate B by a soft matte a (`matte`). The texture holds the person as
I - (1 - a) B, so that texture + (1 - a) B gives back the crop exactly, however rough matte and plate are.
"""

import warnings
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.ndimage import zoom

from afjax.codec.face.render import fields
from afjax.codec.face.render.lids import Eyes, make_eyes
from afjax.codec.face.render.matte import SIDE, background_plate, person_alone, person_matte
from afjax.codec.face.render.mouth import Palette, make_palette
from afjax.codec.face.render.seam import LOWER_INNER_LIP, UPPER_INNER_LIP, Mouth, mouth_frame
from afjax.codec.face.render.warp import quads
from afjax.codec.face.track.coefficients import RESTING_SMILE, smile_of
from afjax.codec.face.track.template import angles, load_template, pose_of
from afjax.errors import InputError, InputWarning

__all__ = ["Identity", "make_identity", "portrait_crop", "without_background"]

NODES = 64
CROP, TIGHTEST = 2.35, 1.25
# Lips OPEN half widths of the mouth apart are an open mouth, unless it smiles by GRIN or shows its teeth.
OPEN, GRIN = 0.3, 0.08
CHEEKS, LIPS = (50, 280, 205, 425, 152, 151), (0, 17, 37, 267, 84, 314)
_MIN_FACE = 32.0
_ORDINARY = 0.05  # how much resting faces differ in their seeming smile


class Identity(NamedTuple):
    """A portrait ready to be rendered at `size` pixels; n = NODES, k = len(fields.FIELDS).

    Attributes:
      texture: `[2 size, 2 size, 4]` the person's share of the crop, 0..255, and the matte, 0..1.
      table: `[(2 size - 1)^2, 16]` the four texels of each sample (`warp.quads`) in half floats: reading them takes
        most of a frame's time, and they are good for an eighth of a level.
      plate: `[size, size, 3]` the background, 0..255.
      points: `[n, n, 3]` canonical points of the grid; weight: `[n, n]` the head's share of motion.
      base, low: `[k, n, n, 3]` displacement fields of both layers, canonical units.
      origin: `[3]` pixels; unit: pixels per canonical unit; angles: `[3]` the portrait's yaw, pitch, roll in degrees.
      mouth, eyes: coordinates of mouth and eyes in pixels of the crop.
      palette: of the mouth's inside; gap: how far the portrait's own lips are apart, in units of `jaw_open`.
      shut: how far they are closed at rest, in the same units; smile: how much more it smiles than people at rest.
      box: `[3]` left, top and side of the crop in the portrait's pixels.
      around: `[SIDE, SIDE, 2]` distance of the crop's pixels outside of the face oval and below the chin, in face
        heights (`matte`).
    """

    texture: np.ndarray
    table: np.ndarray
    plate: np.ndarray
    points: np.ndarray
    weight: np.ndarray
    base: np.ndarray
    low: np.ndarray
    origin: np.ndarray
    unit: np.ndarray
    angles: np.ndarray
    mouth: Mouth
    eyes: Eyes
    palette: Palette
    gap: np.ndarray
    shut: np.ndarray
    smile: np.ndarray
    box: np.ndarray
    around: np.ndarray


def without_background(identity: Identity) -> Identity:
    """The same person with nothing of the wall around them, for another background."""
    person, matte = np.split(np.asarray(identity.texture), [3], axis=-1)
    plate = np.asarray(identity.plate).repeat(2, 0).repeat(2, 1)
    alone = person_alone(person + (1 - matte) * plate, *np.moveaxis(np.asarray(identity.around), -1, 0))
    alone = zoom(alone, len(matte) / SIDE, order=1, grid_mode=True, mode="nearest")[..., None]
    texture = np.concatenate([person, matte], -1) * np.clip(alone / np.maximum(matte, 1e-3), 0, 1)
    table = np.asarray(quads(texture.astype(np.float16)))
    return identity._replace(texture=texture.astype(np.float32), table=table)


def _taps(length: int, start: float, side: float, count: int) -> np.ndarray:
    """Matrix `[count, length]` that resamples `start ... start + side` of pixels to `count` cells; the ends go on."""
    step = side / count
    centre = start + (np.arange(count) + 0.5) * step - 0.5
    reach = 2 * max(step, 1.0)
    index = np.floor(centre - reach)[:, None] + np.arange(int(2 * reach) + 3)
    x = np.abs(index - centre[:, None]) / max(step, 1.0)
    kernel = np.where(x < 1, 1.5 * x**3 - 2.5 * x**2 + 1, np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0))
    kernel /= kernel.sum(1, keepdims=True)
    held = np.clip(index.astype(int), 0, length - 1)
    matrix = np.zeros((count, length), np.float32)
    np.add.at(matrix, (np.broadcast_to(np.arange(count)[:, None], held.shape), held), kernel)
    return matrix


def portrait_crop(image: np.ndarray, box: np.ndarray, size: int) -> np.ndarray:
    """The square `box` (left, top, side) of an image `[h, w, 3]` as float32 `[size, size, 3]`; its edges go on."""
    rows = _taps(image.shape[0], box[1], box[2], size)
    columns = _taps(image.shape[1], box[0], box[2], size)
    used_rows, used_columns = rows.any(0), columns.any(0)
    part = image[used_rows][:, used_columns].astype(np.float32)
    half = np.tensordot(rows[:, used_rows], part, (1, 0))
    crop = np.einsum("cw,rwk->rck", columns[:, used_columns], half, optimize=True)
    return np.clip(crop, 0, 255).astype(np.float32)


def _box(middle: np.ndarray, height: float, shape: tuple[int, ...]) -> np.ndarray:
    """Left, top and side `[3]` of the crop around a face, counted from the corner of the first pixel."""
    side = np.clip(min(shape[:2]), TIGHTEST * height, CROP * height)
    if side > min(shape[:2]):
        words = (
            "the face fills the portrait to its edges, which are carried on: a picture with hair and neck looks better"
        )
        warnings.warn(words, InputWarning, stacklevel=5)
    corner = middle + 0.5 - side / 2
    room = np.array(shape[1::-1]) - side
    inside = np.clip(corner, np.minimum(room, 0), np.maximum(room, 0))
    # A crop larger than the portrait stays centred on the face.
    return np.array([*np.where(room >= 0, inside, corner), side])


def make_identity(image: np.ndarray, landmarks, size: int = 256, sure: bool = True) -> Identity:
    """Prepares a portrait for `render`.

    Args:
      image: uint8 `[h, w, 3]` RGB.
      landmarks: `mesh` `[468, 3]` and `eyes` `[2, 71, >=2]` in pixels (`afjax.codec.face.track.mesh.landmarks_of`).
      size: width of the rendered frames in pixels.
      sure: whether the landmarks are taken at their word; otherwise a mouth that they see open stays as it is.

    Raises:
      InputError: the face is too small or its landmarks are not finite.
      ValueError: `size` is not a multiple of 128.
    """
    if size % SIDE:
        raise ValueError(f"size {size} is not a multiple of {SIDE}")
    mesh, contours = np.asarray(landmarks.mesh, np.float64), np.asarray(landmarks.eyes, np.float64)[..., :2]
    height = float(np.linalg.norm(mesh[152, :2] - mesh[10, :2]))
    if not (np.isfinite(mesh).all() and np.isfinite(contours).all()):
        raise InputError("the face's landmarks are not finite", "portrait", "use another portrait")
    if height < _MIN_FACE:
        raise InputError(
            f"the face is only {height:.0f} pixels high", "portrait", f"use a portrait whose face has {_MIN_FACE:.0f}"
        )
    middle = (mesh[:, :2].min(0) + mesh[:, :2].max(0)) / 2
    box = _box(middle, height, image.shape)
    texture = portrait_crop(image, box, 2 * size)
    crop = texture.reshape(size, 2, size, 2, 3).mean((1, 3))

    scale = size / box[2]
    mesh = np.concatenate([(mesh[:, :2] + 0.5 - box[:2]) * scale - 0.5, mesh[:, 2:] * scale], 1)
    contours = (contours + 0.5 - box[:2]) * scale - 0.5
    return _assemble(texture, crop, mesh, contours, box, sure)


def _assemble(texture, crop, mesh, contours, box, sure: bool) -> Identity:
    size = len(crop)
    pose = pose_of(mesh, load_template())
    frame = fields.face_frame(mesh, pose)
    mouth = mouth_frame(mesh, crop)
    line = np.linspace(0, size - 1, NODES)
    grid = np.stack(np.meshgrid(line, line), -1)
    away = fields.outside(grid.reshape(-1, 2), mesh[list(fields.OVAL), :2]).reshape(NODES, NODES)
    z = fields.depth(mesh, grid, away)
    points = (np.concatenate([grid, z[..., None]], -1) - frame.origin) / frame.unit @ frame.rotation
    height = float(np.linalg.norm(mesh[152, :2] - mesh[10, :2]))
    weight = fields.head_weight(grid, away, frame, height, size)
    base, low = fields.displacements(frame, mouth, points, grid, away / frame.unit)
    gap = mouth.gap * mouth.half / frame.unit
    smile = max(smile_of(frame.points) - RESTING_SMILE - _ORDINARY, 0.0)
    palette = make_palette(_colour(crop, mesh, CHEEKS), _colour(crop, mesh, LIPS), _between(crop, mesh), mouth.gap)
    # Teeth that a smile shows would stay in sight as a strip between lips drawn together.
    grin = smile >= GRIN or (smile > 0 and mouth.gap > OPEN and palette.teeth < 0.5)
    smile = max(smile, GRIN) if grin else smile
    shut = gap if mouth.gap > OPEN and sure and not grin else 0.0
    if shut:
        warnings.warn("the portrait's mouth is open: the avatar closes it when at rest", InputWarning, stacklevel=5)
    coarse = np.stack(np.meshgrid(*(np.linspace(0.5, SIDE - 0.5, SIDE) * size / SIDE - 0.5,) * 2), -1)
    beyond = fields.outside(coarse.reshape(-1, 2), mesh[list(fields.OVAL), :2]).reshape(SIDE, SIDE)
    below = (coarse - mesh[152, :2]) @ (mesh[152, :2] - mesh[10, :2]) / height**2
    around = np.stack([beyond / height, below], -1)
    alpha = person_matte(crop, *np.moveaxis(around, -1, 0))
    plate = background_plate(crop, alpha)
    behind, alpha = (a.repeat(2, 0).repeat(2, 1) for a in (plate, alpha[..., None]))
    # Detail finer than the plate averages to zero in each of its pixels. The texture leaves it out where the matte is
    # 0, so that the wall stands still.
    texture = np.concatenate([np.where(alpha > 0, texture - (1 - alpha) * behind, 0), alpha], -1)
    arrays = (plate, points, weight, base, low, frame.origin, frame.unit, angles(frame.rotation))
    arrays = tuple(np.asarray(a, np.float32) for a in (texture, *arrays))
    table = np.asarray(quads(arrays[0].astype(np.float16)))
    mouth = Mouth(*(np.asarray(a, np.float32) for a in mouth))
    palette = Palette(*(np.asarray(a, np.float32) for a in palette))
    rest = tuple(np.asarray(a, np.float32) for a in (gap, shut, smile, box, around))
    return Identity(arrays[0], table, *arrays[1:], mouth, make_eyes(contours, crop), palette, *rest)


def _between(crop: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """Median colour `[3]` of the line halfway between upper and lower lip."""
    middle = (mesh[list(UPPER_INNER_LIP[3:8])] + mesh[list(LOWER_INNER_LIP[3:8])]) / 2
    return _colour(crop, middle, range(5))


def _colour(crop: np.ndarray, mesh: np.ndarray, points: Iterable[int]) -> np.ndarray:
    """Median colour `[3]` at mesh points."""
    at = np.clip(mesh[list(points), :2].round().astype(int), 0, len(crop) - 1)
    return np.median(crop[at[:, 1], at[:, 0]], 0)
