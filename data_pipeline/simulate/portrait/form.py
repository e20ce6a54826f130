"""The shape of the head and body as height fields, and the light on them.

Height z (face units, towards the viewer) gives the normal n = (-dz/dx, -dz/dy, 1) / |.|. Light of direction l gives

    E = key * clip((n.l + w) / (1 + w)) * (1 - shadow) + fill * (1 - cavity),

with a wrap w per colour, larger for red: light that enters skin comes out a little further on, reddened. `shadow` is
marched through the height field towards the light. `cavity` is the depth of a point below its neighbourhood.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from data_pipeline.simulate.portrait.canvas import Canvas, smoothstep, soften
from data_pipeline.simulate.portrait.person import Person

__all__ = ["Features", "body_height", "features_of", "head_height", "lighting", "outline", "polar"]

# right half of the head's outline, crown to chin
_OUTLINE = np.array([
    (0, -1.12), (0.27, -1.075), (0.50, -0.93), (0.655, -0.68), (0.725, -0.36), (0.73, -0.02), (0.71, 0.22), 
    (0.675, 0.44), (0.605, 0.65), (0.48, 0.835), (0.32, 0.965), (0.15, 1.032), (0, 1.05),
])  # fmt: skip
# width of neck and shoulders by height
_BODY_Y = (0.6, 0.95, 1.2, 1.34, 1.46, 1.58, 1.72, 1.9, 2.1, 2.35, 2.8)
_BODY_X = (0.50, 0.465, 0.455, 0.475, 0.54, 0.72, 1.08, 1.55, 1.86, 2.03, 2.12)
_CENTRE_Y = 0.1  # the outline is counted in polar form around this point


@dataclass(frozen=True)
class Features:
    """Places of the features in face units; those of pairs are the image's right ones, mirror x for the left."""

    eye_outer: tuple[float, float]
    eye_inner: tuple[float, float]
    mouth_corner: tuple[float, float]
    nose_tip: tuple[float, float]
    nose_base: float
    mouth: float
    chin: float
    eye_upper: float
    eye_lower: float


def features_of(person: Person) -> Features:
    """The places of a person's features."""
    tilt = person.eye_tilt
    chin = 1.05 * person.chin_scale
    base = 0.475 * person.nose_length
    return Features(
        eye_outer=(0.5, -tilt * 0.3),
        eye_inner=(0.195, tilt),
        mouth_corner=(0.255 * person.mouth_width, 0.68 - person.mouth_curve),
        nose_tip=(0.0, base - 0.075),
        nose_base=base,
        mouth=0.68,
        chin=chin,
        eye_upper=0.059 * person.eye_scale,
        eye_lower=0.046 * person.eye_scale,
    )


@lru_cache(maxsize=4)
def _closed(width: float, jaw: float, chin: float) -> tuple[np.ndarray, np.ndarray]:
    from scipy.interpolate import CubicSpline

    half = _OUTLINE.copy()
    low = smoothstep(0.2, 0.8, half[:, 1])
    half[:, 0] *= width * (1 + (jaw - 1) * low)
    half[:, 1] *= 1 + (chin - 1) * smoothstep(0.5, 1.0, half[:, 1])
    loop = np.concatenate([half, half[-2::-1] * [-1, 1]])
    knots = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(loop, axis=0), axis=1))])
    points = CubicSpline(knots, loop, bc_type="periodic")(np.linspace(0, knots[-1], 721))[:-1]
    angle = np.arctan2(points[:, 0], _CENTRE_Y - points[:, 1])
    order = np.argsort(angle)
    return angle[order], np.hypot(points[:, 0], points[:, 1] - _CENTRE_Y)[order]


def outline(person: Person, angle) -> np.ndarray:
    """Radius of the head's outline; `angle` in radians from the crown, + to the image's right."""
    return np.interp(angle, *_closed(person.face_width, person.jaw_scale, person.chin_scale), period=2 * np.pi)


def polar(angle, radius) -> np.ndarray:
    """Face points `[..., 2]` at an angle from the crown and a radius around the head's centre."""
    return np.stack([radius * np.sin(angle), _CENTRE_Y - radius * np.cos(angle)], -1)


def relative_radius(canvas: Canvas, person: Person) -> tuple[np.ndarray, np.ndarray]:
    """(radius as a fraction of the outline's, angle), both `[n, n]`."""
    dx, dy = np.broadcast_arrays(canvas.x, canvas.y - _CENTRE_Y)
    angle = np.arctan2(dx, -dy)
    return np.hypot(dx, dy) / outline(person, angle).astype(np.float32), angle


