"""A server with a model of a few numbers, which lets pages in by WebRTC, too: for measuring what the network does.

    python -m tests.serving.stub_server

A voice is a tone, and the picture is as bright as it is loud.
"""

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

from absl import app

from afjax.serving.server import Server
from afjax.serving.studio import Studio
from experiments.live import hosting
from tests.serving import stubs
from tests.serving.client import PORTRAITS

STUB = ("tests.serving.stub_server",)


@contextlib.contextmanager
def served(line=STUB):
    """A module with its flags as a process; -> its address with the fragment, token and process."""
    process = subprocess.Popen([sys.executable, "-m", *line], stdout=subprocess.PIPE, text=True)
    try:
        url = next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
        yield SimpleNamespace(url=url.replace("?webrtc", ""), token=url.split("token=")[1], process=process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


class Codec(stubs.Codec):
    """Pictures that an encoder has something to do with."""

    size = 128


def main(_):
    engine = stubs.Engine(1, seconds=0.02)
    studio = Studio(engine, Codec(), PORTRAITS, brain=stubs.Brain, voices=stubs.Brain.voices, headroom=0.25, seed=0)
    asyncio.run(
        hosting.host(studio, Server(studio, door=hosting.door_of(studio, [])), lambda url: print(url, flush=True))
    )


if __name__ == "__main__":
    app.run(main)
