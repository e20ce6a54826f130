"""Background and clothes of the drawn portraits."""

import numpy as np

from data_pipeline.simulate.portrait.canvas import Canvas, blend, from_srgb, shade, smoothstep
from data_pipeline.simulate.portrait.person import Person

__all__ = ["background", "clothes"]


_COLLAR_LEAF = np.array([(0.02, 1.76), (0.30, 1.45), (0.49, 1.19), (0.60, 1.30), (0.54, 1.66), (0.34, 1.93)])


def background(canvas: Canvas, person: Person, rng: np.random.Generator) -> np.ndarray:
    """A plain wall with a soft pool of light behind the head, `[n, n, 3]` linear."""
    pool = np.exp(-0.5 * (((canvas.x + 0.5 * person.light) / 1.5) ** 2 + ((canvas.y + 0.1) / 1.4) ** 2))
    level = 0.60 + 0.42 * pool + 0.012 * canvas.noise(rng, 1.5) + 0.006 * canvas.noise(rng, 8)
    return (from_srgb(person.background) * level[..., None]).astype(np.float32)


def _neckline(canvas: Canvas, person: Person) -> np.ndarray:
    """Height of the clothes' edge by column; all below it is cloth."""
    x = np.abs(canvas.x)
    if person.collar == "vee":
        return 2.01 - 1.02 * np.clip(x, 0, 0.62) ** 0.95
    if person.collar == "high":
        return 1.26 + 0.07 * np.sqrt(np.clip(1 - (x / 0.56) ** 2, 0, 1))
    if person.collar == "shirt":
        return 1.79 - 0.98 * np.clip(x, 0, 0.55)
    return 1.33 + 0.40 * np.sqrt(np.clip(1 - (x / 0.66) ** 2, 0, 1))


def clothes(picture: np.ndarray, canvas: Canvas, person: Person, light: np.ndarray, body: np.ndarray, rng) -> None:
    """Cloth over the body below the neckline, with its edge and a few folds."""
    edge = _neckline(canvas, person)
    below = canvas.y - edge
    cloth = smoothstep(-canvas.pixel, canvas.pixel, below) * body
    folds = canvas.noise(rng, 2.6, 0.9) * 0.5 + canvas.noise(rng, 5, 1.6) * 0.3
    weave = canvas.noise(rng, 60) * 0.03
    colour = from_srgb(person.clothes)
    cloth_shade = np.exp(0.16 * folds * smoothstep(0.0, 0.5, below) + weave)
    if person.collar == "high":
        cloth_shade *= np.exp(0.06 * np.sin(canvas.x * 70) * smoothstep(0.42, 0.25, below))
    hem = np.exp(-(((below - 0.065) / 0.008) ** 2)) if person.collar in ("crew", "vee") else 0 * below
    cloth_shade *= np.exp(-0.45 * hem - 0.5 * np.exp(-np.clip(below, 0, None) / 0.012))
    blend(picture, colour * cloth_shade[..., None] * light, cloth)
    if person.collar == "shirt":
        _shirt_collar(picture, canvas, colour, light, body)


def _shirt_collar(picture: np.ndarray, canvas: Canvas, colour: np.ndarray, light: np.ndarray, body: np.ndarray) -> None:
    for side in (-1, 1):
        leaf = _COLLAR_LEAF * [side, 1]
        mask = canvas.inside(leaf)
        shadow = canvas.inside(leaf + [0.012 * side, 0.03])
        shade(picture, 0.5 * shadow * (1 - mask))
        across = np.clip((np.abs(canvas.x) - 0.1) / 0.5, 0, 1)
        blend(picture, colour * light * (1.12 - 0.15 * across)[..., None], mask)
    placket = np.exp(-((canvas.x / 0.006) ** 2)) * smoothstep(1.79, 1.85, canvas.y) * body
    shade(picture, 0.6 * placket)