def _ridge(canvas: Canvas, at_y, heights, widths) -> np.ndarray:
    from scipy.interpolate import PchipInterpolator

    y = np.clip(canvas.y, at_y[0], at_y[-1])
    return PchipInterpolator(at_y, heights)(y) * np.exp(-(np.abs(canvas.x / PchipInterpolator(at_y, widths)(y)) ** 2.0))


def head_height(canvas: Canvas, person: Person) -> np.ndarray:
    """Height of the head `[n, n]`; 0 at its outline and outside."""
    f, blob, pair = features_of(person), canvas.blob, canvas.pair
    rho, _ = relative_radius(canvas, person)
    z = 0.92 * np.sqrt(np.clip(1 - rho**2.2, 0, None))
    base, width, mouth, chin = f.nose_base, person.nose_width, f.mouth, f.chin
    # forehead, brow ridge, temples
    z += 0.035 * blob(0, -0.45, 0.32, 0.16) - 0.05 * pair(0.68, -0.2, 0.09, 0.18)
    z += (0.03 if person.feminine else 0.05) * pair(0.33, -0.2, 0.2, 0.06)
    # sockets, eyeballs
    z -= 0.085 * pair(0.3, -0.02, 0.15, 0.085) + 0.085 * pair(0.165, -0.01, 0.055, 0.085)
    z += 0.075 * pair(0.345, 0.005, 0.115, 0.075)
    z -= 0.018 * pair(0.33, 0.15, 0.14, 0.035)
    # cheeks
    z += 0.07 * person.cheek * pair(0.42, 0.25, 0.16, 0.12) - 0.045 * person.cheek * pair(0.47, 0.58, 0.12, 0.16)
    # nose
    at = np.array([-0.2, -0.03, 0.13, 0.26, 0.345, 0.41, 0.45, 0.49, 0.58])
    at[2:] += (base - 0.475) * np.linspace(0.2, 1, 7)
    bridge = person.nose_bridge
    rise = np.array([0.0, 0.05 * bridge, 0.10 * bridge, 0.145, 0.18, 0.195, 0.175, 0.13, 0.0])
    z += _ridge(canvas, at, rise, width * np.array([0.13, 0.105, 0.11, 0.115, 0.125, 0.13, 0.12, 0.10, 0.09]))
    z += 0.04 * blob(0, base - 0.07, 0.07 * width, 0.052)
    z += 0.07 * pair(0.132 * width, base - 0.042, 0.042 * width, 0.042)
    z -= 0.03 * pair(0.205 * width, base - 0.045, 0.022, 0.05)
    # mouth
    z += 0.075 * blob(0, mouth - 0.01, 0.24, 0.15)
    z -= 0.014 * blob(0, 0.5 * (base + mouth) - 0.02, 0.025, 0.045)
    z += 0.010 * pair(0.05, 0.5 * (base + mouth) - 0.02, 0.02, 0.05)
    z += 0.020 * person.lip_upper * blob(0, mouth - 0.016, 0.14, 0.022)
    z += 0.040 * person.lip_lower * blob(0, mouth + 0.052, 0.12, 0.03)
    z -= 0.018 * pair(f.mouth_corner[0] + 0.02, mouth, 0.035, 0.04)
    # chin
    z -= 0.045 * blob(0, mouth + 0.155, 0.13, 0.035)
    z += 0.055 * blob(0, chin - 0.16, 0.13, 0.075)
    # folds beside the mouth
    t = np.clip((canvas.y - base + 0.03) / (mouth + 0.06 - base), 0, 1)
    fold = np.exp(-(((np.abs(canvas.x) - (0.215 * width + 0.13 * t**1.3)) / 0.035) ** 2))
    z -= (0.012 + 0.03 * person.age) * fold * np.abs(np.sin(np.pi * t)) ** 0.7
    return np.where(rho < 1, z, 0).astype(np.float32)


