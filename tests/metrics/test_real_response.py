"""Real response: who answers as people do passes every bar, six who do not each fail the one that is meant for them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from afjax.metrics import real_response as rr

SEEDS, FRAMES, CLIPS = 16, 450, 4
SMILE = rr.CHANNELS.index("smile")
MOUTH = [rr.CHANNELS.index(name) for name in ("jaw_open", "mouth_width")]


def made_user(seed: int):
    """A user who talks, smiles and laughs: motion, frames of speech, what an eye would see."""
    rng = np.random.default_rng(seed)
    motion = gaussian_filter1d(rng.standard_normal((FRAMES, len(rr.CHANNELS))), 12, axis=0)
    motion *= 0.05 / motion.std(axis=0)
    first, second = 40 + rng.integers(0, 40), 280 + rng.integers(0, 60)
    spans = [(first, first + 45, "smile"), (second, second + 70, "laugh")]
    episodes = [rr.Episode(*span) for span in spans] + [rr.Episode(first + 75, second - 25, "talk")]
    smile = sum((0.1 if kind == "smile" else 0.2) * _box(a, b) for a, b, kind in spans)
    speech = _box(first + 70, second - 10) > 0
    sound = np.abs(gaussian_filter1d(rng.standard_normal(FRAMES), 2.0)) * 5 * speech * _phrases()
    motion[:, SMILE] = gaussian_filter1d(smile, 4.0) + 0.02 * (sound - gaussian_filter1d(sound, 5)) * speech
    motion[:, MOUTH] = 0.1 * sound[:, None]
    motion[:, rr.CHANNELS.index("blink")] = gaussian_filter1d((rng.random(FRAMES) < 0.02) * 4.0, 1.5)
    return motion, speech, sound, tuple(episodes)


def _box(start, end):
    return ((np.arange(FRAMES) >= start) & (np.arange(FRAMES) < end)).astype(float)


def _phrases():
    """Speech with pauses: 1.2 s of every 2 s."""
    return (np.arange(FRAMES) % 50 < 30).astype(float)


def moods(seed: int) -> np.ndarray:
    """Motion `[s, t, c]` of an avatar's own."""
    noise = np.random.default_rng(1000 + seed).standard_normal((SEEDS, FRAMES + 200, len(rr.CHANNELS)))
    own = gaussian_filter1d(noise, 15, axis=1)[:, 100:-100]
    return own * (0.045 / own.std())


def late(track, frames):
    return np.concatenate([np.repeat(track[:1], frames, axis=0), track[:-frames]])


def lagging(track, constant):
    """A first-order lag of so many frames along time."""
    keep = np.exp(-1 / constant)
    return lfilter([1 - keep], [1, -keep], track - track[:1], axis=0) + track[:1]


def answer(kind: str, user, sound):
    """What a dummy adds to its moods because of the user `[t, c]`, and what it adds without one."""
    here, alone = np.zeros_like(user), np.zeros_like(user)
    if kind == "oracle":
        here[:, SMILE] = 0.7 * lagging(late(user[:, SMILE], 6), 5)
    if kind == "copier":
        here = late(user, 10)
    if kind == "slow copier":
        here[:, SMILE] = lagging(late(user[:, SMILE], 10), 75)
    if kind == "constant smile":
        here[:, SMILE] = alone[:, SMILE] = 0.12
    if kind == "ramp":
        here[:, SMILE] = alone[:, SMILE] = np.linspace(0, 0.25, len(user))
    if kind == "smile at any sound":
        here[:, SMILE] = 0.12 * gaussian_filter1d((late(sound, 8) > 0.5).astype(float), 4)
    return here, alone


def clips(kind: str):
    made = []
    for seed in range(CLIPS):
        user, speech, sound, episodes = made_user(seed)
        here, alone = answer(kind, user, sound)
        own = moods(seed) * (kind != "copier")
        other = own[:, ::-1] if kind != "own moods" else own
        made.append(rr.Clip(f"clip {seed}", user, own + here, other + alone, speech, episodes))
    return made


@pytest.fixture(scope="module")
def found():
    names = ("oracle", "copier", "slow copier", "constant smile", "ramp", "smile at any sound", "own moods")
    return {name: rr.measure(clips(name)) for name in names}


def failed(measured):
    return {name for name, good in rr.verdicts(measured["figures"]).items() if not good}


