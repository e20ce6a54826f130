"""Likeness of simulated and real people, channel by channel.

The figures of a person are, per channel, the standard deviation, that of the change from frame to frame (`speed`), and
the root mean square in four bands of frequency (`footage.band_deviations`). A real clip is like the simulated people
where its value lies between their 5th and 95th percentile. `ratio` is the simulated median over the real one.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from afjax.codec.face.channels import CHANNELS
from afjax.codec.face.codec import FaceCodec
from afjax.media.video import probe, read_frames
from data_pipeline.simulate.behaviour.footage import EDGES, band_deviations
from experiments import cli

FIGURES = ("deviation", "speed", *(f"below {edge:g} Hz" for edge in EDGES))
SIDE = 960


def figures(motion: np.ndarray) -> np.ndarray:
    """FIGURES `[6, d]` of motion `[t, d]`."""
    return np.stack([motion.std(axis=0), np.diff(motion, axis=0).std(axis=0), *band_deviations(motion)])


def of_clip(path: Path) -> np.ndarray:
    """FIGURES of the person in a clip, tracked as a live camera is."""
    with cli.quiet():
        return figures(FaceCodec().encode(read_frames(probe(path), SIDE), causal=True).motion)


def compare(simulated: Sequence[np.ndarray], real: dict[str, np.ndarray]) -> dict[str, Any]:
    """`ratio` of the medians, and the clips that lie `outside`, by figure and channel."""
    people = np.stack(simulated)
    low, high = np.percentile(people, (5, 95), axis=0)
    ratio = np.median(people, axis=0) / np.maximum(np.median(np.stack([*real.values()]), axis=0), 1e-9)
    table = {}
    for row, figure in enumerate(FIGURES):
        for column, channel in enumerate(CHANNELS):
            at = (row, column)
            outside = [name for name, value in real.items() if not low[at] <= value[at] <= high[at]]
            table.setdefault(figure, {})[channel] = {"ratio": float(ratio[at]), "outside": outside}
    return table


def shares(table: dict[str, Any], clips: int) -> dict[str, float]:
    """Share of clips and figures inside, and of medians within a factor of 1.5."""
    cells = [cell for row in table.values() for cell in row.values()]
    inside = 1.0 - np.mean([len(cell["outside"]) for cell in cells]) / clips
    return {"inside": float(inside), "within_1.5": float(np.mean([1 / 1.5 <= c["ratio"] <= 1.5 for c in cells]))}
