"""The realtime brain against a double of its server: what goes up, what comes down, cuts, and a server that is away."""

import time

import numpy as np
import pytest

from afjax.audio.framing import RATE
from afjax.errors import InputError
from afjax.serving.brain import Cut, Speech, State, Trouble, UserTranscript
from afjax.serving.brains import realtime_link
from afjax.serving.brains.realtime import PACE, RealtimeBrain
from tests.serving import stubs
from tests.serving.brain_page import Page

pytest.importorskip("aiohttp")
from tests.serving.openai_double import KEY, Double  # noqa: E402

WORDS = "Well, this is what I think about it."


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture(params=["ga", "beta"])
def talk(request):
    """A double of either version, and a brain that has connected to it, in a call on a virtual clock."""
    with Double(beta=request.param == "beta") as double:
        brain = RealtimeBrain(double.realtime, "", "gpt", "marin", "Be brief.", greets=False)
        until(lambda: any(event["type"] == "session.update" for event in double.told))
        yield double, Page(stubs.Engine(), brain, stubs.Codec.channels)
        brain.close()


def waiting(brain, kind) -> int:
    """Events of a kind that the brain has not given out."""
    with brain._lock:
        return sum(isinstance(event, kind) for event in brain._events)


def told(double, kind):
    return [event for event in double.told if event["type"] == kind]


def said(double, page, item="item_1", seconds=2.0, **more):
    """The double says something, and the brain has taken it."""
    double.speaks(item, WORDS, seconds, **more)
    pieces = round(seconds / 0.2) + more.get("ends", True)
    until(lambda: waiting(page.brain, Speech) >= pieces)


def test_the_session_is_what_was_asked_for(talk):
    double, _ = talk
    update = told(double, "session.update")[0]
    session = update["session"]
    assert update["model"] == "gpt" and session["instructions"] == "Be brief."
    if double.beta:
        assert session["input_audio_format"] == session["output_audio_format"] == "pcm16"
        assert session["voice"] == "marin" and session["turn_detection"]["type"] == "server_vad"
    else:
        assert session["type"] == "realtime" and session["output_modalities"] == ["audio"]
        assert session["audio"]["output"] == {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin"}
        assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
        assert session["audio"]["input"]["turn_detection"]["interrupt_response"] is True


def test_the_voice_goes_up_whole_at_24_khz(talk):
    double, page = talk
    seconds = np.arange(RATE) / RATE
    page.live((0.5 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32))
    until(lambda: len(double.sound) > 23_900)
    time.sleep(0.05)
    want = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(double.sound)) / 24_000)
    np.testing.assert_allclose(double.sound[200:-200], want[200:-200], atol=0.01)


def test_an_answer_is_said_with_words_in_its_sound(talk):
    double, page = talk
    double.tell({"type": "input_audio_buffer.speech_started"}, {"type": "input_audio_buffer.speech_stopped"})
    double.tell({"type": "conversation.item.input_audio_transcription.completed", "transcript": "Good day."})
    said(double, page)
    page.quiet(4.0)
    assert [word for word, _, _ in page.captions] == WORDS.split()
    assert [event.words for event in page.of(UserTranscript)] == [["Good", "day."]] and not page.of(Cut)
    assert [event.state for event in page.of(State)] == ["listening", "thinking", "speaking", "listening"]
    loud = np.flatnonzero(np.abs(page.sound) > 0.01)
    assert (loud[-1] - loud[0]) / RATE == pytest.approx(2.0, abs=0.02)
    first = loud[0] // 640
    begins = np.array([begin for _, begin, _ in page.captions]) - first
    paced = np.cumsum([0, *(len(word) + 1 for word in WORDS.split()[:-1])]) / PACE * 25
    assert np.abs(begins - np.minimum(paced, 48))[:-2].max() <= 1 and (np.diff(begins) > 0).all()
    assert page.captions[0][1] == first and all(first <= a <= b < first + 50 for _, a, b in page.captions)
    assert not page.call.speaking(page.now) and not told(double, "conversation.item.truncate")


def test_the_user_cuts_it_and_the_server_is_told_what_was_heard(talk):
    double, page = talk
    said(double, page, ends=False)
    while not page.sound.any() or page.now < page.first_sound() + 0.7:
        page.quiet(0.02)
    double.tell({"type": "input_audio_buffer.speech_started"})
    until(lambda: waiting(page.brain, Cut))
    page.quiet(0.02)
    heard = page.cuts[0].heard
    assert heard == pytest.approx(0.7, abs=0.1)
    until(lambda: told(double, "conversation.item.truncate") and told(double, "response.cancel"))
    truncate = told(double, "conversation.item.truncate")
    assert [(t["item_id"], t["content_index"]) for t in truncate] == [("item_1", 0)]
    assert truncate[0]["audio_end_ms"] == pytest.approx(1000 * heard, abs=1)
    assert len(told(double, "response.cancel")) == 1
    count = len(page.of(Speech))
    double.speaks("item_1", WORDS, 1.0)  # what was on its way
    time.sleep(0.1)
    page.quiet(0.5)
    assert len(page.of(Speech)) == count and not page.call.speaking(page.now)
    double.speaks("item_2", WORDS, 1.0, response="resp_2")
    time.sleep(0.1)
    page.quiet(3.0)
    assert len(page.of(Speech)) > count and page.of(State)[-1].state == "listening"


