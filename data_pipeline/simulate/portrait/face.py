"""Paint for the face: the colours of the skin, lips, eyes, brows and beard."""

import numpy as np

from data_pipeline.simulate.portrait.canvas import Canvas, Window, blend, from_srgb, shade, smoothstep, soften, spline
from data_pipeline.simulate.portrait.form import Features, features_of, outline
from data_pipeline.simulate.portrait.person import Person

__all__ = ["paint_beard", "paint_brows", "paint_eyes", "paint_mouth_line", "skin_colour"]


def _lip_edges(canvas: Canvas | Window, person: Person, f: Features) -> tuple[np.ndarray, ...]:
    """(upper edge, line between the lips, lower edge) by column, and the position -1..1 between the corners."""
    m = canvas.x / f.mouth_corner[0]
    a = np.clip(np.abs(m), 0, 1)
    corner = (f.mouth_corner[1] - f.mouth) * a**2
    line = f.mouth + corner + 0.007 * np.exp(-((m / 0.16) ** 2)) - 0.005 * np.exp(-(((a - 0.42) / 0.2) ** 2))
    rise = 0.060 * person.lip_upper * ((1 - a**1.7) ** 0.95) * (1 - 0.24 * np.exp(-((m / 0.13) ** 2)))
    fall = 0.084 * person.lip_lower * (1 - a**2.2) ** 0.9
    return line - rise, line, line + fall, m


def lip_mask(canvas: Canvas | Window, person: Person) -> np.ndarray:
    """The red of the lips `[n, n]`, soft at its edge."""
    upper, _, lower, m = _lip_edges(canvas, person, features_of(person))
    soft = 0.012
    inside = smoothstep(-soft, soft, canvas.y - upper) * smoothstep(-soft, soft, lower - canvas.y)
    return inside * smoothstep(1.02, 0.93, np.abs(m))


def skin_colour(canvas: Canvas, person: Person, rng: np.random.Generator) -> np.ndarray:
    """Albedo of the head `[n, n, 3]`, linear."""
    f, blob, pair = features_of(person), canvas.blob, canvas.pair
    skin = from_srgb(person.skin)
    red = 0.34 * person.blush * pair(0.42, 0.30, 0.16, 0.12) + 0.34 * blob(0, f.nose_base - 0.07, 0.14, 0.07)
    red += 0.16 * blob(0, f.chin - 0.13, 0.13, 0.08) + 0.35 * pair(0.76, 0.15, 0.06, 0.16)
    red += 0.16 * pair(0.35, -0.07, 0.15, 0.035) + 0.12 * pair(0.33, 0.1, 0.14, 0.03)
    red += 0.05 * canvas.noise(rng, 9) + 0.035 * canvas.noise(rng, 30)
    colour = np.broadcast_to(skin, (*red.shape, 3)).copy()
    shade(colour, red * (1 - 0.35 * person.darkness), (0.02, 0.42, 0.40))
    yellow = 0.5 * blob(0, -0.5, 0.4, 0.16)
    shade(colour, yellow, (-0.03, -0.02, 0.09))
    # thin skin under the eyes
    hollow = (0.12 + 0.16 * person.age) * pair(0.31, 0.115, 0.10, 0.03) + 0.12 * pair(0.17, -0.03, 0.035, 0.06)
    shade(colour, hollow, (0.8, 1.0, 0.85))
    shade(colour, 0.022 * canvas.noise(rng, 60) + 0.018 * canvas.noise(rng, 25))
    if person.beard or not person.feminine:
        jaw = blob(0, f.chin - 0.12, 0.26, 0.16) + pair(0.42, 0.78, 0.14, 0.16) + 0.8 * blob(0, 0.58, 0.2, 0.05)
        strength = (0.10 + 0.22 * min(person.beard, 0.5)) * np.clip(jaw, 0, 1)
        shade(colour, strength, (1.15, 1.0, 0.85))
    if person.freckles:
        spots = smoothstep(1.5, 2.6, canvas.noise(rng, 34)) * (pair(0.33, 0.24, 0.2, 0.09) + blob(0, 0.2, 0.14, 0.1))
        shade(colour, 0.7 * person.freckles * spots, (0.5, 0.9, 1.1))
    # nostrils and the shadowed edge of the wings
    width, base = person.nose_width, f.nose_base
    dark = 1.1 * pair(0.072 * width, base - 0.010, 0.027 * width, 0.0125)
    dark += 0.3 * pair(0.072 * width, base - 0.004, 0.04 * width, 0.018)
    dark += 0.22 * pair(0.178 * width, base - 0.028, 0.014, 0.03) + 0.12 * blob(0, base + 0.012, 0.1, 0.014)
    shade(colour, dark, (0.85, 1.1, 1.1))
    where, lips = canvas.window((-0.36, 0.5), (0.36, 0.9))
    _paint_lips(colour[where], lips, canvas.noise(rng, 55, 9)[where], person, f)
    _paint_lines(colour, canvas, person)
    return colour


