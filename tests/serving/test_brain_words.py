"""The brain that knows words, with doubles of servers (`openai_double`): who speaks when, cuts, what goes wrong."""

import time

import numpy as np
import pytest

from afjax.audio.framing import RATE
from afjax.serving.brain import Cut, Speech, State, Trouble, UserTranscript
from afjax.serving.brains.endpoint import Endpoint
from afjax.serving.brains.endpoints import Chat, Transcription, Voice
from afjax.serving.brains.parts import Spoken, Turn
from afjax.serving.brains.timing import spread
from afjax.serving.brains.vad import TurnDetector
from afjax.serving.brains.words import WordsBrain
from data_pipeline.simulate.speech import vocal
from tests.serving import stubs
from tests.serving.brain_page import Page

pytest.importorskip("aiohttp")
from tests.serving.openai_double import Double  # noqa: E402


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


def brain_of(double, threads=False, patience=5.0) -> WordsBrain:
    def server():
        return Endpoint(double.url, patience=patience)

    return WordsBrain(
        TurnDetector(packaged=False), Transcription(server(), "whisper"), chat_of(server()),
        Voice(server(), "tts", "alloy"),
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
    assert [event.words for event in page.of(UserTranscript)] == [["what", "is", "new"]]
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


def test_words_heard_are_those_of_the_utterance_under_way(double):
    brain = brain_of(double)
    brain._speak = Slow()  # a second a sentence
    brain.say("Mm-hm, mm-hm.")
    brain._answer(Turn(1.0, 1.0, 0, -20.0))
    brain.spoken(0.5, False)
    brain.spoken(1.0, True)
    brain.spoken(0.3, False)
    assert brain._answering and [word for word, _, _ in brain._words] == "Not much. And with you?".split()
    brain.cut(1.35)
    assert brain._reply.messages[-1]["content"] == "Not much. And —"
    brain.close()


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
    parts = brain._recognise._endpoint, brain._speak._endpoint, brain._reply._kept
    assert [part._connection for part in parts] == [None] * 3
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
    assert not any(isinstance(event, UserTranscript) for event in brain.events())
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


def test_a_turn_long_after_one_without_an_answer_is_another(double):
    brain = brain_of(double, threads=True)
    brain._speak, double.fault = Slow(), "slow"
    quiet = np.zeros(RATE, np.float32)
    at = feed(brain, np.concatenate([quiet[: RATE // 2], voice_sound(), quiet]))
    until(lambda: any(path == "chat" for path, _ in double.asked))
    brain.cut(0.0)
    for _ in range(5):
        at = feed(brain, quiet, at)
    feed(brain, np.concatenate([voice_sound(), quiet]), at)
    until(lambda: len([path for path, _ in double.asked if path == "transcriptions"]) == 2)
    first, second = (len(fields["file"]) for path, fields in double.asked if path == "transcriptions")
    assert second / first == pytest.approx(1.0, abs=0.1)
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
