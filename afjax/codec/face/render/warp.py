"""Moving a portrait: from a forward displacement on a coarse grid to colours at every pixel.

A field D says where each source point s goes, x = s + D(s). A picture needs the inverse, s at every x. When a head
turns, several s may land on one x, and the nearest must win. So the grid's nodes are first splatted onto a grid of the
target with a depth buffer, which gives a start on the right branch; damped Newton steps on s + D(s) = x then refine it.
"""

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["cut", "invert", "paste", "quads", "sample", "splat", "upsampler", "value"]

STEPS = 5
RIDGE = 0.05
MAX_STEP = 1.5  # cells
_DEPTHS = 1 << 18


def upsampler(nodes: int, size: int) -> np.ndarray:
    """Matrix `[size, nodes]` of Catmull-Rom interpolation from nodes at 0 ... size - 1 to every pixel."""
    position = np.arange(size) * (nodes - 1) / (size - 1)
    base = np.minimum(position.astype(int), nodes - 2)
    t = position - base
    taps = np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], -1) / 2
    matrix = np.zeros((size, nodes))
    for offset in range(4):
        np.add.at(matrix, (np.arange(size), np.clip(base - 1 + offset, 0, nodes - 1)), taps[:, offset])
    return matrix.astype(np.float32)


def splat(target, depth):
    """Index of the nearest node that lands around each node of the target grid, `[n, n]` int32; n * n where none does.

    Args:
      target: `[n, n, 2]` where the nodes go (x, y) in cells; depth: `[n, n]`, + = away.
    """
    n = target.shape[0]
    count = n * n
    near, far = depth.min(), depth.max()
    level = ((depth - near) / jnp.maximum(far - near, 1e-6) * (_DEPTHS - 1)).astype(jnp.int32)
    key = (level * (1 << 12) + jnp.arange(count, dtype=jnp.int32).reshape(n, n)).reshape(-1)
    low = jnp.floor(target).astype(jnp.int32).reshape(-1, 2)
    buffer = jnp.full(count + 1, np.iinfo(np.int32).max, jnp.int32)
    corners = jnp.stack([low, low + jnp.array([1, 0]), low + jnp.array([0, 1]), low + 1])
    inside = ((corners >= 0) & (corners < n)).all(-1)
    place = jnp.where(inside, corners[..., 1] * n + corners[..., 0], count)
    buffer = buffer.at[place].min(jnp.broadcast_to(key, place.shape))[:count]
    return jnp.where(buffer == np.iinfo(np.int32).max, count, buffer & (count - 1)).reshape(n, n)


def _value_and_slopes(field, points):
    """Field `[m, 2]` and its slopes along x and y, each `[m, 2]`, at points `[m, 2]` (x, y) in cells."""
    n = field.shape[0]
    points = jnp.clip(points, 0, n - 1.0001)
    low = jax.lax.stop_gradient(jnp.floor(points)).astype(jnp.int32)
    x, y = jnp.split(points - low, 2, axis=-1)
    a, b, c, d = jnp.split(quads(field)[low[:, 1] * (n - 1) + low[:, 0]], 4, -1)
    top, bottom = a + (b - a) * x, c + (d - c) * x
    return top + (bottom - top) * y, (b - a) * (1 - y) + (d - c) * y, bottom - top


def value(field, points):
    """Bilinear values `[m, 2]` of a field `[n, n, 2]` at points `[m, 2]` (x, y) in cells."""
    return _value_and_slopes(field, points)[0]


def _newton(field, s, goal):
    """One Levenberg-Marquardt step of s + field(s) = goal; plain Newton where the map is far from folding."""
    value, along_x, along_y = _value_and_slopes(field, jax.lax.stop_gradient(s))
    miss = jax.lax.stop_gradient(s) + value - goal
    (a, c), (b, d) = (jax.lax.stop_gradient(slopes).T for slopes in (along_x, along_y))
    a, d = 1 + a, 1 + d
    p, q, r = a * a + c * c + RIDGE, a * b + c * d, b * b + d * d + RIDGE
    right_x, right_y = a * miss[:, 0] + c * miss[:, 1], b * miss[:, 0] + d * miss[:, 1]
    step = jnp.stack([r * right_x - q * right_y, p * right_y - q * right_x], -1) / (p * r - q * q)[:, None]
    limit = jax.lax.stop_gradient(jnp.maximum(jnp.abs(step).max(-1, keepdims=True) / MAX_STEP, 1))
    return jax.lax.stop_gradient(s) - step / limit


def invert(field, start):
    """Backward displacement `[n, n, 2]` in cells: s(x) - x with s + field(s) = x.

    Only the last step carries gradients: it is a Newton step at the solution, which is what the implicit function
    theorem asks for.

    Args:
      field: `[n, n, 2]` forward displacement in cells; start: `[n, n, 2]` first guess of s.
    """
    n = field.shape[0]
    goal = jnp.stack(jnp.meshgrid(jnp.arange(n), jnp.arange(n)), -1).astype(field.dtype).reshape(-1, 2)
    still = jax.lax.stop_gradient(field)
    start = jax.lax.stop_gradient(start.reshape(-1, 2))
    s = jax.lax.fori_loop(0, STEPS - 1, lambda _, s: _newton(still, s, goal), start)
    return (_newton(field, s, goal) - goal).reshape(n, n, 2)


def quads(texture):
    """The four texels that a bilinear sample reads, side by side: `[(h - 1) * (w - 1), 4 * k]` of `[h, w, k]`."""
    parts = [texture[:-1, :-1], texture[:-1, 1:], texture[1:, :-1], texture[1:, 1:]]
    return jnp.concatenate(parts, -1).reshape(-1, 4 * texture.shape[-1])


def sample(table, width: int, points):
    """Bilinear values `[..., k]` at points `[..., 2]` (x, y) in texels of a square texture given as `quads`."""
    points = jnp.clip(points, 0, width - 1.001)
    low = jax.lax.stop_gradient(jnp.floor(points)).astype(jnp.int32)
    x, y = jnp.split(points - low, 2, axis=-1)
    four = table[low[..., 1] * (width - 1) + low[..., 0]].astype(points.dtype)
    a, b, c, d = jnp.split(four, 4, -1)
    return (a * (1 - x) + b * x) * (1 - y) + (c * (1 - x) + d * x) * y


def cut(image, corner, shape):
    """The window `[*shape, k]` of `image` `[h, w, k]` whose first pixel is `corner` (row, column)."""
    return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), (*shape, image.shape[-1]))


def paste(image, window, corner):
    """`image` `[h, w, k]` with `window` put at `corner` (row, column)."""
    return jax.lax.dynamic_update_slice(image, window, (corner[0], corner[1], 0))
