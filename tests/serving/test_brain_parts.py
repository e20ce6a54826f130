"""Parts of brains that know words: sentences, turns, times of words, processes."""

import time

import numpy as np
import pytest

from afjax.audio.framing import RATE
from afjax.errors import InputError
from afjax.serving.brains.offline.speaker import sounds
from afjax.serving.brains.timing import aligned, spread
from afjax.serving.brains.words import Recorder, Splitter
from afjax.serving.brains.worker import Worker


def test_sentences_are_complete_when_the_next_begins():
    splitter = Splitter()
    assert splitter.add("Well. That is **3.5 ") == ["Well."]
    assert splitter.add("dollars**! “Really?” ") == ["That is 3.5 dollars!", "“Really?”"]
    assert splitter.add("- a\n- b") == ["- a"] and splitter.rest() == ["- b"] and splitter.rest() == []


def test_the_recorder_gives_a_turn_by_its_times():
    recorder, ramp = Recorder(5.0), np.arange(10 * RATE, dtype=np.float32)
    feed_at = range(0, len(ramp), 320)
    for n in feed_at:
        recorder.add(ramp[n : n + 320], 3.0 + n / RATE)
    np.testing.assert_array_equal(recorder.between(11.0, 12.01), ramp[8 * RATE : int(9.01 * RATE)])
    assert len(recorder.between(0.0, 100.0)) == pytest.approx(5 * RATE, abs=640)


def test_words_are_laid_on_the_phonemes_of_the_sentence():
    sentence = [(letter, 0.1 * n, 0.1 * n + 0.1) for n, letter in enumerate("ðiæplzn")]
    times = aligned(["The", "apple", "is", "–", "in"], ["ðə", "æpl", "ɪz", "", "ɪn"], sentence)
    assert [word for word, _, _ in times] == ["The", "apple", "is", "–", "in"]
    np.testing.assert_allclose([t[1:] for t in times], [(0, 0.2), (0.2, 0.5), (0.5, 0.6), (0.6, 0.6), (0.6, 0.7)])


def test_words_without_times_are_spread_over_the_loud_parts():
    sound = np.concatenate([np.zeros(RATE), np.ones(RATE), np.zeros(RATE), np.ones(RATE)]).astype(np.float32)
    (_, a, b), (_, c, d) = spread(["abc", "def"], sound, RATE)
    assert (a, b, c, d) == pytest.approx((1.0, 2.0, 3.0, 4.0), abs=0.02)
    assert spread(["a"], np.zeros(0, np.float32), RATE) == [("a", 0.0, 0.0)]


def test_a_blank_belongs_to_the_next_word_unless_there_is_a_pause():
    symbols = [("^", 5), ("a", 10), ("ː", 3), (" ", 2), ("b", 10), (",", 20), (" ", 4), ("ˈ", 1), ("c", 10), (".", 9)]
    assert sounds(symbols, 100) == [["a", 105, 118], ["b", 118, 130], ["c", 155, 165]]


@pytest.fixture
def worker():
    made = Worker("tests.serving.toy_worker", "toy", patience=1.0, do="look")
    yield made
    made.close()


def test_a_worker_answers_and_what_it_prints_is_not_in_the_way(worker):
    data = bytes(range(256)) * 4000  # more than a pipe holds
    reply, double = worker.ask({"n": 1}, data)
    assert double == data * 2
    with pytest.raises(InputError, match="toy: this is wrong; look"):
        worker.ask({"do": "fail"})
    assert worker.ask({})[0]["pid"] == reply["pid"]


def test_a_worker_is_given_no_keys(worker, monkeypatch):
    monkeypatch.setenv("AFJAX_REPLY_KEY", "sk")
    monkeypatch.setenv("AFJAX_TEST", "yes")
    names = worker.ask({})[0]["names"]
    assert "AFJAX_TEST" in names and "AFJAX_REPLY_KEY" not in names


@pytest.mark.parametrize(("do", "what"), [("hang", "does not answer"), ("die", "ended")])
def test_a_worker_that_is_gone_is_started_again(worker, do, what):
    before = worker.ask({})[0]["pid"]
    begun = time.monotonic()
    with pytest.raises(InputError, match=f"toy: the process {what}"):
        worker.ask({"do": do})
    assert time.monotonic() - begun < 5.0
    assert worker.ask({}, b"ab")[1] == b"abab" and worker.ask({})[0]["pid"] != before


def test_a_worker_that_cannot_begin_is_one_line():
    with pytest.raises(InputError, match="toy: the process ended"):
        Worker("tests.serving.no_such_worker", "toy").ask({})
