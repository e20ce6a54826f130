"""Quality numbers whose answer is known, and filters on them."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from afjax.audio.framing import FPS, FRAME
from afjax.codec.face.track.coefficients import GAIN, RAW, turned
from afjax.config.filters import NUMBERS, parse_filter
from afjax.config.training import DataConfig
from afjax.errors import InputError
from data_pipeline.recorded import quality, shots
from data_pipeline.recorded.histograms import EDGES, Histograms, quantile

SECONDS = 20


def voice(seed, spoken):
    """Noise in the frames that are spoken `[t]`."""
    rng = np.random.default_rng(seed)
    return 0.1 * rng.standard_normal(len(spoken) * FRAME) * np.repeat(spoken, FRAME)


def turns(first):
    """Frames `[t]` in which one of two speaks who take turns of two seconds."""
    return (np.arange(SECONDS * FPS) // (2 * FPS) % 2 == 0) == first


def room():
    """Thirty milliseconds of a room, delayed by twenty, of unit energy."""
    rng = np.random.default_rng(5)
    answer = np.r_[np.zeros(320), rng.standard_normal(480) * np.exp(-np.arange(480) / 120)]
    return answer / np.linalg.norm(answer)


@pytest.mark.parametrize("planted", [-10, -20, -35])
@pytest.mark.parametrize("far", [False, True])
def test_bleed_is_read_as_it_was_planted(planted, far):
    own, other = voice(0, turns(True)), voice(1, turns(False))
    heard = fftconvolve(other, room())[: len(other)] if far else other
    noise = 1e-4 * np.random.default_rng(2).standard_normal(len(own))
    found = quality.bleed(own + 10 ** (planted / 20) * heard + noise, other, turns(True), turns(False))
    assert found == pytest.approx(planted, abs=3 if far else 1)  # what a room delays beyond a piece is not seen


def test_bleed_below_both_voices_is_read_too():
    """One who never stops talking, while the other one does now and then."""
    always = np.ones(SECONDS * FPS, bool)
    own, other = voice(0, always), voice(1, turns(False))
    assert quality.bleed(own + 0.3 * other, other, always, turns(False)) == pytest.approx(-10.5, abs=1)
    assert quality.bleed(own, other, always, turns(False)) < -20


def test_no_bleed_is_little_and_a_silent_partner_says_nothing():
    own, other = voice(0, turns(True)), voice(1, turns(False))
    assert quality.bleed(own, other, turns(True), turns(False)) == quality.LEAST_BLEED
    room_noise = 0.003 * np.random.default_rng(3).standard_normal(len(own))
    assert quality.bleed(own + room_noise, other, turns(True), turns(False)) < -45
    assert quality.bleed(own, 0 * other, turns(True), np.zeros(SECONDS * FPS, bool)) is None


def test_a_blurred_face_is_less_sharp_and_what_is_around_it_does_not_count():
    rng = np.random.default_rng(0)
    face = gaussian_filter(rng.uniform(0, 255, (256, 256)), 1.0)
    picture = np.repeat(face[..., None], 3, axis=2).astype(np.uint8)
    values = [quality.sharpness(gaussian_filter(picture, (sigma, sigma, 0))) for sigma in (0, 1, 3)]
    assert values[0] > 2 * values[1] > 4 * values[2]
    around = picture.copy()
    around[:60], around[:, :60] = 0, 255
    assert quality.sharpness(around) == values[0]
    assert quality.sharpness(np.full((64, 64, 3), 80, np.uint8)) == 0
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 200  # L is +-400 in every pixel
    assert quality.sharpness(stripes) == pytest.approx(400**2, rel=1e-3)


def test_a_planted_lag_is_found():
    rng = np.random.default_rng(0)
    mouth, voices = np.zeros(SECONDS * FPS), gaussian_filter(rng.random(SECONDS * FPS), 2.0)
    for lag in (-6, 0, 9):
        mouth = np.roll(voices, lag) + 0.01 * rng.standard_normal(len(voices))
        found = quality.of_sync(mouth, voices)
        assert found["sync_lag"] == lag / FPS and found["sync_height"] > 5
    apart = quality.of_sync(gaussian_filter(rng.random(SECONDS * FPS), 2.0), voices)
    assert apart["sync_height"] < 5
    assert quality.of_sync(mouth[:100], voices[:100]) == {"sync_lag": None, "sync_height": None}
    assert quality.of_sync(0 * mouth, voices)["sync_height"] is None


def test_how_far_a_head_turns():
    raw = np.zeros((200, len(RAW)))
    raw[20:40, RAW.index("yaw")] = -20 / GAIN["yaw"]
    raw[:, RAW.index("pitch")] = 7 / GAIN["pitch"]
    raw[100, RAW.index("pitch")] = 80  # one frame in which the tracker errs
    found = turned(raw)
    assert found["yaw"] == pytest.approx(20) and found["pitch"] == pytest.approx(7)


def test_size_of_a_face_is_its_larger_side():
    survey = shots.Survey(50, 720, 1280, (), {n: (100, 100, 180, 200 + n) for n in range(0, 50, 5)})
    assert shots.face_size(survey, 0, 10) == 102.5
    assert shots.face_size(shots.Survey(50, 720, 1280, (), {}), 0, 10) is None


def test_a_stranger_is_told_from_the_person_s_median():
    rng = np.random.default_rng(0)
    ann, bob = rng.standard_normal((2, 128))
    people = quality.MedianDescriptors(max_clips=8)
    for n in range(40):
        people.add("ann", bob if n == 20 else ann + 0.1 * rng.standard_normal(128))
    people.add("ann", np.full(128, np.nan))
    median = people.medians()["ann"]
    assert quality.likeness(ann, median) > 0.99 and quality.likeness(bob, median) < 0.5
    assert quality.likeness(np.full(128, np.nan), median) is None and quality.likeness(ann, None) is None
    assert len(people._kept["ann"][1]) <= 8


def test_conditions_of_a_filter():
    both, one = parse_filter("face_size>64, avatar_bleed <= -20")
    assert both.columns == ("avatar_face_size", "user_face_size") and one.columns == ("avatar_bleed",)
    values = np.array([-30.0, -20.0, -10.0, np.nan])
    assert one.holds(values).tolist() == [True, True, False, True]
    assert not parse_filter("  ")


@pytest.mark.parametrize(
    "text, said",
    [
        ("face_size", "'face_size' is no condition"),
        ("face_size>64,", "'' is no condition"),
        ("face_sise>64", "did you mean face_size"),
        ("nose>1", "there are face_size, face_share"),
        ("avatar_>1", "there is no number 'avatar_'"),
        ("bleed<loud", "'loud' is no number"),
        ("bleed<nan", "'nan' is no number"),
        ("bleed==3", "'=3' is no number|is no condition"),
    ],
)
def test_a_faulty_filter_is_one_line(text, said):
    with pytest.raises(InputError, match=said) as caught:
        DataConfig(path="records", filter=text)
    assert "\n" not in str(caught.value)


def test_a_filter_needs_recorded_data():
    with pytest.raises(InputError, match="name data.path"):
        DataConfig(filter="bleed<-20")


def test_histograms_count_every_number_once_whatever_lies_outside():
    numbers, values = Histograms(), np.linspace(-80, 20, 9001)
    for value in values:
        numbers.add("a", {"avatar": {"bleed": value, "sync_lag": 0.2, "sync_height": 1.0}, "user": {"bleed": None}})
    numbers.add("b", {"user": {"bleed": -20.0, "sync_lag": 0.2, "sync_height": 9.0}})
    found = numbers.of("bleed")
    assert {source: counts.sum() for source, counts in found.items()} == {"a": 9001, "b": 1}
    assert found["a"][0] > found["a"][1] and found["b"][np.searchsorted(EDGES["bleed"], -20)] == 1
    assert list(numbers.of("sync_lag")) == ["b"] and not numbers.of("yaw")
    assert quantile(found["a"], "bleed", 0.5) == pytest.approx(-30, abs=1)
    assert set(EDGES) == set(NUMBERS)