def _paint_lips(colour: np.ndarray, w: Window, noise: np.ndarray, person: Person, f: Features) -> None:
    upper, line, lower, m = _lip_edges(w, person, f)
    mask = lip_mask(w, person)
    creases = noise * np.clip(1 - np.abs(m), 0, 1)
    red = person.lips * (1 - 0.1 * person.makeup) + np.array([14, -16, -6]) * person.makeup
    lips = from_srgb(red) * np.exp(0.05 * creases)[..., None]
    lips *= np.where(w.y < line, 0.9, 1.12)[..., None]
    depth = np.clip((w.y - line) / np.maximum(lower - line, 0.02), -1, 1)
    lips *= (1 + 0.10 * np.exp(-(((depth - 0.4) / 0.25) ** 2)))[..., None]
    blend(colour, lips, mask * (0.8 + 0.15 * person.makeup))
    # the lit edge above the upper lip, the shade below the lower
    edge = np.exp(-(((w.y - upper + 0.012) / 0.01) ** 2)) * np.clip(1 - np.abs(m), 0, 1)
    colour *= (1 + 0.05 * edge * (1 - mask))[..., None]
    under = np.exp(-(((w.y - lower - 0.02) / 0.022) ** 2)) * np.clip(1 - (m / 0.8) ** 2, 0, 1)
    shade(colour, 0.22 * under, (0.8, 1, 1))


def _paint_lines(colour: np.ndarray, canvas: Canvas, person: Person) -> None:
    age = max(0.0, person.age - 0.3)
    if not age:
        return
    x, y = np.abs(canvas.x), canvas.y
    lines = np.zeros_like(colour[..., 0])
    for k, at in enumerate((-0.38, -0.46, -0.54)):
        bend = at - 0.03 * np.cos(3 * canvas.x + k)
        lines += 0.35 * np.exp(-(((y - bend) / 0.008) ** 2)) * smoothstep(0.42, 0.2, x)
    for k, slope in enumerate((-0.5, 0.05, 0.6)):
        lines += 0.4 * np.exp(-(((y - 0.0 - slope * (x - 0.5)) / 0.006) ** 2)) * smoothstep(0.54, 0.57, x) * smoothstep(
            0.68 - 0.02 * k, 0.60, x)  # fmt: skip
    lines += 0.5 * np.exp(-(((y - 0.12 - 0.09 * np.cos((x - 0.3) * 7)) / 0.01) ** 2)) * smoothstep(0.18, 0.24, x) * (
        smoothstep(0.46, 0.36, x))  # fmt: skip
    shade(colour, 0.55 * age * lines, (0.8, 1.0, 1.0))


def paint_mouth_line(picture: np.ndarray, canvas: Canvas, person: Person) -> None:
    """The dark line between closed lips, deeper at the corners."""
    f = features_of(person)
    where, w = canvas.window((-0.36, 0.6), (0.36, 0.8))
    _, line, _, m = _lip_edges(w, person, f)
    a = np.abs(m)
    width = 0.0075 + 0.002 * np.exp(-((m / 0.3) ** 2))
    mask = np.exp(-(((w.y - line) / width) ** 2)) * smoothstep(1.04, 0.94, a)
    soft = np.exp(-(((w.y - line) / 0.02) ** 2)) * smoothstep(1.05, 0.8, a)
    corner = w.pair(f.mouth_corner[0] + 0.004, f.mouth_corner[1], 0.016, 0.013)
    shade(picture[where], 1.15 * mask + 0.22 * soft + 0.45 * corner, (0.8, 1.05, 1.0))


