"""The drawn person of a seed: measures, colours and style.

Lengths are in face units: 1 = the distance between the outer corners of the eyes. The means are those that a face
mesh measures on frontal photographs (mouth .68, chin 1.05, nose tip .40 below the line of the eyes; inner corners
at .195, mouth corners at .25 and brows at .16 to .61 beside the middle).
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["HAIR_STYLES", "Person", "sample_person"]

HAIR_STYLES = ("short", "fringe", "buzz", "bald", "long", "bob", "bun", "curly")

# sRGB, light to deep; each with the colour of its lips
_SKIN = (
    ((242, 208, 188), (200, 116, 112)),
    ((236, 197, 172), (192, 108, 102)),
    ((226, 182, 152), (184, 100, 92)),
    ((212, 164, 130), (172, 94, 84)),
    ((190, 144, 114), (158, 92, 84)),
    ((160, 117, 92), (138, 84, 76)),
    ((138, 99, 76), (126, 76, 70)),
    ((114, 82, 64), (112, 68, 64)),
)
_EYES = ((92, 60, 36), (70, 44, 28), (112, 84, 46), (98, 108, 70), (86, 118, 140), (104, 126, 150), (118, 128, 132))
_HAIR = (
    (28, 22, 20), (44, 32, 26), (70, 46, 32), (98, 66, 42), (132, 92, 56), (186, 146, 92), (146, 70, 38),
)  # fmt: skip
_GREY = (158, 156, 154)
_CLOTHES = (
    (58, 78, 104), (120, 58, 62), (72, 96, 84), (210, 204, 194), (46, 48, 54), (164, 128, 92), (104, 92, 124),
    (88, 118, 132), (188, 150, 140), (96, 104, 74),
)  # fmt: skip
_BACKGROUNDS = (
    (150, 160, 168), (176, 164, 148), (142, 156, 144), (122, 134, 152), (180, 172, 168), (150, 138, 150),
    (168, 176, 178), (134, 146, 150),
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """One person; lengths in face units, colours sRGB in 0..255, amounts in [0, 1] unless said.

    `*_scale` are factors around 1; `light` is -1 (key light from the image's left) or 1.
    """

    seed: int
    feminine: bool
    age: float
    skin: np.ndarray
    lips: np.ndarray
    darkness: float
    eyes: np.ndarray
    hair: np.ndarray
    brows: np.ndarray
    clothes: np.ndarray
    background: np.ndarray
    style: str
    collar: str
    part: float
    beard: float
    makeup: float
    freckles: float
    blush: float
    face_width: float
    jaw_scale: float
    chin_scale: float
    cheek: float
    eye_scale: float
    eye_tilt: float
    lid_fold: float
    brow_height: float
    brow_arch: float
    brow_weight: float
    nose_width: float
    nose_length: float
    nose_bridge: float
    mouth_width: float
    lip_upper: float
    lip_lower: float
    mouth_curve: float
    light: float


def _tone(rng: np.random.Generator, colour, spread: float) -> np.ndarray:
    return np.clip(np.asarray(colour, np.float32) + rng.normal(0, spread, 3), 8, 250).astype(np.float32)


def sample_person(seed: int) -> Person:
    """The person of a seed; the same seed is always the same person."""
    rng = np.random.default_rng([20267, seed])
    feminine = bool(rng.random() < 0.5)
    age = float(np.clip(rng.beta(1.4, 2.4), 0, 1))
    depth = float(rng.uniform(0, len(_SKIN) - 1))
    low = min(int(depth), len(_SKIN) - 2)
    skin, lips = (
        np.array([np.interp(depth - low, (0, 1), pair) for pair in zip(_SKIN[low][k], _SKIN[low + 1][k], strict=True)])
        for k in (0, 1)
    )
    darkness = depth / (len(_SKIN) - 1)
    eyes = _EYES[rng.integers(0, 2)] if rng.random() < 0.25 + 0.9 * darkness else _EYES[rng.integers(2, len(_EYES))]
    dark_hair = rng.random() < 0.3 + 0.9 * darkness
    hair = np.array(_HAIR[rng.integers(0, 3)] if dark_hair else _HAIR[rng.integers(2, len(_HAIR))], np.float32)
    grey = float(np.clip((age - 0.45) / 0.35, 0, 1) * rng.uniform(0.3, 1))
    brows = hair * (0.7 if hair.sum() > 220 else 0.95)
    if feminine:
        style = str(rng.choice(["long", "bob", "bun", "long", "curly", "fringe"]))
    else:
        style = str(rng.choice(["short", "short", "fringe", "buzz", "curly", "bald" if age > 0.2 else "short"]))
    normal = lambda spread: float(np.clip(rng.normal(0, spread), -2 * spread, 2 * spread))  # noqa: E731
    fuller = 0.25 * darkness
    return Person(
        seed=seed,
        feminine=feminine,
        age=age,
        skin=_tone(rng, skin, 2),
        lips=_tone(rng, lips, 4),
        darkness=darkness,
        eyes=_tone(rng, eyes, 4),
        hair=_tone(rng, (1 - grey) * hair + grey * np.array(_GREY), 1.2),
        brows=_tone(rng, (1 - 0.5 * grey) * brows + 0.5 * grey * np.array(_GREY) * 0.7, 1),
        clothes=_tone(rng, _CLOTHES[rng.integers(len(_CLOTHES))], 6),
        background=_tone(rng, _BACKGROUNDS[rng.integers(len(_BACKGROUNDS))], 5),
        style=style,
        collar=str(rng.choice(["crew", "vee", "shirt", "high"])),
        part=float(rng.choice([-1, 1]) * rng.uniform(0.05, 0.3)),
        beard=0.0 if feminine or rng.random() < 0.45 else float(rng.uniform(0.25, 1)),
        makeup=float(rng.uniform(0.25, 0.9)) if feminine else 0.0,
        freckles=float(rng.uniform(0.3, 1)) if darkness < 0.45 and rng.random() < 0.25 else 0.0,
        blush=float(rng.uniform(0.4, 1)),
        face_width=1 + normal(0.025) + (-0.01 if feminine else 0.015),
        jaw_scale=1 + normal(0.04) + (-0.06 if feminine else 0.04),
        chin_scale=1 + normal(0.025) + (-0.01 if feminine else 0.02),
        cheek=1 + normal(0.25),
        eye_scale=1 + normal(0.06) + (0.05 if feminine else -0.03),
        eye_tilt=0.012 + normal(0.007),
        lid_fold=float(rng.uniform(0.35, 1)),
        brow_height=normal(0.014) + (0.012 if feminine else -0.008),
        brow_arch=1 + normal(0.2) + (0.15 if feminine else -0.15),
        brow_weight=(0.75 if feminine else 1.1) * (1 + normal(0.1)),
        nose_width=1 + normal(0.06) + 0.12 * (darkness - 0.4) + (-0.03 if feminine else 0.04),
        nose_length=1 + normal(0.025),
        nose_bridge=1 + normal(0.1),
        mouth_width=1 + normal(0.04),
        lip_upper=(1 + normal(0.12) + fuller + (0.12 if feminine else 0.04)) * (1 - 0.15 * age),
        lip_lower=(1 + normal(0.1) + fuller + (0.1 if feminine else 0.04)) * (1 - 0.1 * age),
        mouth_curve=normal(0.004) + 0.02,
        light=float(rng.choice([-1, 1])),
    )
