"""The buffers of one conversation, against known answers: what goes in comes out at its time, faults are mended."""

import io
import sys
from pathlib import Path
from subprocess import run

import numpy as np
import pytest

from afjax.errors import InputError
from afjax.streaming.session import Counts, Session

ROOT = Path(__file__).resolve().parents[2]
RATE, FRAME, FPS = 16_000, 640, 25
D = 3


def row(value: float) -> np.ndarray:
    return np.full(D, value, np.float32)


def tone(seconds: float, hertz: float = 200.0, rate: int = RATE) -> np.ndarray:
    return (0.8 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def drain(session: Session, blocks: int):
    """(avatar sound, user sound, user motion) of the next blocks, each taken when it ends on the clock."""
    taken = [session.take(0.0) for _ in range(blocks)]
    return [np.concatenate(track) for track in zip(*taken, strict=True)]


@pytest.mark.parametrize("delay", [0, 5, 7])
def test_input_comes_out_at_its_time(delay):
    """Block b reads the user's frames [bB - d, (b + 1)B - d): the tracks are d frames late, the speech is not."""
    session = Session(5, delay, D)
    ramp, speech = np.linspace(-1, 1, 20 * FRAME, dtype=np.float32), tone(0.8)
    for n in range(20):
        session.user_motion(row(n + 1), (n + 1) / FPS)
        session.user_sound(ramp[n * FRAME : (n + 1) * FRAME], RATE, n / FPS)
    session.say(speech, RATE)
    avatar, sound, motion = drain(session, 4)
    np.testing.assert_array_equal(avatar, speech)
    np.testing.assert_array_equal(sound, np.concatenate([np.zeros(delay * FRAME), ramp])[: 20 * FRAME])
    np.testing.assert_array_equal(motion[:, 0], np.concatenate([np.zeros(delay), np.arange(1, 21)])[:20])
    assert session.counts == Counts()


def test_a_block_is_due_when_its_user_frames_have_ended():
    session = Session(5, 0, D)
    assert not session.due(0.19) and session.due(0.2)
    session.take(0.2)
    assert not session.due(0.39) and session.due(0.4)
    assert Session(5, 5, D).due(0.0) and not Session(5, 5, D).due(-0.01)


def test_it_waits_for_sound_that_is_on_its_way_but_not_for_ever():
    session = Session(5, 0, D, patience=0.06)
    session.user_sound(tone(0.19), RATE, 0.0)
    assert not session.due(0.2) and not session.due(0.25) and session.due(0.26)
    session.user_sound(tone(0.02), RATE, 0.19)
    assert session.due(0.2)
    session.take(0.2)
    assert not session.due(0.4) and session.due(0.46)
    drain(session, 3)
    assert session.due(1.0)


def test_time_stamps_may_jitter():
    """Sound whose stamps wander by 7 ms is one piece; a row counts for the frame in which it came."""
    random = np.random.default_rng(0)
    session, wave, blocks = Session(5, 0, D), tone(4.0), 16
    stamps = np.sort(np.arange(0, 4, 1 / 31) + random.uniform(0, 0.02, 124))
    for n, at in enumerate(stamps):
        session.user_motion(row(n + 1), at)
    for n in range(200):
        session.user_sound(wave[n * 320 : (n + 1) * 320], RATE, n and n * 0.02 + random.uniform(-0.007, 0.007))
    _, sound, motion = drain(session, blocks)
    np.testing.assert_array_equal(sound, wave[: len(sound)])
    newest = np.searchsorted(stamps, (np.arange(5 * blocks) + 1) / FPS, side="right")
    np.testing.assert_array_equal(motion[:, 0], newest)
    assert session.counts == Counts(held=session.counts.held)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_sound_of_any_rate_is_not_shifted(rate):
    session = Session(5, 0, D)
    for first in range(0, rate, rate // 50):
        session.user_sound(tone(1.1, rate=rate)[first : first + rate // 50], rate, first / rate)
        session.say((tone(1.1, rate=rate)[first : first + rate // 50] * 32767).astype(np.int16), rate)
    avatar, sound, _ = drain(session, 4)
    np.testing.assert_allclose(sound[100:], tone(0.8)[100:], atol=2e-4)
    np.testing.assert_allclose(avatar[100:], tone(0.8)[100:], atol=3e-4)


def test_motion_is_held_then_fades_and_comes_back():
    session = Session(5, 0, D, rest=1.0)
    session.user_motion(row(11), 0.04)
    session.user_motion(None, 0.08)
    session.user_motion(row(11), 0.96 + 0.04)
    session.user_motion(row(11), 1.2)
    motion = drain(session, 6)[2][:, 0]
    np.testing.assert_array_equal(motion[:13], np.full(13, 11))
    np.testing.assert_allclose(motion[13:18], [9, 7, 5, 3, 1], atol=1e-5)
    np.testing.assert_array_equal(motion[18:24], np.full(6, 1))
    np.testing.assert_allclose(motion[24:30], [3, 5, 7, 9, 11, 11], atol=1e-5)
    assert (session.counts.held, session.counts.absent) == (12 + 4, 11)


def test_a_late_row_is_held():
    session = Session(5, 0, D)
    drain(session, 1)
    session.user_motion(row(2), 0.19)
    assert session.counts.late == 1
    np.testing.assert_allclose(drain(session, 1)[2][:, 0], [0.4, 0.8, 1.2, 1.6, 2.0], atol=1e-6)


def test_a_gap_is_silence_without_clicks():
    session, wave = Session(5, 0, D), tone(1.0, 201.5)
    session.user_sound(wave[:4000], RATE, 0.0)
    session.user_sound(wave[8000:], RATE, 0.5)
    sound = drain(session, 5)[1]
    np.testing.assert_array_equal(sound[:4000], wave[:4000])
    np.testing.assert_array_equal(sound[4080:8000], np.zeros(3920))
    np.testing.assert_array_equal(sound[8080:], wave[8080:])
    assert np.abs(np.diff(sound)).max() < np.abs(np.diff(wave)).max() + 1 / 80
    assert session.counts == Counts(silent=7, absent=25)


def test_a_resampled_piece_is_there_to_its_end():
    session, flat = Session(5, 0, D), np.full(4800, 0.5, np.float32)
    session.say(flat, 48_000)
    session.user_sound(flat, 48_000, 0.0)
    session.user_sound(flat, 48_000, 0.2)
    avatar, sound, _ = drain(session, 2)
    for track in (avatar, sound):
        np.testing.assert_allclose(track[50:1590], 0.5, atol=0.02)
        assert not track[1680:3200].any()


def test_what_came_already_is_not_heard_twice():
    session, wave = Session(5, 0, D), tone(1.0)
    session.user_sound(wave[:1600], RATE, 0.0)
    session.user_sound(wave[:1600], RATE, 0.0)
    session.user_sound(wave[800:1500], RATE, 0.05)
    session.user_sound(wave[800:3200], RATE, 0.06)
    session.user_sound(wave[:10], RATE, 0.01)
    session.user_motion(row(1), 0.1)
    session.user_motion(row(2), 0.1)
    session.user_motion(row(3), 0.05)
    _, sound, motion = drain(session, 1)
    np.testing.assert_array_equal(sound[:1600], wave[:1600])
    np.testing.assert_array_equal(sound[1690:3000], wave[1690 - 160 : 3000 - 160])
    assert motion[4, 0] == 1
    assert (session.counts.duplicate, session.counts.backwards) == (3, 2)


def test_late_sound_is_dropped_and_sound_without_stamps_heals():
    session, wave = Session(5, 0, D), tone(1.0)
    session.user_sound(wave[:1600], RATE)
    drain(session, 2)
    session.user_sound(wave[:1600], RATE, 0.1)
    assert session.counts.late == 1
    session.user_sound(wave[1600:], RATE)
    np.testing.assert_array_equal(drain(session, 1)[1][80:], wave[1680:4800])
    assert session.counts.late == 1


def test_what_lies_too_far_ahead_is_dropped():
    session = Session(5, 0, D)
    session.user_motion(row(1), 100.0)
    session.user_sound(tone(0.1), RATE, 100.0)
    session.user_sound(tone(10.0), RATE, 0.0)
    session.user_motion(row(1), 0.04)
    assert session.counts == Counts(overflow=3)
    first, motion = drain(session, 1)[1:]
    session.user_sound(-tone(0.1), RATE)
    sound = np.concatenate([first, drain(session, 27)[1]])
    np.testing.assert_array_equal(sound[:84_800], np.concatenate([tone(5.2), -tone(0.1)]))
    assert motion[0, 0] == 1 and not sound[84_880:].any()


def test_the_queue_of_speech_is_bounded():
    session = Session(5, 0, D)
    for _ in range(70):
        session.say(np.zeros(160_000, np.float32), RATE)
    assert session.counts == Counts(overflow=10) and len(session.speech.queue) == 4 * 600 * RATE


def test_interruption_is_silent_within_a_block():
    session, wave = Session(5, 5, D), tone(3.0, 440.6)
    session.say(wave, RATE)
    before, *_ = drain(session, 2)
    session.interrupt()
    after, *_ = drain(session, 2)
    np.testing.assert_array_equal(before, wave[:6400])
    assert not after[79:].any() and abs(after[0]) > 0.7
    assert np.abs(np.diff(np.concatenate([before, after]))).max() <= np.abs(np.diff(wave)).max()

    session.say(wave, RATE)
    before, *_ = drain(session, 1)
    session.interrupt()
    session.say(-wave[2000:], RATE)
    after, *_ = drain(session, 1)
    np.testing.assert_array_equal(after[80:], -wave[2080:5200])
    assert np.abs(np.diff(np.concatenate([before, after]))).max() < np.abs(np.diff(wave)).max() + 2 / 80


def test_speech_that_runs_out_dies_away():
    session, wave = Session(5, 0, D), tone(0.3, 441.2)
    session.say(wave[:3200], RATE)
    first = drain(session, 2)[0]
    session.say(wave[3200:], RATE)
    whole = np.concatenate([first, drain(session, 1)[0]])
    assert not whole[3280:6400].any()
    assert np.abs(np.diff(whole)).max() < np.abs(np.diff(wave)).max() + 1 / 80
    np.testing.assert_array_equal(whole[6480:8000], wave[3280:])


def test_falling_behind_moves_the_clock():
    """After 1 s without a take the next block reads the present; the speech goes on where it was."""
    session, wave, speech = Session(5, 0, D, patience=0.0), tone(4.0, 203.3), tone(2.0, 300)
    session.say(speech, RATE)
    for n in range(50):
        session.user_motion(row(n) if n < 31 else None, (n + 1) / FPS)
        session.user_sound(wave[n * FRAME : (n + 1) * FRAME], RATE, n / FPS)
    first, second = session.take(0.2), session.take(1.49)
    assert (session.counts.rebased, session.counts.skipped) == (1, 27)
    np.testing.assert_array_equal(np.concatenate([first.avatar_wave, second.avatar_wave]), speech[:6400])
    np.testing.assert_array_equal(second.user_motion[:, 0], np.full(5, 30))
    np.testing.assert_array_equal(second.user_wave[80:], wave[32 * FRAME + 80 : 37 * FRAME])
    assert abs(second.user_wave[0] - first.user_wave[-1]) < 0.03
    assert not session.due(1.67) and session.due(1.68)
    session.user_sound(wave[:FRAME], RATE, 3.0)
    session.take(1.88)
    assert session.counts.rebased == 1
    session.take(1e6)
    assert session.counts.rebased == 2 and session.due(1e6 + 0.2)


def test_a_restored_session_goes_on_to_the_bit():
    """A snapshot in the middle, through a file: the session and its double give the same blocks and counts."""
    random = np.random.default_rng(1)

    def feed(session, first, last):
        for n in range(first, last):
            session.user_sound(sounds[n], 44_100, n * 0.02 + 0.1 * (n > 70))
            session.user_motion(None if n % 50 > 30 else motions[n], n * 0.02)
            session.say(sounds[n], 24_000)

    sounds, motions = random.uniform(-1, 1, (120, 882)), random.normal(size=(120, D))
    session = Session(5, 3, D, rest=np.arange(D), patience=0.02)
    feed(session, 0, 60)
    drain(session, 3)
    session.interrupt()
    session.say(sounds[0], 48_000)
    file = io.BytesIO()
    np.savez(file, **session.snapshot())
    file.seek(0)
    double = Session.restore(np.load(file, allow_pickle=False))
    for one in (session, double):
        feed(one, 60, 120)
    for _ in range(12):
        for ours, theirs in zip(session.take(0.0), double.take(0.0), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert session.counts == double.counts != Counts()


def test_a_snapshot_does_not_change():
    session = Session(5, 0, D)
    session.say(tone(1.0), RATE)
    session.user_sound(tone(1.0), RATE, 0.0)
    snapshot = session.snapshot()
    taken = drain(session, 2)
    for _ in range(2):
        for ours, theirs in zip(taken, drain(Session.restore(snapshot), 2), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(InputError, match="not a snapshot"):
        Session.restore({"block": 5})


def test_sizes_are_checked():
    for wrong in ({"block": 0}, {"delay": -1}, {"channels": 0}, {"rest": np.zeros(2)}, {"rest": np.nan}):
        with pytest.raises(InputError):
            Session(**{"block": 5, "channels": D, **wrong})


def test_it_needs_numpy_only():
    code = "import sys, afjax.streaming.session; sys.exit(any(n in sys.modules for n in ('jax', 'soxr', 'av', 'flax')))"
    assert run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
