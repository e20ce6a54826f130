"""The canvas of the drawn portraits: face coordinates, soft shapes, noise, strokes and colour.

Face coordinates have their origin between the eyes, x to the image's right, y down; 1 = the distance between the
outer corners of the eyes. Pixels are counted with 0 at the centre of the first pixel.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["Canvas", "Window", "blend", "from_srgb", "resize", "shade", "smoothstep", "soften", "spline", "to_srgb"]


def from_srgb(colour) -> np.ndarray:
    """Linear light, float32 in [0, 1], of sRGB 0..255 (IEC 61966-2-1)."""
    value = np.asarray(colour, np.float32) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


def to_srgb(light: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] of linear light."""
    light = np.clip(light, 0, 1)
    light = light.astype(np.float32)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def smoothstep(low: float, high: float, x: np.ndarray) -> np.ndarray:
    """A step: 0 below `low`, 1 above `high` (or the reverse where high < low), a smooth cubic between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def blend(picture: np.ndarray, colour, mask: np.ndarray) -> None:
    """Lays `colour` (`[3]` or `[h, w, 3]`) over `picture` in place, by `mask` `[h, w]`."""
    colour = np.asarray(colour)
    for k in range(3):
        picture[..., k] += mask * (colour[..., k] - picture[..., k])


def shade(picture: np.ndarray, depth: np.ndarray, by: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> None:
    """Darkens `picture` in place by exp(-by * depth) per colour, like light that crosses a layer twice."""
    for k in range(3):
        picture[..., k] *= np.exp(-by[k] * depth)


def soften(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of `[n, n]` by `sigma` pixels; wide ones are computed on a smaller grid."""
    from scipy.ndimage import gaussian_filter

    n = image.shape[0]
    factor = max(1, int(sigma // 3))
    if factor == 1:
        return gaussian_filter(image, sigma, truncate=3)
    small = max(8, n // factor)
    return resize(gaussian_filter(resize(image, small), sigma * small / n, truncate=3), n)


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """A float image `[h, w]` or `[h, w, c]` as `[size, size, ...]`: cubic upwards, area average downwards."""
    from PIL import Image

    kind = Image.Resampling.BICUBIC if size >= image.shape[0] else Image.Resampling.BOX
    one = lambda plane: np.asarray(Image.fromarray(plane.astype(np.float32)).resize((size, size), kind))  # noqa: E731
    return one(image) if image.ndim == 2 else np.stack([one(image[..., k]) for k in range(image.shape[-1])], -1)


def spline(control: np.ndarray, count: int) -> np.ndarray:
    """Smooth curves `[n, count, 2]` through control points `[n, p, 2]`."""
    from scipy.interpolate import CubicSpline

    knots = np.linspace(0, 1, control.shape[1])
    return CubicSpline(knots, control, axis=1)(np.linspace(0, 1, count)).astype(np.float32)


class _Spots:
    """Soft spots on a grid with coordinates `x` `[1, w]` and `y` `[h, 1]`."""

    def blob(self, x: float, y: float, sx: float, sy: float) -> np.ndarray:
        """A Gaussian spot `[h, w]` of height 1."""
        return np.exp(-0.5 * ((self.y - y) / sy) ** 2) * np.exp(-0.5 * ((self.x - x) / sx) ** 2)

    def pair(self, x: float, y: float, sx: float, sy: float) -> np.ndarray:
        """The same spot on both sides of the face."""
        across = np.exp(-0.5 * ((self.x - x) / sx) ** 2) + np.exp(-0.5 * ((self.x + x) / sx) ** 2)
        return np.exp(-0.5 * ((self.y - y) / sy) ** 2) * across


@dataclass(frozen=True)
class Window(_Spots):
    """Coordinates `x` `[1, w]`, `y` `[h, 1]` of a box of a canvas; `pixel` is one pixel in face units."""

    x: np.ndarray
    y: np.ndarray
    pixel: float


@dataclass(frozen=True)
class Canvas(_Spots):
    """A square grid of `n` pixels; `unit` pixels are one face unit, `centre` (x, y) is the point between the eyes."""

    n: int
    unit: float
    centre: tuple[float, float]

    @cached_property
    def x(self) -> np.ndarray:
        """`[1, n]` face coordinate of the columns."""
        return ((np.arange(self.n, dtype=np.float32) - self.centre[0]) / self.unit)[None, :]

    @cached_property
    def y(self) -> np.ndarray:
        """`[n, 1]` face coordinate of the rows."""
        return ((np.arange(self.n, dtype=np.float32) - self.centre[1]) / self.unit)[:, None]

    @property
    def pixel(self) -> float:
        """One pixel in face units."""
        return 1 / self.unit

    def to_pixels(self, points) -> np.ndarray:
        return np.asarray(points) * self.unit + np.asarray(self.centre)

    def at(self, n: int) -> "Canvas":
        """The same picture on a grid of `n` pixels."""
        f = n / self.n
        centre = tuple((c + 0.5) * f - 0.5 for c in self.centre)
        return Canvas(n, self.unit * f, centre)

    def window(self, low: tuple[float, float], high: tuple[float, float]) -> tuple[tuple[slice, slice], Window]:
        """Slices of the pixels in the box between two face points, and their coordinates."""
        (x0, y0), (x1, y1) = (np.clip(np.round(self.to_pixels(p)), 0, self.n).astype(int) for p in (low, high))
        return (slice(y0, y1), slice(x0, x1)), Window(self.x[:, x0:x1], self.y[y0:y1], self.pixel)

    def inside(self, points) -> np.ndarray:
        """The mask `[n, n]` of a polygon `[p, 2]` in face units, its edge smoothed over about a pixel."""
        from PIL import Image, ImageDraw

        n = 2 * self.n
        image = Image.new("L", (n, n))
        fine = self.at(n).to_pixels(points)
        ImageDraw.Draw(image).polygon([tuple(p) for p in fine.tolist()], fill=255)
        return resize(np.asarray(image), self.n) / 255

    def noise(self, rng: np.random.Generator, cells_x: float, cells_y: float | None = None) -> np.ndarray:
        """Smooth noise `[n, n]`, about normal; `cells_x` and `cells_y`: cells per face unit."""
        from PIL import Image

        span = self.n / self.unit
        shape = [max(2, int(round(span * cells))) for cells in (cells_y or cells_x, cells_x)]
        grid = Image.fromarray(rng.normal(0, 1, shape).astype(np.float32))
        return np.asarray(grid.resize((self.n, self.n), Image.Resampling.BICUBIC))

    def strokes(self, paths: np.ndarray, tones: np.ndarray, widths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draws curves `[n, k, 2]` in their order, later ones on top.

        Args:
          paths: points in face units.
          tones: `[n]` brightness in [0, 1].
          widths: `[n]` in face units; the last third of a curve is half as wide.

        Returns:
          (brightness `[n, n]`, coverage `[n, n]`), both in [0, 1].
        """
        from PIL import Image, ImageDraw

        image = Image.new("LA", (self.n, self.n))
        pen = ImageDraw.Draw(image)
        pixels = self.to_pixels(paths)
        taper = -max(2, pixels.shape[1] // 3)
        wide = np.maximum(1, np.round(widths * self.unit)).astype(int)
        for curve, tone, width in zip(pixels.tolist(), (tones * 255).astype(int).tolist(), wide.tolist(), strict=True):
            points = [tuple(p) for p in curve]
            pen.line(points if width == 1 else points[: taper + 1], fill=(tone, 255), width=width)
            if width > 1:
                pen.line(points[taper:], fill=(tone, 255), width=max(1, width // 2))
        drawn = np.asarray(image).astype(np.float32) / 255
        return drawn[..., 0], drawn[..., 1]
