"""The offline brain with its real packages: a spoken question gets a spoken answer, its captions are in time.

All of it is slow, and skipped without the packages of requirements-brain.txt. How long an answer takes is measured by
`tests.serving.brain_rehearsal`.
"""

import re

import numpy as np
import pytest

from afjax.audio.framing import FPS, RATE
from afjax.serving.brain import Speech, Trouble, UserTranscript
from afjax.serving.brains.endpoints import Chat
from afjax.serving.brains.offline.parts import PiperVoice, SmallModel, Whisper, missing
from afjax.serving.brains.scripted import ScriptedBrain
from afjax.serving.brains.small_talk import OnlyListens
from afjax.serving.brains.timing import spread
from afjax.serving.brains.vad import TurnDetector
from afjax.serving.brains.voice import EspeakVoice
from afjax.serving.brains.words import WordsBrain
from tests.serving.brain_page import Page, at_16k, smoke_engine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
QUESTION = "What is the capital of France?"
SENTENCES = (
    "The capital of France is Paris, and it lies on the river.",
    "Hello, what would you like to talk about today?",
    "My favourite book is about a whale, a captain, and the sea.",
    "She sells fresh bread in the small shop behind the old church.",
    "We could meet tomorrow at noon if that is not too early for you.",
    "Please remember to bring your keys, your phone, and some water.",
    "Can you tell me a little more about your work?",
    "There are seven days in a week and twelve months in a year.",
)
CLOSE = 0.08
"""Seconds by which a caption may be off."""


@pytest.fixture(scope="module")
def parts():
    lacks = [package for name in ("recogniser", "speaker", "thinker") for package in missing(name)]
    if lacks:
        pytest.skip(f"no {', '.join(lacks)} (requirements-brain.txt)")
    made = Whisper(), SmallModel(), PiperVoice()
    yield made
    for part in made:
        part.close()


@pytest.fixture(scope="module")
def engine():
    return smoke_engine()


@pytest.fixture(scope="module")
def question(tmp_path_factory):
    """A WAV file of another voice than the avatar's."""
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("espeakng_loader")
    voice, file = EspeakVoice("Martin"), tmp_path_factory.mktemp("question") / "question.wav"
    said = voice.say(QUESTION)
    voice.close()
    soundfile.write(file, said.samples, said.rate)
    return at_16k(soundfile.read(file, dtype="float32")[0], said.rate)


def plain(text: str) -> list[str]:
    return re.sub(r"[^a-z' ]", "", text.lower()).split()


def test_a_spoken_question_gets_a_spoken_answer(parts, engine, question):
    whisper, model, voice = parts
    settings = {**SmallModel.SETTINGS, "temperature": 0.0}
    brain = WordsBrain(
        TurnDetector(), whisper, Chat(model.endpoint, "", greeting="", settings=settings), voice, threads=False
    )
    page = Page(engine, brain)
    page.quiet(1.0)
    page.live(question)
    page.until(Speech)
    page.quiet(8.0)
    assert not page.of(Trouble) and not page.call.speaking(page.now)
    assert plain(" ".join(page.of(UserTranscript)[0].words)) == plain(QUESTION)
    said = plain(" ".join(word for word, _, _ in page.captions))
    assert "paris" in said, said
    recognised = plain(" ".join(whisper.words(page.sound)))
    print(f"said {said}, recognised in what was played {recognised}")
    # the voice is never twice the same, and tiny.en misses a name now and then
    assert len(set(recognised) & set(said)) >= 0.6 * len(set(said)) and {"capital", "france"} & set(recognised)
    engine.leave(page.call.slot)


