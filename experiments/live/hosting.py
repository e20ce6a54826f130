"""The parts of `experiments.serve`: portraits, a studio and a server."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from afjax.media.image import read_portrait
from afjax.serving.server import Server
from afjax.serving.studio import Studio
from data_pipeline.simulate.portrait.draw import paint_portrait
from experiments.report.conversation_video import AVATAR

__all__ = ["door_of", "host", "ice_of", "outlets", "portraits_of"]

SWITCH = 0.0005
"""Seconds after which a thread gives way: sockets must not wait 5 ms for brains and encoders at every turn."""


def portraits_of(files: Sequence[str]) -> dict[str, np.ndarray]:
    """Portraits uint8 `[h, w, 3]` of files by name; by default a drawn face and scikit-image's astronaut."""
    if files:
        return {Path(file).stem: read_portrait(file) for file in files}
    found = {"drawn": paint_portrait(AVATAR)}
    with contextlib.suppress(ImportError):
        from skimage.data import astronaut

        found["astronaut"] = astronaut()
    return found


def ice_of(urls: Sequence[str], environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """Servers of ICE; AFJAX_TURN_USER and AFJAX_TURN_PASSWORD are the name and the password of TURN."""
    from afjax.serving.webrtc.door import ice_servers

    return ice_servers(urls, environment.get("AFJAX_TURN_USER", ""), environment.get("AFJAX_TURN_PASSWORD", ""))


def door_of(studio: Studio, servers: Sequence[dict[str, Any]]) -> Any:
    """The door that lets pages in by WebRTC. Raises InputError where aiortc is missing."""
    from afjax.serving.webrtc.door import Door

    for name in ("aioice", "aiortc"):  # every address that is tried has a line
        logging.getLogger(name).setLevel(logging.WARNING)
    return Door(studio, servers)


@contextlib.contextmanager
def outlets(targets: Sequence[str], portrait: np.ndarray, size: int) -> Iterator[list[Any]]:
    """Players of the call under way to cameras and streams, from the portrait on. Raises InputError for bad targets."""
    if not targets:
        yield []
        return
    from PIL import Image, ImageOps

    from afjax.serving.outlet import Outlet, target_of

    still, started = np.asarray(ImageOps.fit(Image.fromarray(portrait), (size, size))), []
    try:
        for outlet in [Outlet(target_of(text), still) for text in targets]:
            started.append(outlet)
            outlet.start()
        yield started
    finally:
        for outlet in started:
            outlet.close()


async def host(studio: Studio, server: Server | Any, said: Callable[[str], None] = print) -> None:
    """Serves until the process is interrupted or terminated; `said` gets the address once.

    `server`: a Server, or an object with its `start` and `stop`.
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