def _lid(t: np.ndarray, peak: float, fullness: float) -> np.ndarray:
    t = np.clip(t, 0, 1)
    top = (peak**peak * (1 - peak) ** (1 - peak)) ** fullness
    return t ** (fullness * peak) * (1 - t) ** (fullness * (1 - peak)) / top


def paint_eyes(picture: np.ndarray, canvas: Canvas, person: Person, light: np.ndarray, rng) -> None:
    """Both eyes with lids and lashes, over skin that is already lit; `light` `[n, n]` is its brightness."""
    for side in (-1, 1):
        box = ((0.08, -0.24), (0.66, 0.2)) if side > 0 else ((-0.66, -0.24), (-0.08, 0.2))
        where, w = canvas.window(*box)
        _paint_eye(picture[where], w, side, person, light[where], rng)
        _paint_lashes(picture, canvas, side, person, rng)


def _edges(u: np.ndarray, person: Person, f: Features) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    t = (u - f.eye_inner[0]) / (f.eye_outer[0] - f.eye_inner[0])
    base = f.eye_inner[1] + (f.eye_outer[1] - f.eye_inner[1]) * t
    return t, base - f.eye_upper * _lid(t, 0.48, 1.15), base + f.eye_lower * _lid(t, 0.58, 1.25)


def _paint_eye(picture: np.ndarray, w: Window, side: int, person: Person, light: np.ndarray, rng) -> None:
    f = features_of(person)
    u = w.x * side
    t, upper, lower = _edges(u, person, f)
    y, px = w.y, w.pixel
    within = smoothstep(-0.02, 0.02, t) * smoothstep(1.03, 0.98, t)
    flat = np.clip(t, 0, 1)
    # fold of the upper lid, shade under the brow and the lid's own roundness
    crease = upper - (0.034 + 0.012 * person.eye_scale) * _lid((t + 0.06) / 1.16, 0.5, 0.7) + 0.004
    along = smoothstep(-0.1, 0.15, t) * smoothstep(1.16, 0.85, t)
    fold = np.exp(-(((y - crease) / 0.0075) ** 2)) * along * person.lid_fold
    above = np.exp(-(((y - crease + 0.02) / 0.028) ** 2)) * along
    shadow = 0.75 * person.makeup * np.exp(-(((y - upper + 0.02) / 0.035) ** 2)) * along
    skin_shade = 0.62 * fold + 0.20 * above + 0.34 * shadow
    lid_light = np.exp(-(((y - 0.5 * (crease + upper)) / 0.013) ** 2)) * along
    shade(picture, skin_shade - 0.13 * lid_light, (0.85, 1.0, 1.0))
    bag = np.exp(-(((y - lower - 0.045) / 0.014) ** 2)) * smoothstep(0.0, 0.4, t) * smoothstep(1.0, 0.7, t)
    shade(picture, (0.10 + 0.16 * person.age) * bag)
    rim = np.exp(-(((y - lower - 0.010) / 0.007) ** 2)) * within
    blend(picture, picture * np.array([1.12, 1.02, 1.0]) + 0.03, 0.5 * rim)
    # the ball
    open_ = smoothstep(-px, px, y - upper) * smoothstep(-px, px, lower - y) * within
    middle = 0.352
    radius = 0.0715
    cy = 0.5 * (f.eye_inner[1] + f.eye_outer[1]) - 0.006
    iris = np.hypot(u - middle, y - cy) / radius
    ball = np.hypot((u - 0.35) / 0.2, (y - cy) / 0.13)
    white = from_srgb(np.array([216, 208, 202]) - 23 * person.darkness) * np.exp(-0.75 * ball**2.2)[..., None]
    pink = np.exp(-(((u - f.eye_inner[0] - 0.008) / 0.026) ** 2)) + 0.25 * np.exp(-(((u - f.eye_outer[0]) / 0.05) ** 2))
    shade(white, pink, (0.12, 0.75, 0.65))
    angle = np.arctan2(y - cy, u - middle)
    fibres = sum(np.sin(k * angle + p) for k, p in zip((7, 13, 22, 31, 43), rng.uniform(0, 6.3, 5), strict=True)) / 3
    tone = 1.25 * np.exp(0.24 * fibres * smoothstep(0.3, 0.6, iris) + 0.45 * np.clip(w.y - cy, -0.05, 0.05) / 0.05)
    tone = tone * (1 - 0.72 * smoothstep(0.72, 1.0, iris))
    colour = from_srgb(person.eyes) * tone[..., None]
    amber = np.exp(-(((iris - 0.5) / 0.16) ** 2)) * 0.35
    colour = colour * (1 + amber[..., None] * np.array([0.9, 0.45, 0.0]))
    soft = 1.2 * px / radius
    blend(colour, from_srgb([10, 8, 8]), smoothstep(0.40 + soft, 0.40 - soft, iris))
    ball_colour = white
    blend(ball_colour, colour, smoothstep(1 + soft, 1 - soft, iris))
    lid_shadow = np.exp(-np.clip(y - upper, 0, None) / 0.022)
    ball_colour *= (np.clip(0.45 + 0.6 * light, 0.5, 1.1) * (1 - 0.62 * lid_shadow))[..., None]
    lx = person.light * side
    glint = np.exp(-((np.hypot(u - middle - 0.024 * lx, y - cy + 0.024) / 0.0135) ** 4))
    back = np.exp(-((np.hypot((u - middle + 0.028 * lx), y - cy - 0.03) / 0.014) ** 2))
    ball_colour += (0.95 * glint + 0.07 * back)[..., None]
    wet = np.exp(-(((y - lower + 0.006) / 0.005) ** 2)) * smoothstep(0.1, 0.3, t) * smoothstep(0.95, 0.7, t)
    ball_colour += 0.05 * wet[..., None]
    blend(picture, ball_colour, open_)
    # lash lines
    thick = (0.008 + 0.008 * flat) * (1 + 0.35 * person.makeup)
    lash = smoothstep(-thick - px, -thick + px, y - upper + 0.002) * smoothstep(0.006 + px, 0.006 - px, y - upper)
    lash = lash * smoothstep(-0.01, 0.12, t) * smoothstep(1.05, 0.98, t)
    dark = from_srgb([24, 17, 15])
    blend(picture, dark, (0.82 + 0.1 * person.makeup) * lash)
    low = np.exp(-(((y - lower - 0.003) / 0.005) ** 2)) * smoothstep(0.15, 0.8, t) * smoothstep(1.03, 0.97, t)
    blend(picture, dark, (0.34 + 0.2 * person.makeup) * low)
    corner = np.exp(-((np.hypot((t - 0.005) * 0.3, y - f.eye_inner[1]) / 0.008) ** 2))
    blend(picture, from_srgb(person.lips) * 0.5, 0.4 * corner)


