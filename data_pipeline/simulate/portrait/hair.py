"""Hair for the drawn portraits, strand by strand.

Hair lies in a band between the hairline and a cap a little outside the skull, both given by their radius at an angle
from the crown. A strand is a path through that band (`short`, `fringe`, `buzz`, `bun`), from a parting down the sides
(`long`, `bob`), or a coil (`curly`). Hair behind the neck is painted before the body, other hair over the head.
"""

from dataclasses import dataclass

import numpy as np

from data_pipeline.simulate.portrait.canvas import Canvas, blend, from_srgb, smoothstep, soften, spline
from data_pipeline.simulate.portrait.form import outline, polar
from data_pipeline.simulate.portrait.person import Person

__all__ = ["Hair", "back_hair", "front_hair", "paint_hair"]

_HAIRLINE = np.array([
    (0, -0.66), (0.25, -0.655), (0.44, -0.60), (0.555, -0.46), (0.61, -0.27), (0.665, -0.10), (0.70, 0.06),
])  # fmt: skip


@dataclass(frozen=True)
class Hair:
    """Drawn strands: `tone`, `cover` and `mass` (the closed shape beneath), each `[n, n]` in [0, 1]."""

    tone: np.ndarray
    cover: np.ndarray
    mass: np.ndarray
    opacity: float = 1.0


def _hairline(person: Person, angle: np.ndarray) -> np.ndarray:
    """Radius of the hairline at an angle from the crown; past the temples it is the outline."""
    points = _HAIRLINE * [person.face_width, 1.0]
    recede = 0 if person.feminine else 0.09 * max(0.0, person.age - 0.2)
    at = np.arctan2(points[:, 0], 0.1 - points[:, 1])
    radius = np.hypot(points[:, 0], points[:, 1] - 0.1) * (1 + recede * np.exp(-(((at - 0.6) / 0.3) ** 2)) + recede)
    a = np.abs(angle)
    return np.interp(a, at, radius)


def _cap(person: Person, angle: np.ndarray, volume: float) -> np.ndarray:
    a = np.abs(angle)
    thick = np.interp(a, [0, 0.6, 1.1, 1.6, 1.9], [1.0, 0.95, 0.6, 0.22, 0.05])
    return outline(person, angle) * (1 + volume * thick)


def _band(person: Person, angle: np.ndarray, q: np.ndarray, volume: float) -> np.ndarray:
    high = _cap(person, angle, volume)
    low = np.minimum(_hairline(person, angle), high)
    return polar(angle, low + q * (high - low))


def _swept(person: Person, rng, count: int, volume: float, sweep: float, length: float, start: float = 0.0):
    """Strands from the hairline up over the head; drawn back to front."""
    edge = 1.5
    angle = rng.uniform(-edge, edge, count)
    q = start + (1 - start) * rng.beta(0.8, 1.3, count)
    order = np.argsort(-q)
    angle, q = angle[order], q[order]
    steps = np.linspace(0, 1, 9)
    reach = length * rng.uniform(0.6, 1.15, count)
    clump = 0.10 * np.sin(angle * 9 + rng.uniform(0, 6)) + 0.07 * np.sin(angle * 23 + rng.uniform(0, 6))
    # hair parted at person.part: strands lean away from it, and back at the sides
    lean = sweep * np.tanh((angle - person.part) * 3.0) + clump + rng.normal(0, 0.06, count)
    path_angle = angle[:, None] + lean[:, None] * reach[:, None] * steps
    room = np.maximum(1 - q, 0.02)[:, None]
    path_q = 1 - room * np.exp(-reach[:, None] * steps / room) + rng.normal(0, 0.018, (count, 1)) * steps
    return _band(person, np.clip(path_angle, -edge, edge), path_q, volume)


def _cap_mass(canvas: Canvas, person: Person, volume: float, inset: float = 0.05, edge: float = 1.53) -> np.ndarray:
    a = np.linspace(-edge, edge, 120)
    outer, inner = _cap(person, a, volume), _hairline(person, a)
    inner = np.minimum(inner + inset * (outer - inner), outer)
    return canvas.inside(np.concatenate([polar(a, outer * 0.995), polar(a[::-1], inner[::-1])]))


