"""Serves a page on which an avatar listens and answers, to a browser on this machine.

    python -m experiments.serve
    python -m experiments.serve --workdir out/demo/run --portrait face.jpg --size 128
    python -m experiments.serve --brain=offline

The program prints one address, with a token in it, and serves until ctrl-C. Nothing leaves the machine, unless a brain
is a server elsewhere, and nothing is stored. docs/live.md has the protocol, and what to do for other machines;
docs/brains.md has the brains. It needs the packages of requirements-media.txt and requirements-live.txt. Recordings of
the page are signed as generated (C2PA) where c2pa-python is installed, by a certificate of the server's own or by that
of `--certificate` and `--key`.

`--broadcast` gives the call to other programs, as a camera or as a stream (docs/broadcast.md). `--webrtc` also lets
pages in by WebRTC: docs/webrtc.md, requirements-webrtc.txt.
"""

import asyncio
import os

from absl import flags

from afjax import files
from afjax.errors import InputError
from afjax.serving.credentials import Signer
from afjax.serving.server import Server
from afjax.serving.studio import Studio
from experiments import cli
from experiments.live import brains, hosting

_WORKDIR = flags.DEFINE_string("workdir", "", "Folder of a trained model; without it the one that ships.")
_PORTRAIT = flags.DEFINE_multi_string("portrait", [], "Picture of a face to offer; may be given several times.")
_HOST = flags.DEFINE_string("host", "127.0.0.1", "Name or number to listen on.")
_PORT = flags.DEFINE_integer("port", 0, "Port; 0 takes a free one.", lower_bound=0, upper_bound=65535)
_ORIGIN = flags.DEFINE_multi_string("origin", [], "https://NAME under which a proxy offers the page.")
_SIZE = flags.DEFINE_integer("size", 256, "Side of the avatar's picture, a multiple of 128 pixels.")
_SESSIONS = flags.DEFINE_integer("sessions", 1, "Calls at the same time.", lower_bound=1, upper_bound=256)
_CERTIFICATE = flags.DEFINE_string("certificate", "", "PEM: sign recordings with it and those that vouch for it.")
_KEY = flags.DEFINE_string("key", "", "PEM: its private key.")
_WEBRTC = flags.DEFINE_bool("webrtc", False, "Let pages in by WebRTC, too; the address printed is for that.")
_ICE = flags.DEFINE_multi_string("ice", [], "stun:HOST or turn:HOST for --webrtc; none by default.")
_BROADCAST = flags.DEFINE_multi_string("broadcast", [], "/dev/videoN of v4l2loopback, or rtmp://HOST/APP/KEY.")
_PRECISION = cli.define_precision()
_BRAIN = flags.DEFINE_enum("brain", "scripted", brains.BRAINS, "What answers (docs/brains.md).")
_LISTEN = flags.DEFINE_string("listen", "", "What recognises words: nothing, offline, or a server's URL.")
_LISTEN_MODEL = flags.DEFINE_string("listen_model", "whisper-1", "Model of that server.")
_REPLY = flags.DEFINE_string("reply", "", "What answers: scripted, offline, or a server's URL.")
_REPLY_MODEL = flags.DEFINE_string("reply_model", "", "Model of that server.")
_SPEAK = flags.DEFINE_string("speak", "", "What speaks: espeak, offline, or a server's URL.")
_SPEAK_MODEL = flags.DEFINE_string("speak_model", "tts-1", "Model of that server.")
_SPEAK_VOICE = flags.DEFINE_string("speak_voice", "alloy", "Voice of that server.")
_SPEAK_RATE = flags.DEFINE_integer("speak_rate", 24_000, "Samples a second of its pcm.", 8000, 96_000)
_REALTIME = flags.DEFINE_string("realtime", brains.Choice.realtime, "WebSocket of a realtime server.")
_REALTIME_MODEL = flags.DEFINE_string("realtime_model", brains.Choice.realtime_model, "Model of that server.")
_REALTIME_VOICE = flags.DEFINE_string("realtime_voice", brains.Choice.realtime_voice, "Voice of that server.")
_PROMPT = flags.DEFINE_string("prompt", "", "Who a language model is told to be.")


def main():
    if _SIZE.value not in range(128, 1025, 128):
        raise InputError(f"--size={_SIZE.value} is not a multiple of 128", do="choose 128, 256, 384 ... 1024")
    if bool(_CERTIFICATE.value) != bool(_KEY.value):
        raise InputError("--certificate and --key belong together", do="give both or neither")
    if _ICE.value and not _WEBRTC.value:
        raise InputError("--ice is for WebRTC", do="give --webrtc, too")
    servers = hosting.ice_of(_ICE.value, os.environ) if _WEBRTC.value else None
    signer = Signer(files.absolute(_CERTIFICATE.value), files.absolute(_KEY.value)) if _KEY.value else Signer.found()
    print("getting ready: brain, portraits and model", flush=True)
    brain, voices = brains.brains_of(_choice())
    portraits = hosting.portraits_of(_PORTRAIT.value)
    with hosting.outlets(_BROADCAST.value, next(iter(portraits.values())), _SIZE.value) as outlets:
        _serve(portraits, brain, voices, signer, servers, outlets)


def _choice() -> brains.Choice:
    return brains.Choice(
        _BRAIN.value, listen=_LISTEN.value, listen_model=_LISTEN_MODEL.value, reply=_REPLY.value,
        reply_model=_REPLY_MODEL.value, speak=_SPEAK.value, speak_model=_SPEAK_MODEL.value,
        speak_voice=_SPEAK_VOICE.value, speak_rate=_SPEAK_RATE.value, realtime=_REALTIME.value,
        realtime_model=_REALTIME_MODEL.value, realtime_voice=_REALTIME_VOICE.value, prompt=_PROMPT.value,
    )  # fmt: skip


def _serve(portraits, brain, voices, signer, servers, outlets):
    avatar = cli.load_avatar(files.absolute(_WORKDIR.value) if _WORKDIR.value else "", _PRECISION.value)
    with cli.quiet():
        engine = avatar.engine(_SESSIONS.value)
        studio = Studio(engine, avatar.codec(_SIZE.value), portraits, brain, voices)
    for outlet in outlets:
        outlet.follow(studio)
    door = None if servers is None else hosting.door_of(studio, servers)
    server = Server(studio, _HOST.value, _PORT.value, origins=_ORIGIN.value, signer=signer, door=door)

    def said(url: str):
        print(f"open {url if door is None else url.replace('/#', '/?webrtc#')}   (ctrl-C ends it)", flush=True)

    asyncio.run(hosting.host(studio, server, said))


if __name__ == "__main__":
    cli.run(main)