def body_height(canvas: Canvas, person: Person) -> tuple[np.ndarray, np.ndarray]:
    """Neck and shoulders: (height `[n, n]` below the face's, mask `[n, n]`)."""
    from scipy.interpolate import PchipInterpolator

    y = np.clip(canvas.y + 0.07, _BODY_Y[0], _BODY_Y[-1])
    breadth = 0.93 if person.feminine else 1.06
    width = PchipInterpolator(_BODY_Y, _BODY_X)
    half = width(y) * breadth
    side = np.clip(np.abs(canvas.x) / half, 0, 1.2)
    depth = PchipInterpolator([0.6, 1.3, 1.6, 2.0, 2.8], [0.38, 0.38, 0.45, 0.6, 0.7])(y)
    z = depth * np.sqrt(np.clip(1 - side**2.2, 0, None)) - 0.35
    # the two neck muscles, the notch between them, the collar bones
    t = np.clip((canvas.y - 0.95) / 0.7, 0, 1)
    muscle = np.exp(-(((np.abs(canvas.x) - (0.40 - 0.32 * t)) / 0.055) ** 2)) * np.sin(np.pi * np.clip(t, 0, 1))
    z += 0.035 * muscle - 0.05 * canvas.blob(0, 1.61, 0.06, 0.06)
    x = np.abs(canvas.x)
    bone = np.exp(-(((canvas.y - (1.65 - 0.16 * x)) / 0.035) ** 2)) * smoothstep(0.08, 0.2, x)
    z += 0.03 * bone * smoothstep(1.3, 0.6, x)
    across = np.hypot(1, breadth * width.derivative()(y))  # from a distance along the row to one across the edge
    mask = smoothstep(0.6, -0.6, (x - half) / across / canvas.pixel) * (canvas.y > _BODY_Y[0])
    return z.astype(np.float32), mask.astype(np.float32)


def _normals(canvas: Canvas, z: np.ndarray) -> np.ndarray:
    dy, dx = np.gradient(z, canvas.pixel)
    n = np.stack([-dx, -dy, np.ones_like(z)], -1)
    return n / np.linalg.norm(n, axis=-1, keepdims=True)


def cast_shadow(canvas: Canvas, z: np.ndarray, light: np.ndarray, reach: float = 0.6, steps: int = 14) -> np.ndarray:
    """Shadow `[n, n]`: the share in [0, 1] of the light that is blocked on its way to a point."""
    from scipy.ndimage import map_coordinates

    rows, columns = np.mgrid[: canvas.n, : canvas.n].astype(np.float32)
    hidden = np.zeros_like(z)
    for step in np.linspace(reach / steps, reach, steps):
        dx, dy = light[0] * step * canvas.unit, light[1] * step * canvas.unit
        above = map_coordinates(z, [rows + dy, columns + dx], order=1, mode="nearest") - (z + light[2] * step)
        hidden = np.maximum(hidden, above / (0.03 + 0.12 * step))
    return soften(np.clip(hidden, 0, 1), 0.022 * canvas.unit)


def lighting(canvas: Canvas, z: np.ndarray, person: Person, shadow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Light on a surface: (linear irradiance `[n, n, 3]`, gloss `[n, n]`)."""
    normal = _normals(canvas, z)
    key = _unit(key_light(person))
    facing = normal @ key
    wrap = np.array([0.42, 0.26, 0.2], np.float32)
    direct = np.clip((facing[..., None] + wrap) / (1 + wrap), 0, None) ** 1.15
    # the shadow's edge is red on skin for the same reason as the wrap
    lit = 1 - shadow[..., None] * np.array([0.48, 0.60, 0.64], np.float32)
    cavity = np.clip(2.2 * (soften(z, 0.05 * canvas.unit) - z), 0, 0.5)
    cavity += np.clip(0.9 * (soften(z, 0.14 * canvas.unit) - z), 0, 0.3)
    side = np.clip(normal @ _unit(np.array([-key[0] * 1.6, 0.1, 0.5])), 0, 1)
    fill = 0.20 + 0.10 * np.clip(-normal[..., 1], 0, 1) + 0.14 * np.clip(normal[..., 1], 0, 1) + 0.16 * side
    rim = 0.25 * np.clip(1 - normal[..., 2], 0, 1) ** 3 * np.clip(normal[..., 0] * np.sign(key[0]) * -1, 0, 1)
    cool, warm = np.array([0.92, 0.98, 1.08], np.float32), np.array([1.05, 1.0, 0.93], np.float32)
    irradiance = 1.0 * warm * direct * lit + cool * ((fill + rim) * (1 - cavity))[..., None]
    half = _unit(key + np.array([0, 0, 1]))
    shine = np.clip(normal @ half, 0, 1)
    gloss = (0.55 * shine**14 + 0.25 * shine**48) * (1 - shadow)
    return (irradiance * (1 - 0.35 * cavity[..., None])).astype(np.float32), gloss.astype(np.float32)


def key_light(person: Person) -> np.ndarray:
    """Direction towards the main light: above, to one side, in front."""
    return np.array([0.5 * person.light, -0.55, 0.85])


def _unit(vector: np.ndarray) -> np.ndarray:
    return (vector / np.linalg.norm(vector)).astype(np.float32)