def _paint_lashes(picture, canvas: Canvas, side: int, person: Person, rng: np.random.Generator) -> None:
    f = features_of(person)
    count = 34
    t = np.linspace(0.12, 1.0, count) + rng.normal(0, 0.01, count)
    u = f.eye_inner[0] + t * (f.eye_outer[0] - f.eye_inner[0])
    _, upper, lower = _edges(u, person, f)
    long = (0.012 + 0.026 * t) * (0.75 + 0.6 * person.makeup + 0.25 * person.feminine) * rng.uniform(0.7, 1.1, count)
    lean = (t - 0.35) * 1.1
    root = np.stack([u, upper], -1)
    mid = root + np.stack([0.35 * lean * long, -0.35 * long], -1)
    tip = root + np.stack([1.0 * lean * long, -0.95 * long], -1)
    paths = spline(np.stack([root, mid, tip], 1), 6)
    small = 0.35 * long[::2]
    root = np.stack([u, lower + 0.004], -1)[::2]
    tip = root + np.stack([0.7 * lean[::2] * small, small], -1)
    paths = np.concatenate([paths, spline(np.stack([root, 0.5 * (root + tip), tip], 1), 6)])
    paths[..., 0] *= side
    widths = np.full(len(paths), 0.004)
    _, cover = canvas.strokes(paths, np.zeros(len(paths)), widths)
    blend(picture, from_srgb([22, 16, 14]), 0.5 * cover)


