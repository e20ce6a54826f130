"""Which brain the flags of `experiments.serve` make."""

import importlib.util

import pytest

from afjax.errors import InputError
from afjax.serving.brain import Silent
from afjax.serving.brains.endpoints import Chat, Transcription, Voice
from afjax.serving.brains.scripted import ScriptedBrain
from afjax.serving.brains.small_talk import SmallTalk
from afjax.serving.brains.voice import VOICES
from afjax.serving.brains.words import WordsBrain
from experiments.live.brains import KEYS, Choice, brains_of

URL = "http://127.0.0.1:9/v1"


def test_each_part_is_chosen_on_its_own():
    pytest.importorskip("espeakng_loader")
    make, voices = brains_of(Choice())
    brain = make("Martin")
    assert type(brain) is ScriptedBrain and isinstance(brain._reply, SmallTalk) and brain._speak.voice == "Martin"
    assert voices == tuple(VOICES)
    brain.close()
    make, voices = brains_of(Choice(listen=URL, reply=URL, reply_model="small"))
    brain = make("")
    assert type(brain) is WordsBrain and isinstance(brain._recognise, Transcription) and isinstance(brain._reply, Chat)
    brain.close()
    make, voices = brains_of(Choice(speak=URL, speak_voice="nova"))
    brain = make("")
    assert isinstance(brain._speak, Voice) and brain._speak.voice == "nova" and voices == ()
    brain.close()
    assert isinstance(brains_of(Choice("silent"))[0](""), Silent)


@pytest.mark.parametrize(
    ("choice", "what"),
    [
        (Choice("silent", speak=URL), "has no parts"),
        (Choice("realtime", reply=URL), "has no parts"),
        (Choice(reply=URL), "nothing recognises"),
        (Choice(listen="offlin"), "--listen=offlin is unknown; choose nothing, offline or a server's URL"),
        (Choice(listen="ftp://here"), "no address"),
        (Choice(listen="http://here:port"), "no address"),
        (Choice(listen="http://[here"), "no address"),
        (Choice("realtime", realtime="https://here"), "no address"),
        (Choice("realtime"), "asks for a key; set the environment variable AFJAX_REALTIME_KEY"),
        (Choice(speak="https://api.openai.com/v1"), "asks for a key; set the environment variable AFJAX_SPEAK_KEY"),
    ],
)
def test_what_does_not_go_is_one_line(choice, what):
    with pytest.raises(InputError, match=what):
        brains_of(choice)


def test_a_key_of_its_own_for_each_server(monkeypatch):
    monkeypatch.setenv(KEYS["reply"], "sk-reply")
    make, _ = brains_of(Choice(listen=URL, reply=URL, speak=URL))
    brain = make("")
    assert (brain._reply._endpoint()._key, brain._recognise._endpoint._key, brain._speak._endpoint._key) == (
        "sk-reply", "", "",
    )  # fmt: skip
    brain.close()
    with pytest.raises(InputError, match="in the clear"):
        brains_of(Choice(listen=URL, reply="http://example.com/v1", speak=URL))


def test_missing_packages_are_named(monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "piper" else there(name))
    with pytest.raises(InputError, match="offline speaker needs piper.*; pip install -r requirements-brain.txt"):
        brains_of(Choice(listen=URL, reply=URL, speak="offline"))
