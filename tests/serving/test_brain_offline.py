"""The offline brain with its real packages: a spoken question gets a spoken answer, its captions are in time.

All of it is slow, and skipped without the packages of requirements-brain.txt.
"""

import numpy as np
import pytest

from afjax.audio.feature_extractors import MelFeatures
from afjax.audio.resampling import Resampler
from afjax.config.dicts import from_dict
from afjax.normalizer import Normalizer
from afjax.serving.brain import Heard, Speech, Trouble
from afjax.serving.brains.endpoints import Chat
from afjax.serving.brains.offline.parts import PiperVoice, SmallModel, Whisper, missing
from afjax.serving.brains.vad import Ear
from afjax.serving.brains.voice import EspeakVoice
from afjax.serving.brains.words import WordsBrain
from afjax.streaming.engine import Engine
from afjax.streaming.live_step import LiveParams
from experiments.configs import smoke
from tests.serving.brain_page import Page, Stopwatch
from tests.small_model import scrambled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
QUESTION = "What is the capital of France?"


def at_16k(spoken) -> np.ndarray:
    resample = Resampler(spoken.rate)
    return np.concatenate([resample(spoken.samples), resample.flush()])


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
    """The model of the smoke preset, with random weights."""
    config = from_dict(smoke.get_config().to_dict())
    features = MelFeatures()
    sizes = (config.model.motion_dim, 0), (config.model.motion_dim, 1), (features.dim, 0), (features.dim, 1)
    numbers = [np.full(n, value, np.float32) for n, value in sizes]
    params = LiveParams.of(scrambled(config, 0.1), features.params, Normalizer(*numbers))
    return Engine(config, params, features)


@pytest.fixture(scope="module")
def question():
    pytest.importorskip("espeakng_loader")
    voice = EspeakVoice("Martin")
    said = voice.say(QUESTION)
    voice.close()
    return at_16k(said)


def test_a_spoken_question_gets_a_spoken_answer(parts, engine, question):
    whisper, model, voice = parts
    times = []
    timed = [Stopwatch(part, times) for part in (whisper, voice)]
    settings = {**SmallModel.SETTINGS, "temperature": 0.0}
    chat = Chat(model.endpoint, "", greeting="", settings=settings)
    brain = WordsBrain(Ear(), timed[0], chat, timed[1], threads=False)
    page = Page(engine, brain)
    page.quiet(1.0)
    page.live(question)
    ended = page.now
    answered = page.until(Speech)
    page.quiet(8.0)
    assert not page.of(Trouble)
    heard = " ".join(page.of(Heard)[0].words)
    assert "capital of france" in heard.lower()
    said = " ".join(word for word, _, _ in page.captions)
    assert "Paris" in said, said
    recognised = " ".join(whisper.words(page.sound))
    print(f"heard {heard!r}, said {said!r}, recognised {recognised!r}, times {times}")
    print(f"virtual: end of question {ended:.2f}, decided {answered:.2f}, first sound {page.first_sound():.2f}")
    assert "paris" in recognised.lower()
    engine.leave(page.call.slot)