def paint_brows(picture: np.ndarray, canvas: Canvas, person: Person, light: np.ndarray, rng) -> None:
    """Both brows, hair by hair over a soft ground."""
    count = 210
    paths = []
    for side in (-1, 1):
        t = np.sort(rng.uniform(0, 1, count))
        across = rng.uniform(-1, 1, count)
        thick = 0.034 * person.brow_weight * np.interp(t, [0, 0.15, 0.5, 1], [0.5, 0.9, 0.85, 0.22])
        x = 0.135 + 0.475 * t + rng.normal(0, 0.004, count)
        arch = person.brow_arch
        y = np.interp(t, [0, 0.3, 0.62, 1], [-0.172, -0.210, -0.210 - 0.044 * arch, -0.162])
        bend = np.polyval(np.polyfit([0, 0.3, 0.62, 1], [-0.172, -0.212, -0.216 - 0.036 * arch, -0.168], 3), t)
        y = 0.3 * y + 0.7 * bend - person.brow_height + across * thick
        turn = np.interp(t, [0, 0.2, 0.55, 1], [-1.15, -0.62, -0.12, 0.48]) + 0.28 * across + rng.normal(0, 0.1, count)
        long = 0.055 * rng.uniform(0.7, 1.15, count)
        root = np.stack([x, y], -1)
        tip = root + np.stack([np.cos(turn), np.sin(turn)], -1) * long[:, None]
        mid = 0.5 * (root + tip) + np.stack([np.zeros(count), -0.05 * long], -1)
        path = spline(np.stack([root, mid, tip], 1), 6)
        path[..., 0] *= side
        paths.append(path)
    paths = np.concatenate(paths)
    tones = rng.uniform(0.3, 0.9, len(paths))
    tone, cover = canvas.strokes(paths, tones, np.full(len(paths), 0.0045))
    cover = soften(cover, 0.0035 * canvas.unit)
    ground = soften(cover, 0.016 * canvas.unit)
    colour = from_srgb(person.brows)
    blend(picture, (colour * (0.6 + 0.5 * light[..., None])), 0.78 * np.clip(ground, 0, 1))
    blend(picture, colour * ((0.55 + 0.7 * tone) * (0.5 + 0.6 * light))[..., None], 0.7 * cover)


def paint_beard(picture: np.ndarray, canvas: Canvas, person: Person, light: np.ndarray, rng) -> None:
    """Stubble to a short beard: jaw, chin and upper lip; the lips stay free."""
    if person.beard < 0.3:
        return
    f = features_of(person)
    count = int(9000 * person.beard)
    x = rng.uniform(-0.72, 0.72, count)
    y = rng.uniform(0.2, f.chin + 0.05, count)
    a = np.abs(x)
    line = np.interp(a, [0, 0.3, 0.45, 0.6, 0.7], [0.72, 0.70, 0.64, 0.45, 0.1])
    keep = y > line + rng.normal(0, 0.025, count)
    lip = (a < 0.30) & (y > f.nose_base + 0.045 + 0.06 * (a / 0.3) ** 2) & (y < f.mouth - 0.01)
    keep |= lip | ((a > 0.25) & (a < 0.32) & (y > 0.62) & (y < 0.8))
    mouth = ((x / (f.mouth_corner[0] + 0.015)) ** 2 + ((y - f.mouth - 0.006) / 0.092) ** 2) < 1
    above = (y < f.mouth) & (y < f.mouth - 0.068 * person.lip_upper * (1 - (a / f.mouth_corner[0]).clip(0, 1) ** 1.7))
    keep &= ~mouth | (above & lip)
    keep &= np.hypot(x, y - 0.1) < 0.985 * outline(person, np.arctan2(x, 0.1 - y))
    x, y = x[keep], y[keep]
    order = np.argsort(-y)
    x, y = x[order], y[order]
    long = (0.014 + 0.034 * person.beard) * rng.uniform(0.6, 1.2, len(x))
    turn = np.pi / 2 - np.clip(x * 0.9, -0.8, 0.8) * np.where(y < 0.66, 2.0, 0.6) + rng.normal(0, 0.25, len(x))
    root = np.stack([x, y], -1)
    tip = root + np.stack([np.cos(turn), np.sin(turn)], -1) * long[:, None]
    tone, cover = canvas.strokes(np.stack([root, tip], 1), rng.uniform(0.2, 1, len(x)), np.full(len(x), 0.0045))
    colour = from_srgb(person.brows * 0.6 + person.hair * 0.4)
    strength = 0.35 + 0.45 * person.beard
    ground = soften(cover, 0.018 * canvas.unit)
    blend(picture, 0.75 * colour * (0.4 + 0.7 * light[..., None]), 0.75 * strength * ground)
    blend(picture, colour * ((0.45 + 0.7 * tone) * (0.35 + 0.75 * light))[..., None], strength * cover)
