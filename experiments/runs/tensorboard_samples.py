"""Samples of a run in TensorBoard: a picture, a moving picture and sound of what was generated."""

import io
from pathlib import Path

import numpy as np

from afjax.audio.framing import FPS, RATE

ROWS = 5


def show(folder: Path, step: int, video: Path):
    """Adds a sample's video to the events in `folder`: `sample/frames`, `sample/video` (a GIF) and `sample/sound`.

    Each call writes a file of events of its own, so that none is read while it grows.
    """
    from tensorboardX import SummaryWriter
    from tensorboardX.proto.summary_pb2 import Summary

    from afjax.media.audio import read_audio
    from afjax.media.video import probe, read_frames

    frames = np.stack(list(read_frames(probe(video))))
    rows = frames[np.linspace(0, len(frames) - 1, ROWS).astype(int)]
    height, width = frames.shape[1:3]
    moving = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=gif(frames))
    with SummaryWriter(str(folder)) as writer:
        writer.add_image("sample/frames", np.concatenate(rows), step, dataformats="HWC")
        writer.file_writer.add_summary(Summary(value=[Summary.Value(tag="sample/video", image=moving)]), step)
        writer.add_audio("sample/sound", np.clip(read_audio(video), -1, 1), step, sample_rate=RATE)


def gif(frames: np.ndarray) -> bytes:
    """Frames uint8 [T, H, W, 3] at 25 per second as an endless GIF."""
    from PIL import Image

    first, *rest = map(Image.fromarray, frames)
    made = io.BytesIO()
    first.save(made, "GIF", save_all=True, append_images=rest, duration=1000 // FPS, loop=0)
    return made.getvalue()
