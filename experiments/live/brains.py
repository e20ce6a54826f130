"""The brain that `experiments.serve` gives its calls: by a name, or part by part (docs/brains.md)."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from afjax.errors import InputError
from afjax.serving.brain import Brain, Silent

__all__ = ["BRAINS", "Choice", "brains_of"]

BRAINS = ("scripted", "silent", "offline", "realtime")
KEYS = {part: f"AFJAX_{part.upper()}_KEY" for part in ("listen", "reply", "speak", "realtime")}
"""Environment variables: one key per server, so that none is sent to another."""
KEYED = ("api.openai.com",)
"""Servers that answer nobody without a key."""
OFFLINE = {"listen": "offline", "reply": "offline", "speak": "offline"}
SCRIPTED = {"listen": "nothing", "reply": "scripted", "speak": "espeak"}


@dataclass(frozen=True)
class Choice:
    """The chosen brain: `listen`, `reply` and `speak` are words or URLs, "" for the brain's own part."""

    brain: str = "scripted"
    listen: str = ""
    listen_model: str = "whisper-1"
    reply: str = ""
    reply_model: str = ""
    speak: str = ""
    speak_model: str = "tts-1"
    speak_voice: str = "alloy"
    speak_rate: int = 24_000
    realtime: str = "wss://api.openai.com/v1/realtime"
    realtime_model: str = "gpt-realtime"
    realtime_voice: str = "marin"
    prompt: str = ""

    def part(self, name: str) -> str:
        """The word or URL of a part."""
        return getattr(self, name) or (OFFLINE if self.brain == "offline" else SCRIPTED)[name]


def brains_of(choice: Choice) -> tuple[Callable[[str], Brain], tuple[str, ...]]:
    """A maker of a call's brain, given a voice, and the voices. Raises InputError where something needed is missing.

    All calls share the processes of offline parts, which end with this one.
    """
    if choice.brain in ("silent", "realtime") and (choice.listen or choice.reply or choice.speak):
        raise InputError(f"--brain={choice.brain} has no parts", do="leave --listen, --reply and --speak out")
    if choice.brain == "silent":
        return lambda voice: Silent(), ()
    if choice.brain == "realtime":
        return _realtime(choice)
    listen, reply, speak = (_part(choice, name) for name in ("listen", "reply", "speak"))
    if listen is None and choice.part("reply") != "scripted":
        raise InputError("a language model answers words, and nothing recognises them", do="give --listen, too")
    speak_of, voices = speak

    def make(voice: str) -> Brain:
        from afjax.serving.brains.scripted import ScriptedBrain
        from afjax.serving.brains.vad import TurnDetector
        from afjax.serving.brains.words import WordsBrain

        said = speak_of(voice or voices[0])
        return (
            WordsBrain(TurnDetector(), listen(), reply(), said)
            if listen
            else ScriptedBrain(TurnDetector(), reply(), said)
        )

    return make, voices if len(voices) > 1 else ()


def _part(choice: Choice, name: str):
    """A maker of a part for one call; None for `listen` nothing; with the names of its voices for `speak`."""
    chosen = choice.part(name)
    if "://" in chosen:
        return _SERVERS[name](choice, chosen)
    if chosen not in _WORDS[name]:
        raise InputError(f"--{name}={chosen} is unknown", do=f"choose {', '.join(_WORDS[name])} or a server's URL")
    return _WORDS[name][chosen](choice)


def _server(name: str, url: str):
    """A maker of a server's client for one call; one is made at once, to see whether it can be."""
    from afjax.serving.brains.endpoint import Endpoint

    make = functools.partial(Endpoint, url, _key(name, url))
    make()
    return make


def _key(name: str, url: str, schemes: tuple[str, str] = ("http", "https")) -> str:
    """The key for a server, "" where it needs none. Raises InputError for a missing key, and for an invalid URL."""
    from afjax.serving.brains.endpoint import checked_url, key_of

    key = key_of(KEYS[name])
    host = checked_url(url, key, schemes).hostname
    if not key and host in KEYED:
        raise InputError(f"{host} asks for a key", f"--{name}", f"set the environment variable {KEYS[name]}")
    return key


def _transcription(choice: Choice, url: str):
    from afjax.serving.brains.endpoints import Transcription

    server = _server("listen", url)
    return lambda: Transcription(server(), choice.listen_model)


def _whisper(choice: Choice):
    import numpy as np

    from afjax.serving.brains.offline.parts import Whisper, worker_of

    worker = worker_of("recogniser")
    Whisper(worker).words(np.zeros(16_000, np.float32))
    return lambda: Whisper(worker)


def _chat(choice: Choice, url: str):
    from afjax.serving.brains.endpoints import PROMPT, Chat

    server = _server("reply", url)

    def make():
        own = server()
        return Chat(lambda: own, choice.reply_model, choice.prompt or PROMPT)

    return make


def _small_model(choice: Choice):
    from afjax.serving.brains.endpoints import PROMPT, Chat
    from afjax.serving.brains.offline.parts import SmallModel
    from afjax.serving.brains.parts import Turn

    model = SmallModel()
    make = functools.partial(
        Chat, model.endpoint, "", choice.prompt or PROMPT, settings=model.SETTINGS, remembered=model.REMEMBERED
    )
    next(iter(make().answer(Turn(1.0, 1.0, 0, -20.0, words=("Hi.",)))), "")  # reads the prompt, which is kept
    return make


def _small_talk(choice: Choice):
    from afjax.serving.brains.small_talk import SmallTalk

    return SmallTalk


def _voice(choice: Choice, url: str):
    from afjax.serving.brains.endpoints import Voice

    server = _server("speak", url)
    return lambda voice: Voice(server(), choice.speak_model, voice, choice.speak_rate), (choice.speak_voice,)


def _espeak(choice: Choice):
    from afjax.serving.brains.voice import VOICES, EspeakVoice

    EspeakVoice(next(iter(VOICES))).close()  # what is missing is said before anybody calls
    return EspeakVoice, tuple(VOICES)


def _piper(choice: Choice):
    from afjax.serving.brains.offline.parts import PiperVoice, worker_of

    worker = worker_of("speaker")
    PiperVoice(worker).say("Hello.")
    return lambda voice: PiperVoice(worker), ("Joe",)


def _realtime(choice: Choice):
    from afjax.serving.brains.realtime import RealtimeBrain

    key = _key("realtime", choice.realtime, ("ws", "wss"))
    model, voice = choice.realtime_model, choice.realtime_voice
    return lambda _: RealtimeBrain(choice.realtime, key, model, voice, choice.prompt), ()


_WORDS = {
    "listen": {"nothing": lambda choice: None, "offline": _whisper},
    "reply": {"scripted": _small_talk, "offline": _small_model},
    "speak": {"espeak": _espeak, "offline": _piper},
}
_SERVERS = {"listen": _transcription, "reply": _chat, "speak": _voice}
