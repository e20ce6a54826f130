"""Event slope: known answers."""

import numpy as np
import pytest

from afjax.codec.face.channels import CHANNELS, channel
from afjax.metrics import bootstrap, event_slope
from afjax.metrics.events import EVENTS

FRAMES = 500
CAUSES = [np.arange(40 + 3 * clip, 450, 60) for clip in range(12)]
"""Frames of the events of each clip."""


def answers(kind, size=1.0, late=6, noise=0.0, seed=0):
    """Clips `[12, t, d]`: a smooth bump (of a nod: 1.5 periods) so many frames after every event."""
    motion = noise * np.random.default_rng(seed).standard_normal((len(CAUSES), FRAMES, len(CHANNELS)))
    t = np.arange(16)
    shape = np.sin(np.pi * (t + 0.5) / 16) * (np.sin(2 * np.pi * t / 11) if EVENTS[kind].shape == "nod" else 1.0)
    for clip, causes in enumerate(CAUSES):
        for cause in causes:
            motion[clip, cause + late : cause + late + 16, channel(EVENTS[kind].channel)] += size * shape
    return motion


def pairs(ours, theirs, kind, causes=CAUSES):
    values = [
        event_slope.pair([event_slope.sums(a, e, kind)], [event_slope.sums(b, own, kind)])
        for a, b, e, own in zip(ours, theirs, causes, CAUSES, strict=True)
    ]
    return np.array(values)


def figures(*args, **kwargs):
    means = pairs(*args, **kwargs).mean(axis=0)
    return float(event_slope.slope(means)), float(event_slope.correlation(means))


@pytest.mark.parametrize("kind", EVENTS)
def test_half_the_size_gives_a_half_and_no_answer_nothing(kind):
    recorded = answers(kind)
    assert figures(recorded, recorded, kind) == pytest.approx((1.0, 1.0))
    assert figures(0.5 * recorded + 7.0, recorded, kind) == pytest.approx((0.5, 1.0))
    assert figures(-recorded, recorded, kind) == pytest.approx((-1.0, -1.0))
    assert figures(0.0 * recorded + 3.3, recorded, kind) == (0.0, 0.0)


def test_a_late_answer_scores_less():
    slopes = [figures(answers("smile", late=late), answers("smile"), "smile")[0] for late in (6, 9, 14, 20)]
    assert slopes[0] == pytest.approx(1.0) and slopes[0] > slopes[1] > slopes[2] > slopes[3]


def test_shuffled_pairs_score_nothing():
    rng = np.random.default_rng(1)
    causes = [rng.integers(5, FRAMES - 26, 200) for _ in CAUSES]
    slope, corr = figures(answers("smile", noise=0.1), answers("smile", noise=0.1), "smile", causes=causes)
    assert abs(slope) < 0.1


def test_intervals_over_clips_cover_what_was_put_in():
    covered = []
    for seed in range(40):
        values = pairs(answers("nod", 0.5, noise=0.5, seed=seed), answers("nod"), "nod")
        found = bootstrap.interval(values, 0, event_slope.slope, resamples=300)
        covered.append(found["low"] < 0.5 < found["high"])
        assert 0.03 < found["high"] - found["low"] < 0.5 and found["n"] == len(CAUSES)
    assert np.mean(covered) >= 0.8


def test_only_events_with_a_second_after_them_and_five_frames_before_count():
    track = np.arange(100.0)
    assert event_slope.around(track, [4, 5, 74, 75, 99])[-1] == 2
    np.testing.assert_array_equal(event_slope.around(track, [10])[:-1], np.arange(5.0, 36.0))
    np.testing.assert_array_equal(event_slope.around(track[:20], [10]), np.zeros(32))


def test_kinds_weigh_by_their_recorded_answers_in_units_of_their_channels():
    """Smiles answered by half and brows not at all; both recorded answers are equally large in their scales."""
    recorded = [answers("smile"), answers("surprise", size=10.0)]
    model = [0.5 * recorded[0], 0.0 * recorded[1]]
    values = [
        event_slope.pair(
            *(
                [
                    event_slope.sums(side[0][clip], CAUSES[clip], "smile"),
                    event_slope.sums(side[1][clip], CAUSES[clip], "surprise"),
                ]
                for side in (model, recorded)
            ),
            scale=[1.0, 10.0],
        )
        for clip in range(len(CAUSES))
    ]
    assert event_slope.slope(np.mean(values, axis=0)) == pytest.approx(0.25)


def test_kinds_that_never_happen_are_undefined_alone_and_left_out_of_others():
    recorded = answers("smile")
    values = pairs(recorded, recorded, "smile")
    none = np.zeros_like(values)
    assert np.isnan(event_slope.slope(none.mean(axis=0))) and np.isnan(event_slope.correlation(none.mean(axis=0)))
    assert event_slope.slope(np.concatenate([0.5 * values, none], axis=2).mean(axis=0)) == pytest.approx(1.0)
