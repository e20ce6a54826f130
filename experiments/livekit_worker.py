"""Avatars for agents of LiveKit: takes calls of `afjax.serving.livekit.session.AvatarSession` on this machine.

    python -m experiments.livekit_worker
    python -m experiments.livekit_worker --workdir out/demo/run --portrait face.jpg --sessions 2 --port 8089

The worker prints its address and its secret, which agents are given (AFJAX_WORKER, AFJAX_SECRET), and serves until
ctrl-C. It enters the rooms that agents name, says what they say, and sees and hears the user there. Nothing is stored.
docs/livekit.md has the agent's side. It needs the packages of requirements-media.txt and requirements-livekit.txt.
"""

import asyncio
import os

from absl import flags

from afjax import files
from afjax.errors import InputError
from afjax.serving.studio import Studio
from experiments import cli
from experiments.live import hosting

_WORKDIR = flags.DEFINE_string("workdir", "", "Folder of a trained model; without it the one that ships.")
_PORTRAIT = flags.DEFINE_multi_string("portrait", [], "Picture of a face to offer; may be given several times.")
_HOST = flags.DEFINE_string("host", "127.0.0.1", "Name or number to listen on.")
_PORT = flags.DEFINE_integer("port", 8089, "Port; 0 takes a free one.", lower_bound=0, upper_bound=65535)
_SIZE = flags.DEFINE_integer("size", 256, "Side of the avatar's picture, a multiple of 128 pixels.")
_SESSIONS = flags.DEFINE_integer("sessions", 1, "Calls at the same time.", lower_bound=1, upper_bound=256)


def main():
    if _SIZE.value not in range(128, 1025, 128):
        raise InputError(f"--size={_SIZE.value} is not a multiple of 128", do="choose 128, 256, 384 ... 1024")
    from afjax.serving.livekit.worker import Worker

    print("getting ready: model and portraits", flush=True)
    avatar = cli.load_avatar(files.absolute(_WORKDIR.value) if _WORKDIR.value else "")
    portraits = hosting.portraits_of(_PORTRAIT.value)
    with cli.quiet():
        studio = Studio(avatar.engine(_SESSIONS.value), avatar.codec(_SIZE.value), portraits)
    worker = Worker(studio, _HOST.value, _PORT.value, os.environ.get("AFJAX_SECRET", ""))
    asyncio.run(hosting.host(studio, worker, lambda url: print(_said(url, worker.secret), flush=True)))


def _said(url: str, secret: str) -> str:
    """The line that tells what agents are given."""
    return f"AFJAX_WORKER={url} AFJAX_SECRET={secret}   (ctrl-C ends it)"


if __name__ == "__main__":
    cli.run(main)
