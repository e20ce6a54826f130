"""Brains that are servers, against a double of them (`openai_double`): what is sent, what is said, what goes wrong."""

import io
import threading
import time
import wave

import numpy as np
import pytest

from afjax.audio.framing import RATE
from afjax.errors import InputError
from afjax.serving.brain import Cut, Heard, Speech, State, Trouble
from afjax.serving.brains.endpoint import Cancelled, Endpoint, checked_url, key_of
from afjax.serving.brains.endpoints import Chat, Transcription, Voice, wav
from afjax.serving.brains.parts import Spoken, Turn
from afjax.serving.brains.timing import spread
from afjax.serving.brains.vad import Ear
from afjax.serving.brains.words import WordsBrain
from data_pipeline.simulate.speech import vocal
from tests.serving import stubs
from tests.serving.brain_page import Page

pytest.importorskip("aiohttp")
from tests.serving.openai_double import KEY, Double, tone  # noqa: E402

HELLO = Turn(1.0, 1.0, 0, -20.0, words=("Good", "day!"))


@pytest.fixture
def double():
    with Double() as made:
        yield made


def chat_of(server, **more) -> Chat:
    return Chat(lambda: server, "small", "Be brief.", greeting="", **more)


def voice_sound(seconds: float = 1.2) -> np.ndarray:
    """What the ear takes for a voice."""
    rng = np.random.default_rng(0)
    hum = np.concatenate([vocal.hum(rng, 140.0).wave for _ in range(8)])[: int(seconds * RATE)]
    return (0.1 * hum / np.sqrt(np.mean(hum**2))).astype(np.float32)


def test_an_answer_comes_in_pieces_and_is_remembered(double):
    chat = chat_of(Endpoint(double.url), settings={"max_tokens": 5})
    assert "".join(chat.answer(HELLO)) == "Not much. And with you?"
    assert "".join(chat.answer(HELLO))
    path, asked = double.asked[1]
    assert path == "chat" and asked["model"] == "small" and asked["stream"] is True and asked["max_tokens"] == 5
    assert [(m["role"], m["content"]) for m in asked["messages"]] == [
        ("system", "Be brief."), ("user", "Good day!"), ("assistant", "Not much. And with you?"), ("user", "Good day!"),
    ]  # fmt: skip


def test_what_was_not_heard_is_not_remembered(double):
    chat = chat_of(Endpoint(double.url))
    list(chat.answer(HELLO))
    chat.heard("Not much.")
    list(chat.answer(HELLO))
    chat.heard("")
    list(chat.answer(HELLO))
    assert [m["content"] for m in double.asked[1][1]["messages"]][2] == "Not much. —"
    assert [m["role"] for m in double.asked[2][1]["messages"]] == ["system", "user", "assistant", "user"]


def test_a_long_conversation_keeps_its_prompt(double):
    chat = chat_of(Endpoint(double.url))
    for _ in range(30):
        list(chat.answer(HELLO))
    sent = double.asked[-1][1]["messages"]
    assert sent[0]["content"] == "Be brief." and len(sent) == 41


def test_a_voice_is_asked_for_pcm_and_its_words_have_times(double):
    voice = Voice(Endpoint(double.url), "tts", "alloy")
    said = voice.say("One two.")
    assert double.asked == [
        ("speech", {"model": "tts", "voice": "alloy", "input": "One two.", "response_format": "pcm"})
    ]
    assert said.rate == 24_000 and len(said.samples) == len(tone("One two."))
    assert [word for word, _, _ in said.words] == ["One", "two."]
    assert said.words[0][2] == said.words[1][1] == pytest.approx(0.4, abs=0.02)
    assert np.sqrt(np.mean(said.samples**2)) == pytest.approx(0.1, rel=0.01)


def test_a_voice_that_sends_a_wav_file_has_its_rate(double, monkeypatch):
    monkeypatch.setattr(Endpoint, "post", lambda *_: (wav(tone("abc")[:3000], 8000), "audio/wav"))
    said = Voice(Endpoint(double.url), "tts", "alloy").say("abc")
    assert said.rate == 8000 and len(said.samples) == 3000


