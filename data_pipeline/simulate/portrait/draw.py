"""Portraits drawn by code: one person per seed, neutral, frontal, mouth closed, eyes open.

    python -m data_pipeline.simulate.portrait.draw --seed 0 --out face.png

The head is a height field (`form`) under a soft key light with shadows and cavity shading. Skin, lips, eyes and brows
are painted on it (`face`); hair is drawn strand by strand (`hair`). Painting is done at twice the size and averaged
down. A portrait is a function of its seed: nothing is read from anywhere.
"""

from pathlib import Path

import numpy as np
from absl import flags

from afjax import files
from afjax.errors import InputError
from data_pipeline import command
from data_pipeline.simulate.portrait import face, form
from data_pipeline.simulate.portrait.body import background, clothes
from data_pipeline.simulate.portrait.canvas import Canvas, blend, from_srgb, resize, shade, smoothstep, soften, to_srgb
from data_pipeline.simulate.portrait.hair import back_hair, front_hair, paint_hair
from data_pipeline.simulate.portrait.person import Person, sample_person

__all__ = ["paint_portrait", "painted_features", "write_portrait"]

MIN_SIZE, MAX_SIZE = 64, 2048
_UNIT = 0.216  # of the picture's side: the head takes about half of its height
_CENTRE = (0.5, 0.475)


def _canvas(size: int) -> Canvas:
    return Canvas(size, _UNIT * size, (_CENTRE[0] * size - 0.5, _CENTRE[1] * size - 0.5))


def paint_portrait(seed: int, size: int = 512) -> np.ndarray:
    """The portrait of a seed, uint8 `[size, size, 3]` RGB.

    Raises:
      InputError: `size` outside 64..2048, or a negative seed.
    """
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError(f"size {size} is outside {MIN_SIZE}..{MAX_SIZE}", "portrait", "choose another size")
    if seed < 0:
        raise InputError(f"seed {seed} is negative", "portrait", "use a seed of 0 or more")
    person = sample_person(seed)
    return _finish(_paint(person, _canvas(size)), size, seed)


def painted_features(seed: int, size: int = 512) -> dict[str, np.ndarray]:
    """Places of a portrait's features in pixels: name -> `[2]`; left and right are the image's."""
    f, canvas = form.features_of(sample_person(seed)), _canvas(size)
    points = {"nose_tip": f.nose_tip, "chin": (0.0, f.chin)}
    for name in ("eye_outer", "eye_inner", "mouth_corner"):
        x, y = getattr(f, name)
        points |= {f"{name}_left": (-x, y), f"{name}_right": (x, y)}
    return {name: canvas.to_pixels(point) for name, point in points.items()}


