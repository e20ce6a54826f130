"""Eyes and mouth of a face: boxes around them, masks of boxes, and the pictures inside.

A box is (left, top, right, bottom) in shares of the picture's side: 0 and 1 are the outer edges of its border pixels.
"""

import jax
import jax.numpy as jnp
import numpy as np

from afjax.codec.latent.crop import Square

__all__ = ["PARTS", "boxes_of", "cut", "mask"]

PARTS = ("left_eye", "right_eye", "mouth")
"""Left and right are the image's."""

_MARGIN = 0.5
_POINTS = (
    (33, 133, 159, 145, 105, 70),  # corners, lids, brow
    (263, 362, 386, 374, 334, 300),
    (61, 291, 0, 17, 37, 267, 84, 314),  # corners, outer lips
)


def boxes_of(mesh: np.ndarray, square: Square) -> np.ndarray:
    """Boxes `[3, 4]` of PARTS, float32, for a face mesh `[468, 3]` in pixels and the square that is cut out.

    Each is a square around the middle of its points, its side 1.5 times the larger side of their own box.
    """
    boxes = []
    for points in _POINTS:
        place = (mesh[list(points), :2] + 0.5 - (square.left, square.top)) / square.side
        low, high = place.min(0), place.max(0)
        middle, reach = (low + high) / 2, (1 + _MARGIN) * (high - low).max() / 2
        boxes.append([*(middle - reach), *(middle + reach)])
    return np.array(boxes, np.float32)


def mask(boxes: jax.Array, size: int) -> jax.Array:
    """The share `[..., size, size]` of every pixel that lies inside a box `[..., 4]`."""
    edges = jnp.arange(size) / size
    low, high = jnp.maximum(edges, boxes[..., :2, None]), jnp.minimum(edges + 1 / size, boxes[..., 2:, None])
    inside = jnp.maximum(high - low, 0) * size  # [..., x and y, size]
    return inside[..., 1, :, None] * inside[..., 0, None, :]


def cut(images: jax.Array, boxes: jax.Array, size: int) -> jax.Array:
    """Bilinear samples `[n, size, size, c]` of images `[n, h, w, c]` inside boxes `[n, 4]`; borders go on."""

    def weights(low, high, length):
        place = (low + (high - low) * (jnp.arange(size) + 0.5) / size) * length - 0.5
        place = jnp.clip(place, 0, length - 1)
        return jnp.maximum(1 - jnp.abs(place[:, None] - jnp.arange(length)), 0)

    def one(image, box):
        rows, columns = weights(box[1], box[3], image.shape[0]), weights(box[0], box[2], image.shape[1])
        return jnp.einsum("yh,hwc,xw->yxc", rows, image, columns)

    return jax.vmap(one)(images, boxes)
