"""Event response: known answers."""

import numpy as np
import pytest

from afjax.codec.face.channels import CHANNELS, channel
from afjax.metrics import events
from data_pipeline.schema import EVENT_KINDS

FRAMES = 600
CAUSES = np.arange(60, 540, 90)


def reaction(kind, onset):
    """One reaction of twice the detector's threshold, a flank of 5 frames (or 2 periods of a nod)."""
    detector = events.EVENTS[kind]
    motion = np.zeros((FRAMES, len(CHANNELS)))
    t = np.arange(FRAMES) - onset
    if detector.shape == "nod":
        wave = np.where((t >= 0) & (t < 22), np.sin(2 * np.pi * t / 11), 0.0)
    else:
        wave = np.clip(t / 5, 0, 1) * (t < 20) * (-1.0 if detector.shape == "fall" else 1.0)
    motion[:, channel(detector.channel)] = 2.5 * detector.threshold * wave
    return motion


def response(motions, causes, kind):
    counts = [events.event_counts(motion, frames, kind) for motion, frames in zip(motions, causes, strict=True)]
    return float(events.event_response({kind: np.array(counts)}))


def test_table_names_what_the_simulator_stores():
    assert tuple(events.EVENTS) == EVENT_KINDS
    assert set(events.VOICE_ONLY) < set(EVENT_KINDS)


@pytest.mark.parametrize("kind", EVENT_KINDS)
def test_perfect_reactor_scores_one_and_a_still_face_zero(kind):
    motion = sum(reaction(kind, cause + 7) for cause in CAUSES)
    assert response([motion], [CAUSES], kind) == 1.0
    assert response([np.zeros_like(motion)], [CAUSES], kind) == 0.0


@pytest.mark.parametrize("kind", EVENT_KINDS)
def test_reactions_come_within_a_second_and_not_before(kind):
    motion = reaction(kind, 200)
    hit = np.flatnonzero(events.reacts(motion, kind))
    assert 170 <= hit.min() and hit.max() <= 216
    assert hit.max() - hit.min() >= 10


def test_half_of_the_events_answered_scores_a_half():
    causes = np.arange(60, 420, 60)
    motion = sum(reaction("nod", cause + 6) for cause in causes[::2])
    assert response([motion], [causes], "nod") == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["smile", "nod", "hum"])
def test_reacting_at_random_scores_nothing(kind):
    rng = np.random.default_rng(0)
    motions = [sum(reaction(kind, onset) for onset in rng.integers(0, FRAMES, 6)) for _ in range(200)]
    causes = [rng.integers(30, FRAMES - 30, 5) for _ in range(200)]
    assert abs(response(motions, causes, kind)) < 0.06


def test_a_slow_drift_is_no_nod_and_a_constant_changes_nothing():
    drift = np.zeros((FRAMES, len(CHANNELS)))
    drift[:, channel("pitch")] = 6.0 * np.sin(2 * np.pi * np.arange(FRAMES) / 80)
    assert not events.reacts(drift, "nod").any()
    nods = sum(reaction("nod", cause + 6) for cause in CAUSES)
    np.testing.assert_array_equal(events.reacts(nods + 5.0, "nod"), events.reacts(nods, "nod"))


def test_kinds_are_weighed_by_their_events_and_draws_pass_through():
    counts = {"hum": np.array([[3.0, 4.0, 0.0, 100.0]]), "rising_tone": np.array([[1.0, 1.0, 50.0, 100.0]])}
    assert events.event_response(counts) == pytest.approx((3.0 + 1.0 - 0.5) / 5.0)
    draws = {kind: np.stack([table, 2.0 * table, 0.0 * table]) for kind, table in counts.items()}
    np.testing.assert_allclose(events.event_response(draws), [0.7, 0.7, np.nan])


def test_events_too_near_the_end_do_not_count():
    motion = np.zeros((100, len(CHANNELS)))
    assert events.event_counts(motion, [10, 74, 75, 99], "smile").events == 2
    assert events.event_counts(motion[:20], [5], "smile").events == 0


def test_other_motion_is_refused():
    with pytest.raises(ValueError, match="motion must be"):
        events.reacts(np.zeros((100, 3)), "smile")