def test_a_turn_is_sent_as_a_file(double):
    sound = (0.3 * np.sin(np.arange(RATE))).astype(np.float32)
    assert Transcription(Endpoint(double.url), "whisper", "en").words(sound) == ["what", "is", "new"]
    fields = double.asked[0][1]
    with wave.open(io.BytesIO(fields.pop("file"))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (RATE, 1, RATE)
        sent = np.frombuffer(file.readframes(RATE), "<i2") / 32767
    np.testing.assert_allclose(sent, sound, atol=1e-4)
    assert fields == {"model": "whisper", "response_format": "json", "language": "en"}


# What goes wrong

PARTS = {
    "chat": lambda server: list(chat_of(server).answer(HELLO)),
    "speech": lambda server: Voice(server, "tts", "alloy").say("One."),
    "transcriptions": lambda server: Transcription(server, "whisper").words(np.zeros(RATE, np.float32)),
}
FAULTS = {
    "status": "503 Service Unavailable: the model is overloaded",
    "hang": "no answer in time",
    "garbage": "",
    "redirect": "answers 307",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("part", PARTS)
def test_a_fault_is_one_line_that_names_the_server(double, part, fault):
    double.fault = fault
    with pytest.raises(InputError) as error:
        PARTS[part](Endpoint(double.url, patience=0.3))
    text = str(error.value)
    assert text.startswith(double.url) and FAULTS[fault] in text and "\n" not in text


def test_an_answer_that_ends_in_the_middle_is_a_fault(double):
    double.fault, chat, got = "break", chat_of(Endpoint(double.url)), []
    with pytest.raises(InputError, match="ended in the middle"):
        for piece in chat.answer(HELLO):
            got.append(piece)
    assert got == ["Not "] and chat.messages[-1]["content"] == "Not "


def test_nobody_there():
    for part in PARTS.values():
        with pytest.raises(InputError, match="nothing listens there"):
            part(Endpoint("http://127.0.0.1:9/v1"))


def test_a_key_goes_to_its_server_and_into_no_message(monkeypatch):
    monkeypatch.setenv("AFJAX_TEST_KEY", f" {KEY}\n")
    with Double(key=KEY) as double:
        assert PARTS["chat"](Endpoint(double.url, key_of("AFJAX_TEST_KEY")))
        with pytest.raises(InputError, match="401.*is the key right") as error:
            PARTS["chat"](Endpoint(double.url, "sk-other"))
    assert "sk-other" not in str(error.value) and "..." in str(error.value)


@pytest.mark.parametrize(
    ("url", "key", "what"),
    [
        ("http://example.com/v1", "sk", "in the clear"),
        ("https://me:secret@example.com/v1", "", "no secrets"),
        ("https://example.com/v1?key=secret", "", "no secrets"),
        ("ftp://example.com", "", "no address"),
        ("example.com/v1", "", "no address"),
        ("http://example.com:99999", "", "no address"),
    ],
)
def test_addresses_that_are_refused(url, key, what):
    with pytest.raises(InputError, match=what) as error:
        checked_url(url, key)
    assert "secret@" not in str(error.value) and "=secret" not in str(error.value)


def test_addresses_that_are_taken(monkeypatch):
    for url, key in (
        ("http://10.0.0.7:8000/v1", ""),
        ("https://example.com/v1", "sk"),
        ("http://localhost:1/v1", "sk"),
    ):
        checked_url(url, key)
    monkeypatch.setenv("AFJAX_TEST_KEY", "two words")
    with pytest.raises(InputError, match="AFJAX_TEST_KEY: holds no key"):
        key_of("AFJAX_TEST_KEY")


def test_a_request_is_ended_from_another_thread(double):
    double.fault = "hang"
    server, begun = Endpoint(double.url), time.monotonic()
    threading.Timer(0.2, server.cancel).start()
    with pytest.raises(Cancelled):
        server.post("/chat/completions", b"{}")
    assert time.monotonic() - begun < 2.0
    double.fault = ""
    assert PARTS["chat"](server) and PARTS["speech"](server)


def test_a_kept_connection_that_the_server_has_closed_is_made_anew(double):
    server = Endpoint(double.url)
    PARTS["speech"](server)
    double.go_away()
    with pytest.raises(InputError, match="nothing listens there"):
        PARTS["speech"](server)
    double.come_back()
    PARTS["speech"](server)
    PARTS["speech"](server)


# The brain


def brain_of(double, threads=False, patience=5.0) -> WordsBrain:
    def server():
        return Endpoint(double.url, patience=patience)

    return WordsBrain(
        Ear(packaged=False), Transcription(server(), "whisper"), chat_of(server()), Voice(server(), "tts", "alloy"),
        threads,
    )  # fmt: skip


@pytest.fixture
def page(double):
    page = Page(stubs.Engine(), brain_of(double), stubs.Codec.channels)
    yield page
    page.brain.close()


def test_a_spoken_turn_is_answered_sentence_by_sentence_with_captions(double, page):
    page.quiet(0.6)
    page.live(voice_sound())
    page.until(Speech)
    assert [event.words for event in page.of(Heard)] == [["what", "is", "new"]]
    assert [fields["input"] for path, fields in double.asked if path == "speech"] == ["Not much.", "And with you?"]
    page.quiet(4.0)
    assert [word for word, _, _ in page.captions] == ["Not", "much.", "And", "with", "you?"]
    assert [event.state for event in page.of(State)] == ["listening", "thinking", "speaking", "listening"]
    assert not page.call.speaking(page.now)
    turn = double.asked[0][1]["file"]
    assert len(turn) / 2 / RATE == pytest.approx(1.2 + 0.5, abs=0.15)


def test_a_cut_leaves_what_was_heard(double, page):
    page.quiet(0.6)
    page.live(voice_sound())
    page.until(Speech)
    while not page.sound.any():
        page.quiet(0.02)
    begin = page.first_sound()
    while page.now < begin + 1.2:  # "Not much." lasts 0.9 s, "And" until 1.2
        page.quiet(0.02)
    heard = page.cut()
    assert heard == pytest.approx(1.2, abs=0.05)
    page.quiet(1.0)
    assert page.brain._reply.messages[-1]["content"] == "Not much. And —"
    assert page.of(State)[-1].state == "listening" and not page.call.speaking(page.now)


@pytest.mark.parametrize(("fault", "said"), [("away", []), ("break", ["Not"])])
def test_a_server_that_fails_is_told_once_and_the_avatar_listens_on(double, page, fault, said):
    double.answer = ["Not much. ", "And with you?"]
    if fault == "break":
        double.fault = "break"
    else:
        page.brain._reply._endpoint = lambda: Endpoint("http://127.0.0.1:9/v1")
    page.quiet(0.6)
    page.live(voice_sound())
    page.until(Trouble)
    page.quiet(3.0)
    assert len(page.of(Trouble)) == 1
    assert [word for word, _, _ in page.captions][:1] == said
    assert page.of(State)[-1].state == "listening" and not page.call.speaking(page.now)
    double.fault, page.brain._reply._endpoint = "", lambda: Endpoint(double.url)
    page.live(voice_sound())
    page.until(Speech)
    assert len(page.of(Trouble)) == 1


def test_a_sound_without_words_is_not_answered(double, page):
    double.words = ""
    page.quiet(0.6)
    page.live(voice_sound())
    page.quiet(2.0)
    assert not page.of(Speech) and [e.state for e in page.of(State)] == ["listening", "thinking", "listening"]


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


class Slow:
    """`speak` that takes its time where it is told to."""

    voice, wait = "slow", 0.0

    def say(self, sentence):
        time.sleep(self.wait)
        return Spoken(np.full(RATE, 0.1, np.float32), RATE, spread(sentence.split(), np.ones(RATE), RATE))

    def close(self):
        pass


def feed(brain, sound, at=0.0):
    for n in range(0, len(sound) - 319, 320):
        brain.hear(sound[n : n + 320], at + n / RATE)
    return at + len(sound) / RATE


def test_sentences_are_spoken_as_they_come_and_nothing_waits(double):
    brain, events = brain_of(double, threads=True), []
    double.fault = "slow"
    double.answer = ["First one. ", "Second ", "one. ", "Third ", "one."]
    begun = time.monotonic()
    at = feed(brain, np.concatenate([np.zeros(RATE // 2, np.float32), voice_sound()]))
    feed(brain, np.zeros(RATE, np.float32), at)
    brain.events()
    assert time.monotonic() - begun < 0.5

    def spoken():
        events.extend(brain.events())
        return [event for event in events if isinstance(event, Speech)]

    until(lambda: len(spoken()) >= 1)
    assert not spoken()[-1].last and len([path for path, _ in double.asked if path == "speech"]) < 3
    until(lambda: spoken()[-1].last, 20)
    assert [len(event.samples) > 0 for event in spoken()] == [True, True, True, False]
    brain.close()
    assert not any(thread.is_alive() for thread in brain._threads)


def test_a_user_who_goes_on_is_answered_once_to_all_of_it(double):
    brain, events = brain_of(double, threads=True), []
    brain._speak = Slow()
    brain._speak.wait = 0.5
    quiet = np.zeros(RATE, np.float32)
    at = feed(brain, np.concatenate([quiet[: RATE // 2], voice_sound(), quiet]))
    until(lambda: any(path == "chat" for path, _ in double.asked))
    at = feed(brain, np.concatenate([voice_sound(), quiet]), at)
    until(lambda: len([path for path, _ in double.asked if path == "chat"]) == 2)
    until(lambda: events.extend(brain.events()) or any(isinstance(e, Speech) and e.last for e in events))
    first, second = (len(fields["file"]) for path, fields in double.asked if path == "transcriptions")
    assert second / first == pytest.approx(2.0, abs=0.1)
    asked = [fields["messages"] for path, fields in double.asked if path == "chat"]
    assert [m["role"] for m in asked[1]] == ["system", "user"]
    assert sum(isinstance(event, Speech) and event.last for event in events) == 1
    brain.close()


def test_words_are_recognised_at_the_pause_that_ends_a_turn_and_not_again(double):
    brain = brain_of(double, threads=True)
    brain._speak, brain._recognise.early = Slow(), True
    quiet = np.zeros(RATE, np.float32)
    at = feed(brain, np.concatenate([quiet[: RATE // 2], voice_sound(), quiet[: RATE // 2]]))
    until(lambda: double.asked)
    assert not any(isinstance(event, Heard) for event in brain.events())
    feed(brain, quiet, at)
    until(lambda: any(isinstance(event, Speech) for event in brain.events()))
    assert [path for path, _ in double.asked] == ["transcriptions", "chat"]
    brain.close()


def test_a_turn_that_goes_on_after_a_pause_is_recognised_whole(double):
    brain = brain_of(double, threads=True)
    brain._speak, brain._recognise.early = Slow(), True
    quiet = np.zeros(RATE, np.float32)
    feed(brain, np.concatenate([quiet[: RATE // 2], voice_sound(), quiet[: RATE // 2], voice_sound(), quiet]))
    until(lambda: any(isinstance(event, Speech) for event in brain.events()))
    sizes = [len(fields["file"]) / 2 / RATE for path, fields in double.asked if path == "transcriptions"]
    assert sizes == pytest.approx([1.7, 3.4], abs=0.15) and len([p for p, _ in double.asked if p == "chat"]) == 1
    brain.close()


def test_a_cut_ends_an_answer_that_is_being_written(double):
    brain = brain_of(double, threads=True)
    brain._speak, double.fault = Slow(), "slow"
    double.answer = ["First one here. ", *(f"Line {n}. " for n in range(50))]
    feed(brain, np.concatenate([np.zeros(RATE // 2, np.float32), voice_sound(), np.zeros(RATE, np.float32)]))
    until(lambda: any(isinstance(event, Speech) for event in brain.events()))
    brain.spoken(0.4, False)
    brain.cut(0.6)  # of a second with three words
    until(lambda: brain._reply._asked is None, 1.0)
    assert brain._reply.messages[-1] == {"role": "assistant", "content": "First one —"}
    time.sleep(0.3)
    assert not any(isinstance(event, Speech) for event in brain.events())
    brain.close()


def test_a_cut_ends_what_is_under_way(double):
    brain = brain_of(double, threads=True, patience=30.0)
    double.fault = "hang"
    feed(brain, np.concatenate([np.zeros(RATE // 2, np.float32), voice_sound(), np.zeros(RATE, np.float32)]))
    until(lambda: brain._recognise._endpoint._busy)
    brain.cut(0.0)
    until(lambda: not brain._recognise._endpoint._busy, 2.0)
    begun = time.monotonic()
    brain.close()
    assert time.monotonic() - begun < 2.0 and not any(isinstance(e, Trouble | Cut) for e in brain.events())
