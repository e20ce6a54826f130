import numpy as np
import pytest

from afjax.codec.face.channels import CHANNELS, channel
from afjax.metrics import event_auc, events
from afjax.metrics.table.values import EVENT_GROUPS


def clips(size, chance=1.0, n=24, frames=500, seed=0):
    """Motion with nods of a size 300 ms after events, each answered with this chance, and as noisy as trackers are."""
    rng = np.random.default_rng(seed)
    motion = rng.normal(0.0, 0.05, (n, frames, len(CHANNELS)))
    causes = [np.sort(rng.choice(np.arange(30, frames - 60, 70), 4, replace=False)) for _ in range(n)]
    for clip, frames_of in zip(motion, causes, strict=True):
        for frame in frames_of[rng.random(4) < chance]:
            k = np.arange(22)
            clip[frame + 7 : frame + 29, channel("pitch")] += size * np.hanning(22) * np.sin(2 * np.pi * k / 11)
    return motion, causes


def area(motion, causes, recorded, kind="nod"):
    bounds = event_auc.edges(recorded, kind)
    rows = [event_auc.histograms(clip, frames, kind, bounds) for clip, frames in zip(motion, causes, strict=True)]
    return float(event_auc.area(np.mean(rows, axis=0)[None])), np.array(rows)


def exact(motion, causes, kind="nod"):
    """The rank statistic of Mann and Whitney over all frames."""
    after, idle = [], []
    for clip, frames in zip(motion, causes, strict=True):
        strength = events.strength(clip, kind)
        seen, rest = events.causes(len(strength), frames)
        after, idle = after + strength[seen].tolist(), idle + strength[rest].tolist()
    above = np.subtract.outer(np.array(after), np.array(idle))
    return ((above > 0) + 0.5 * (above == 0)).mean()


def test_nods_too_small_for_the_detector_stand_out():
    """A tenth of a nod: no detector sees one, and the area is as good as the recorded one's."""
    recorded, causes = clips(3.0)
    motion, _ = clips(0.3)
    counts = np.array([events.event_counts(clip, frames, "nod") for clip, frames in zip(motion, causes, strict=True)])
    assert events.event_response({"nod": counts}) == 0.0
    assert area(motion, causes, recorded)[0] > 0.9 and area(recorded, causes, recorded)[0] > 0.98


@pytest.mark.parametrize("chance", [0.0, 0.4, 0.8])
def test_the_area_is_the_rank_statistic(chance):
    recorded, _ = clips(3.0, 0.7, seed=1)
    motion, causes = clips(3.0, chance)
    assert area(motion, causes, recorded)[0] == pytest.approx(exact(motion, causes), abs=0.01)


@pytest.mark.parametrize("times", [0.01, 3.0, 20.0])
def test_the_size_of_all_motion_does_not_matter(times):
    """Neither a stiff face nor one that exaggerates loses or gains."""
    recorded, causes = clips(3.0)
    motion, _ = clips(3.0, 0.7, seed=2)
    motion, causes = times * motion, clips(3.0, 0.7, seed=2)[1]
    assert area(motion, causes, recorded)[0] == pytest.approx(exact(motion, causes), abs=0.03)


def test_chance_is_one_half_and_a_still_face_has_it():
    recorded, _ = clips(3.0)
    motion, causes = clips(3.0, 0.0, n=60)
    assert area(motion, causes, recorded)[0] == pytest.approx(0.5, abs=0.06)
    assert area(np.zeros_like(motion), causes, recorded)[0] == 0.5


def test_kinds_together_are_weighed_by_their_events_and_those_without_any_are_left_out():
    recorded, causes = clips(3.0)
    first, rows = area(recorded, causes, recorded)
    second, others = area(recorded, [frames[:1] + 35 for frames in causes], recorded)
    pooled = float(event_auc.area(np.stack([rows.mean(0), others.mean(0)])))
    assert pooled == pytest.approx((4 * first + second) / 5)
    empty = np.stack([rows.mean(0), np.zeros_like(rows[0])])
    assert float(event_auc.area(empty)) == pytest.approx(first)
    assert np.isnan(event_auc.area(np.zeros((1, 1, 2, event_auc.BINS))))[0]
    assert set(EVENT_GROUPS) > set(events.EVENTS)