def _draped(person: Person, rng, count: int, end: float, spread: float, wave: float, layer: tuple[float, float]):
    """Strands from the parting down both sides; `layer`: 0 frames the face, 1 is the outer contour."""
    side = np.where(rng.random(count) < 0.5 + 0.4 * -person.part, 1.0, -1.0)
    u = rng.uniform(*layer, count)
    order = np.argsort(u)[::-1]
    side, u = side[order], u[order]
    w = person.face_width
    jitter = lambda s: rng.normal(0, s, count)  # noqa: E731
    stop = end - 0.10 * np.abs(jitter(1.0)) + 0.06 * np.sin(9 * u + side)
    down = (stop - 0.3) / 3
    wide = w * (0.735 + 0.20 * u)
    flare = spread * (0.3 + 0.9 * u)
    points = [
        (person.part + side * 0.005, -0.82 - 0.38 * u),
        (person.part + side * (0.20 + 0.08 * u) * (1 - person.part * side), -0.745 - 0.49 * u),
        (side * (0.53 + 0.12 * u) * w, -0.535 - 0.47 * u),
        (side * (0.715 + 0.165 * u) * w, -0.17 - 0.20 * u),
        (side * wide, 0.3 + 0 * u),
        (side * (wide + 0.35 * flare), 0.3 + down),
        (side * (wide + 0.8 * flare), 0.3 + 2 * down),
        (side * (wide + flare + jitter(0.03)), stop),
    ]
    control = np.stack([np.stack(np.broadcast_arrays(x, y), -1) for x, y in points], 1)
    control[:, 2:, 0] += rng.normal(0, 0.012, (count, 6))
    paths = spline(control, 26)
    t = np.clip(paths[..., 1] - 0.05, 0, None)
    phase = 2.2 * np.sin(5 * u)[:, None] + np.where(side > 0, 0.0, 1.9)[:, None] + rng.normal(0, 0.25, (count, 1))
    paths[..., 0] += wave * np.minimum(t, 1) * np.sin(6.5 * t + phase)
    return paths


def _coils(person: Person, rng, count: int, volume: float, size: float, edge: float):
    """Small curls all over the band, those at the hairline on top."""
    angle = rng.uniform(-edge, edge, count)
    q = rng.beta(1.4, 0.9, count)
    order = np.argsort(-q + rng.normal(0, 0.15, count))
    angle, q = angle[order], q[order]
    centre = _band(person, angle, q, volume)
    turn, sign = rng.uniform(0, 6.3, count), rng.choice([-1, 1], count)
    sweep = np.linspace(0, 1, 12)
    radius = size * rng.uniform(0.6, 1.2, count)
    phi = turn[:, None] + sign[:, None] * sweep * rng.uniform(3.0, 6.0, (count, 1))
    curl = np.stack([np.cos(phi), 0.85 * np.sin(phi)], -1) * (radius[:, None] * (0.6 + 0.5 * sweep))[..., None]
    return centre[:, None] + curl