def _paint(person: Person, coarse: Canvas) -> np.ndarray:
    """The picture in linear light at twice the size of `coarse`; the light itself is computed on `coarse`."""
    fine = coarse.at(2 * coarse.n)
    stream = lambda purpose: np.random.default_rng([77, person.seed, purpose])  # noqa: E731
    picture = background(fine, person, stream(0))

    head, (body, body_mask) = form.head_height(coarse, person), form.body_height(coarse, person)
    front, behind = front_hair(fine, person, stream(1)), back_hair(fine, person, stream(2))
    hair_mask = np.zeros_like(picture[..., 0]) if front is None else np.maximum(front.mass, front.cover) * front.opacity
    hair_low = resize(hair_mask, coarse.n)
    rho, angle = form.relative_radius(coarse, person)
    inside = smoothstep(0.5, -0.5, (rho - 1) * form.outline(person, angle) / coarse.pixel)

    small = coarse.at(max(64, coarse.n // 2))
    scene = np.maximum(head * inside, np.where(body_mask > 0, body, -0.5)) - 0.1 * (inside == 0)
    shadow = resize(form.cast_shadow(small, resize(scene, small.n), form.key_light(person)), coarse.n)
    under_hair = soften(hair_low, 0.035 * coarse.unit)
    on_face = np.clip(shadow + 0.55 * np.clip(under_hair, 0, 1), 0, 1)
    face_light, face_gloss = form.lighting(coarse, head, person, on_face)
    chin = soften(np.roll(inside, int(0.13 * coarse.unit), 0), 0.09 * coarse.unit)
    body_light, _ = form.lighting(coarse, body, person, np.clip(0.75 * chin + 0.5 * shadow, 0, 1))
    body_light *= (1 - 0.42 * chin)[..., None]

    cap = 1.1 * np.exp(-0.5 * (np.clip(rho, 0, 2) / 0.95) ** 2).astype(np.float32)
    hair_light = resize(form.lighting(coarse, cap, person, np.zeros_like(shadow))[0], fine.n)

    if behind is not None:
        paint_hair(picture, fine, person, behind, hair_light * 0.55)
    skin = face.skin_colour(fine, person, stream(3))
    neck = from_srgb(person.skin) * np.array([0.94, 0.90, 0.88])
    lit_body = resize(body_light, fine.n)
    blend(picture, neck * lit_body, resize(body_mask, fine.n))
    soft_light = np.stack([soften(body_light[..., k], 0.05 * coarse.unit) for k in range(3)], -1)
    clothes(picture, fine, person, resize(soft_light, fine.n), resize(body_mask, fine.n), stream(4))
    _paint_ears(picture, fine, person)
    wet = face.lip_mask(fine, person) * (fine.y > form.features_of(person).mouth)
    sheen = resize(face_gloss, fine.n) * (0.055 + 0.02 * person.darkness) * (1 + 1.4 * wet)
    lit_face = resize(face_light, fine.n)
    blend(picture, skin * lit_face + sheen[..., None], resize(inside, fine.n))

    brightness = lit_face.mean(-1)
    face.paint_mouth_line(picture, fine, person)
    face.paint_eyes(picture, fine, person, brightness, stream(5))
    face.paint_beard(picture, fine, person, brightness, stream(6))
    face.paint_brows(picture, fine, person, brightness, stream(7))
    if front is not None:
        paint_hair(picture, fine, person, front, hair_light)
    return picture


def _paint_ears(picture: np.ndarray, canvas: Canvas, person: Person) -> None:
    where, w = canvas.window((-0.95, -0.2), (0.95, 0.45))
    u = np.abs(w.x) / person.face_width - 0.715
    v = w.y - 0.13
    wide = 0.085 * (1 - 0.25 * np.clip(v / 0.25, -1, 1))
    r = np.hypot((u - 0.25 * wide) / wide, v / 0.23)
    lit = 0.72 + 0.22 * np.sign(w.x) * person.light
    colour = from_srgb(person.skin) * np.array([1.0, 0.82, 0.78]) * lit[..., None]
    rim = np.exp(-(((r - 0.62) / 0.16) ** 2)) * smoothstep(0.25, 0.1, v)
    hollow = np.exp(-((np.hypot((u - 0.015) / 0.035, (v - 0.01) / 0.09)) ** 2))
    colour = np.broadcast_to(colour, (*r.shape, 3)).copy()
    shade(colour, 0.35 * rim + 0.9 * hollow, (0.8, 1.0, 1.0))
    blend(picture[where], colour, smoothstep(1 + canvas.pixel * 8, 1 - canvas.pixel * 8, r))


def _finish(picture: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Adds glow, tone curve and canvas grain, then scales down to the picture's size."""
    small = resize(picture, size)
    glow = np.stack([soften(small[..., k], 0.012 * size) for k in range(3)], -1)
    small = small + 0.10 * (glow - small) + 0.05 * glow**2
    grey = small @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    small = grey[..., None] + 0.96 * (small - grey[..., None])
    value = to_srgb(small / (1 + 0.12 * small))
    value = value + 0.022 * np.sin(2 * np.pi * (value - 0.02)) * -1
    grain = np.random.default_rng([78, seed]).normal(0, 1, (size, size)).astype(np.float32)
    value = value + 0.007 * soften(grain, 0.6)[..., None]
    return np.clip(np.round(255 * value), 0, 255).astype(np.uint8)


def write_portrait(path: Path, seed: int, size: int) -> None:
    """Writes a portrait as PNG, aside first and then renamed.

    Raises:
      InputError: the file cannot be written there.
    """
    from PIL import Image

    if not path.name:
        raise InputError("is not a file name", repr(str(path)), "say where to write, e.g. --out face.png")
    picture = paint_portrait(seed, size)
    try:
        with files.aside(path) as partial:
            Image.fromarray(picture).save(partial, format="PNG")
    except OSError as error:
        raise InputError(error.strerror or "can't be written", path, "choose a place that can be written") from error


def main() -> None:
    write_portrait(Path(_OUT.value).expanduser(), _SEED.value, _SIZE.value)
    print(f"{_OUT.value}: the person of seed {_SEED.value}, {_SIZE.value} px")


if __name__ == "__main__":
    _SEED = flags.DEFINE_integer("seed", 0, "Which person.", lower_bound=0)
    _OUT = flags.DEFINE_string("out", "face.png", "PNG file to write.")
    _SIZE = flags.DEFINE_integer("size", 512, "Width and height in pixels.", lower_bound=MIN_SIZE, upper_bound=MAX_SIZE)
    command.run(main)