def test_sound_that_comes_behind_the_users_first_word_is_not_heard(talk):
    double, page = talk
    said(double, page, ends=False)
    page.quiet(1.0)
    count = len(page.of(Speech))
    double.tell({"type": "input_audio_buffer.speech_started"})
    double.speaks("item_1", WORDS, 1.0)
    time.sleep(0.1)
    page.quiet(0.5)
    assert len(page.cuts) == 1 and len(page.of(Speech)) == count and not page.call.speaking(page.now)


def test_sound_between_the_cut_and_the_servers_answer_is_not_heard(talk):
    double, page = talk
    said(double, page, ends=False)
    page.quiet(1.0)
    page.brain.cut(0.3)
    until(lambda: told(double, "response.cancel") and told(double, "conversation.item.truncate"))
    assert told(double, "conversation.item.truncate")[0]["audio_end_ms"] == 300
    double.tell({"type": "error", "error": {"code": "response_cancel_not_active", "message": "no active response"}})
    time.sleep(0.05)
    page.quiet(0.1)
    assert not page.of(Trouble)


def test_a_line_is_asked_for_after_the_one_before(talk):
    double, page = talk
    page.brain.say("One.")
    page.brain.say("Two.")
    until(lambda: told(double, "response.create"))
    said(double, page, seconds=0.4)
    until(lambda: len(told(double, "response.create")) == 2)
    asked = [event["response"]["instructions"] for event in told(double, "response.create")]
    assert [text[-4:] for text in asked] == ["One.", "Two."]


def test_a_line_that_is_cut_before_it_begins_is_not_said(talk):
    double, page = talk
    page.brain.say("One.")
    until(lambda: told(double, "response.create"))
    page.brain.cut(0.0)
    double.speaks("item_1", WORDS, 1.0)
    until(lambda: told(double, "response.cancel"))
    page.quiet(1.0)
    assert not page.of(Speech)


def test_an_error_of_the_server_is_one_line(talk):
    double, page = talk
    double.tell({"type": "error", "error": {"code": "x", "message": "the model\nis tired"}})
    double.tell({"type": "rate_limits.updated"}, {"no": "type"}, {"type": "response.created"})
    said(double, page)
    page.quiet(0.1)
    assert [event.text for event in page.of(Trouble)] == [f"{double.realtime}: the model is tired"]


def test_a_server_that_goes_away_is_told_once_and_comes_back(monkeypatch):
    monkeypatch.setattr(realtime_link, "WAITS", (0.1,))
    with Double() as double:
        brain = RealtimeBrain(double.realtime, greets=False)
        page = Page(stubs.Engine(), brain, stubs.Codec.channels)
        until(lambda: brain._link.ready)
        said(double, page, ends=False)
        page.quiet(0.5)
        double.go_away()
        until(lambda: not brain._link.ready)
        time.sleep(0.5)
        page.quiet(4.0)
        assert len(page.of(Trouble)) == 1 and "it is tried again" in page.of(Trouble)[0].text
        assert page.of(State)[-1].state == "listening" and not page.call.speaking(page.now)
        double.come_back()
        until(lambda: brain._link.ready)
        count = len(page.of(Speech))
        said(double, page, item="item_9")
        page.quiet(0.1)
        assert len(page.of(Speech)) > count and len(page.of(Trouble)) == 1
        brain.close()


def test_a_wrong_key_is_said_and_not_shown():
    with Double(key=KEY) as double:
        brain = RealtimeBrain(double.realtime, "sk-wrong")
        until(lambda: waiting(brain, Trouble))
        text = next(event.text for event in brain.events() if isinstance(event, Trouble))
        assert "answers 401, is the key right?" in text and "sk-wrong" not in text
        begun = time.monotonic()
        brain.close()
        assert time.monotonic() - begun < 2.0
        right = RealtimeBrain(double.realtime, KEY)
        until(lambda: told(double, "response.create"))  # it greets
        right.close()


def test_a_key_is_not_sent_in_the_clear():
    with pytest.raises(InputError, match="in the clear"):
        RealtimeBrain("ws://example.com/v1/realtime", KEY)


def test_nothing_waits_while_there_is_no_server():
    begun, events = time.monotonic(), []
    brain = RealtimeBrain("ws://127.0.0.1:9/v1/realtime")
    for n in range(50):
        brain.hear(np.zeros(320, np.float32), n * 0.02)
        events += brain.events()
    brain.say("Hello.")
    brain.cut(0.0)
    assert time.monotonic() - begun < 1.0
    until(lambda: events.extend(brain.events()) or any(isinstance(event, Trouble) for event in events))
    brain.close()