def _tones(rng, paths: np.ndarray) -> np.ndarray:
    """Brightness by strand: clumps that share a tone, and some strands of their own."""
    at = paths[:, paths.shape[1] // 2]
    clump = np.sin(31 * at[:, 0] + 17 * at[:, 1]) + np.sin(57 * at[:, 0] - 23 * at[:, 1])
    return np.clip(0.5 + 0.12 * clump + rng.normal(0, 0.15, len(paths)), 0.05, 1)


def _paint(canvas: Canvas, rng, paths: np.ndarray, mass: np.ndarray, width: float, opacity: float = 1.0) -> Hair:
    widths = width * rng.choice([0.5, 0.8, 1.2, 1.8], len(paths))
    tone, cover = canvas.strokes(paths, _tones(rng, paths), widths)
    tone = soften(tone, 0.005 * canvas.unit) / np.maximum(soften(cover, 0.005 * canvas.unit), 0.05)
    return Hair(tone, cover, mass, opacity)


def back_hair(canvas: Canvas, person: Person, rng: np.random.Generator) -> Hair | None:
    """Hair behind the neck and shoulders, None for short styles."""
    if person.style not in ("long", "bob"):
        return None
    end = 1.95 if person.style == "long" else 0.98
    w = person.face_width
    flare = 0.1 if person.style == "long" else -0.03
    right = np.array([
        (0.0, -1.0), (0.6, -0.9), (0.9 * w, -0.1), (0.93 * w, 0.5), (0.94 * w + flare, end - 0.3),
        (0.78 * w + flare, end), (0.3, end + 0.04),
    ])  # fmt: skip
    loop = spline(right[None], 60)[0]
    mass = canvas.inside(np.concatenate([loop, loop[::-1] * [-1, 1]]))
    x = np.sort(rng.uniform(-0.92, 0.92, 420))
    x = x[rng.permutation(len(x))]
    flat = np.ones_like(x)
    stop = end + rng.normal(0, 0.04, len(x)) - 0.1 * np.abs(x)
    points = [(x * 0.95 * w, 0.1 * flat), (x * w, 0.6 * flat), (x * (w + flare * 0.6), 0.5 * (0.6 + stop)),
              (x * (w + flare), stop)]  # fmt: skip
    paths = spline(np.stack([np.stack(p, -1) for p in points], 1), 14)
    return _paint(canvas, rng, paths, mass, 0.014)


def front_hair(canvas: Canvas, person: Person, rng: np.random.Generator) -> Hair | None:
    """Hair over the head, None for a bald one."""
    style = person.style
    if style == "bald":
        return None
    if style == "buzz":
        paths = _swept(person, rng, 5200, 0.025, 0.2, 0.10)
        return _paint(canvas, rng, paths, 0.6 * _cap_mass(canvas, person, 0.02, 0.12), 0.006, 0.75)
    if style == "short":
        paths = _swept(person, rng, 3000, 0.15, 0.55, 0.6)
        return _paint(canvas, rng, paths, _cap_mass(canvas, person, 0.14, 0.14), 0.011)
    if style == "fringe":
        paths = _swept(person, rng, 2200, 0.13, 0.5, 0.6)
        angle = np.sort(rng.uniform(-0.95, 0.95, 800))[:: int(-np.sign(person.part))]
        q0 = rng.uniform(0.25, 0.85, 800)
        steps = np.linspace(0, 1, 9)
        drop = q0 + rng.uniform(0.22, 0.36, 800) * np.cos(angle)
        lean = np.sign(person.part) * -0.38
        path_angle = angle[:, None] + lean * steps**1.4 + 0.05 * np.sin(angle * 17)[:, None]
        fringe = _band(person, path_angle, q0[:, None] - drop[:, None] * steps, 0.13)
        return _paint(canvas, rng, np.concatenate([paths, fringe]), _cap_mass(canvas, person, 0.12, 0.1), 0.011)
    if style == "bun":
        paths = _swept(person, rng, 1500, 0.055, 0.35, 0.9)
        angle = rng.uniform(-1.6, 1.6, 1500)
        steps = np.linspace(0, 1, 9)
        path_angle = angle[:, None] * (1 - 0.55 * steps**1.5)
        back = _band(person, path_angle, np.broadcast_to(steps, path_angle.shape), 0.055)
        turn = np.sort(rng.uniform(0, 2 * np.pi, 500))
        ring = rng.uniform(0.1, 1, 500)
        arc = turn[:, None] + np.linspace(0, 1.7, 9)
        r = ring[:, None] * np.linspace(1, 0.82, 9)
        knot = np.stack([0.27 * r * np.cos(arc), -1.33 + 0.22 * r * np.sin(arc)], -1)
        mass = np.maximum(_cap_mass(canvas, person, 0.05, 0.06), smoothstep(1.02, 0.98, np.hypot(
            canvas.x / 0.27, (canvas.y + 1.33) / 0.22)))  # fmt: skip
        return _paint(canvas, rng, np.concatenate([knot, paths, back]), mass, 0.010)
    if style == "curly":
        volume, size, edge, count = (0.34, 0.05, 1.9, 2600) if person.feminine else (0.17, 0.04, 1.5, 2000)
        paths = _coils(person, rng, count, volume, size, edge)
        return _paint(canvas, rng, paths, _cap_mass(canvas, person, volume, 0.15, edge), 0.012)
    end, spread, wave = (1.9, 0.22, 0.05) if style == "long" else (1.08, -0.06, 0.02)
    paths = np.concatenate([
        _draped(person, rng, 900, end, spread, wave, (0.55, 1.0)),
        _draped(person, rng, 1500, end, spread, wave, (0.0, 1.0)),
    ])  # fmt: skip
    return _paint(canvas, rng, paths, _cap_mass(canvas, person, 0.10, 0.42), 0.013)


def paint_hair(picture: np.ndarray, canvas: Canvas, person: Person, hair: Hair, irradiance: np.ndarray) -> None:
    """Lays hair over a lit picture; `irradiance` `[n, n, 3]` is the light on a smooth cap of that shape."""
    mass = soften(hair.mass, 0.008 * canvas.unit)
    colour = from_srgb(person.hair)
    blend(picture, 0.42 * colour * irradiance, hair.opacity * mass)
    # the band of light across the strands, where they turn from the crown to the sides
    radius = np.hypot(canvas.x * 1.15, canvas.y - 0.1)
    band = np.exp(-(((radius - 1.02 + 0.05 * canvas.x * person.light) / 0.11) ** 2)) * smoothstep(0.2, -0.5, canvas.y)
    low = np.exp(-(((canvas.y - 0.95) / 0.3) ** 2)) * 0.35
    shine = (band + low) * np.clip(hair.tone - 0.3, 0, 1) * (0.35 + 0.65 * irradiance[..., 1])
    lit = colour * (0.22 + 1.5 * hair.tone)[..., None] * irradiance
    lit = lit + shine[..., None] * (0.45 * colour**0.6 + 0.13)
    blend(picture, lit, hair.opacity * soften(hair.cover, 0.006 * canvas.unit))