@pytest.fixture(scope="module")
def told(parts, engine):
    """(sentence, its sound as it was played, captions as (word, start s in it), times of words by letters alone)."""
    voice, found = parts[2], []
    for sentence in SENTENCES:
        brain = ScriptedBrain(TurnDetector(), OnlyListens(), voice, threads=False)
        page = Page(engine, brain)
        page.quiet(0.5)
        brain.say(sentence)
        page.quiet(6.0)
        speech = page.of(Speech)[0]
        seconds = len(speech.samples) / speech.rate
        begin = round(page.begun * RATE)
        sound = page.sound[begin : begin + round((seconds + 0.2) * RATE)]
        captions = [(word, first / FPS - page.begun) for word, first, _ in page.captions]
        letters = [start for _, start, _ in spread(sentence.split(), speech.samples, speech.rate)]
        assert [word for word, _ in captions] == sentence.split() and len(sound) == round((seconds + 0.2) * RATE)
        found.append((sentence, sound, captions, letters))
        engine.leave(page.call.slot)
    return found


def test_captions_agree_with_an_aligner_of_the_sound(told):
    """CMU's pocketsphinx lays the words on what was played: it knows nothing of the synthesiser."""
    sphinx, ours, letters = pytest.importorskip("pocketsphinx"), [], []
    for sentence, sound, captions, spreaded in told:
        decoder = sphinx.Decoder(bestpath=False, loglevel="FATAL", samprate=RATE)
        decoder.set_align_text(" ".join(plain(sentence)))
        decoder.start_utt()
        decoder.process_raw((np.clip(2 * sound, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        starts = [s.start_frame / 100 for s in decoder.seg() if s.word[0] != "<"]
        assert len(starts) == len(captions)
        ours += [at - start for (_, at), start in zip(captions, starts, strict=True)]
        letters += [at - start for at, start in zip(spreaded, starts, strict=True)]
    ours, letters = np.abs(ours), np.abs(letters)
    print(
        f"{len(ours)} words: median {np.median(ours):.3f} s, p95 {np.percentile(ours, 95):.3f}, most {ours.max():.3f}"
    )
    print(f"within 80 ms {np.mean(ours <= CLOSE):.3f}; spread by letters alone {np.mean(letters <= CLOSE):.3f}")
    assert np.mean(ours <= CLOSE) >= 0.95 and np.median(ours) <= 0.04
    assert np.mean(letters <= CLOSE) < 0.8, "the measure tells times that are made up from those of the voice"


def test_captions_after_a_pause_come_when_the_sound_begins_again(told):
    """The level alone, 30 dB below the loudest; the silence of a consonant's closure belongs to its word."""
    late = []
    for sentence, sound, captions, _ in told:
        level = 20 * np.log10(np.sqrt(np.mean(sound[: len(sound) // 80 * 80].reshape(-1, 80) ** 2, 1)) + 1e-6)
        for n, (_, at) in enumerate(captions):
            if n and sentence.split()[n - 1][-1] == ",":
                around = np.arange(max(0, round((at - 0.15) * 200)), round((at + 0.15) * 200))
                quiet = around[np.argmin(level[around])]
                late.append(at - (quiet + np.argmax(level[quiet:] > level.max() - 30)) / 200)
    print(f"{len(late)} pauses: {np.round(np.sort(late), 3)} s")
    assert len(late) >= 6 and np.mean(np.abs(late) <= CLOSE + 0.005) >= 0.8 and abs(np.median(late)) <= 0.04


def test_the_recogniser_hears_what_was_said(told, parts):
    """By tiny.en, whose own times of words lie late and apart (printed): it is no judge of 80 ms."""
    right, count, apart = 0, 0, []
    for sentence, sound, captions, _ in told:
        heard = parts[0].timed(sound)
        words = set(plain(sentence))
        right += len(words & set(plain(" ".join(word for word, _, _ in heard))))
        count += len(words)
        if len(heard) == len(captions):
            apart += [at - start for (_, at), (_, start, _) in zip(captions, heard, strict=True)]
    print(f"{right} of {count} words; captions less tiny.en's: {np.percentile(apart, [5, 50, 95]).round(3)} s")
    assert right >= 0.85 * count