def test_who_answers_as_people_do_passes_every_bar(found):
    assert not failed(found["oracle"]), found["oracle"]["figures"]


@pytest.mark.parametrize(
    ("kind", "bars"),
    [
        ("copier", {"fast_over_slow", "blink", "yaw", "jaw_open", "own"}),
        ("slow copier", {"episodes"}),
        ("constant smile", {"episodes", "smile_gain", "with_over_without"}),
        ("ramp", {"episodes", "smile_gain", "with_over_without"}),
        ("smile at any sound", {"calm", "episodes", "smile_gain"}),
        ("own moods", {"episodes", "smile_gain", "p", "own", "with_over_without"}),
    ],
)
def test_a_dummy_fails_the_bars_that_are_meant_for_it(found, kind, bars):
    assert bars <= failed(found[kind]), found[kind]["figures"]


@pytest.mark.parametrize("delay", [0, 3, 10, 20])
def test_no_delay_hides_a_frame_exact_copier_of_the_smile(delay):
    """Everything else is a person's: moods of its own, nothing else mirrored."""
    made = clips("own moods")
    for n, clip in enumerate(made):
        copied = clip.avatar.copy()
        copied[..., SMILE] += 0.7 * np.roll(clip.user[:, SMILE], delay)
        made[n] = replace(clip, avatar=copied)
    assert "fast_over_slow" in failed(rr.measure(made))


def test_gains_are_regression_slopes_and_their_null_turns_the_user_round():
    rng = np.random.default_rng(0)
    user, noise = rng.standard_normal((2, 260))
    np.testing.assert_allclose(rr.gain_terms(user, late(user, rr.LAG) * 0.4 + 3)[0] / rr.gain_terms(user, user)[1], 0.4)
    avatar, where = 0.4 * late(user, rr.LAG) + noise, rng.random(260) < 0.5
    top, square = rr.gain_terms(user, avatar, where)
    kept = np.flatnonzero(where[: -rr.LAG])
    np.testing.assert_allclose(top / square, np.polyfit(user[kept], avatar[kept + rr.LAG], 1)[0])
    turned = rr.circular_shift_terms(user, avatar)
    for shift in (0, 1, 100, 259):
        np.testing.assert_allclose(turned[shift], rr.gain_terms(np.roll(user, shift), avatar))


def test_a_clip_counts_as_much_as_its_user_moves(found):
    """The slope on a user who holds still would be noise over nothing."""
    made = clips("oracle")
    still = replace(made[0], name="still", user=made[0].user * 1e-4)
    a, b = (rr.gains(some, "smile")["raw"] for some in (made[1:], [*made[1:], still]))
    assert a == pytest.approx(b, abs=1e-4)


def test_an_answer_counts_from_200_ms_to_a_second_after(found):
    for frame, rises in ((3, False), (8, True), (24, True), (27, False)):
        step = (np.arange(60) >= 20 + frame) * 0.04
        assert (rr.rises(step, [20])[0] >= rr.RISE) == rises, frame


def test_what_cannot_be_measured_is_none(found):
    clip = clips("oracle")[0]
    short = clip.until(190)
    for none, some in (
        ({"episodes", "smile_gain", "calm", "talk_gain"}, [replace(clip, episodes=None)]),
        ({"p"}, [short]),
    ):
        figures = rr.measure(some)["figures"]
        assert none <= {name for name, good in rr.verdicts(figures).items() if good is None}
        assert all(each["low"] is None for each in figures.values()), "a clip has no interval"
    assert rr.measure([short, clips("oracle")[1]])["figures"]["p"]["mean"] < 0.05, "another's user is a null"
    with pytest.raises(ValueError, match="at least 2"):
        rr.measure([replace(clip, avatar=clip.avatar[:1])])


def test_clips_are_measured_without_their_last_four_seconds_too(found):
    """The answer to a laugh at the end does not carry the first smile's, and the table is JSON."""
    one = found["oracle"]["clips"]["clip 0"]
    cut = clips("oracle")[0].until(FRAMES - rr.LAST)
    assert one["without_last_4_s"]["smile"]["raw"] == pytest.approx(
        rr.gain_terms(*cut.pair("smile"))[0] / rr.gain_terms(*cut.pair("smile"))[1]
    )
    assert one["without_last_4_s"]["smile"]["raw"] != one["gains"]["smile"]["raw"]
    assert len(found["oracle"]["episodes"]) == 2 * CLIPS
