"""What `experiments.serve` puts together: portraits, a studio and a server."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from afjax.media.image import read_portrait
from afjax.serving.server import Server
from afjax.serving.studio import Studio
from data_pipeline.simulate.portrait.draw import draw_portrait
from experiments.report.conversation_video import AVATAR

__all__ = ["host", "portraits_of"]

SWITCH = 0.0005
"""Seconds after which a thread gives way: sockets must not wait 5 ms for brains and encoders at every turn."""


def portraits_of(files: Sequence[str]) -> dict[str, np.ndarray]:
    """Portraits uint8 `[H, W, 3]` by name: those of files, by default a drawn face and scikit-image's astronaut."""
    if files:
        return {Path(file).stem: read_portrait(file) for file in files}
    found = {"drawn": draw_portrait(AVATAR)}
    with contextlib.suppress(ImportError):
        from skimage.data import astronaut

        found["astronaut"] = astronaut()
    return found


async def host(studio: Studio, server: Server | Any, said: Callable[[str], None] = print) -> None:
    """Serves until the process is interrupted or terminated; `said` is given the address once.

    `server`: one, or what has its `start` and `stop`.
    """
    sys.setswitchinterval(SWITCH)
    ends, loop = asyncio.Event(), asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, ends.set)
    try:
        await studio.start()
        said(await server.start())
        await ends.wait()
    finally:
        await server.stop()
        await studio.close()
