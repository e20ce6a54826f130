"""Sheets of pictures with a word under each, at the pictures' own size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

__all__ = ["sheet"]

_TEXT = 18  # pixels under each picture


def sheet(path: Path, pictures: np.ndarray, words: Sequence[str], columns: int) -> None:
    """Writes a PNG of pictures uint8 `[n, h, w, 3]` in reading order, with the n words under them."""
    from PIL import Image, ImageDraw

    height, width = pictures.shape[1:3]
    rows = -(-len(pictures) // columns)
    canvas = Image.new("RGB", (columns * width, rows * (height + _TEXT)), "white")
    pen = ImageDraw.Draw(canvas)
    for n, (picture, word) in enumerate(zip(pictures, words, strict=True)):
        corner = (n % columns) * width, n // columns * (height + _TEXT)
        canvas.paste(Image.fromarray(picture), corner)
        pen.text((corner[0] + 4, corner[1] + height + 3), word, fill="black")
    canvas.save(path)
