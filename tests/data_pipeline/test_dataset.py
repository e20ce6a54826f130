"""Windows and batches: shapes, scaling, order and resuming."""

import hashlib
import json

import numpy as np
import pytest

from afjax.errors import InputError
from data_pipeline import records
from data_pipeline.dataset import batches
from data_pipeline.windows import RandomWindow, scale


@pytest.fixture(scope="module")
def folder(tmp_path_factory, clip, save):
    made = tmp_path_factory.mktemp("set")
    save(made, [clip(seed, evaluation=False) for seed in range(7)])
    return made


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def equal(a, b):
    return all(np.array_equal(a[name], b[name]) for name in a) and a.keys() == b.keys()


def test_batches_are_windows_of_the_clips(folder, clip):
    batch = next(batches(folder, batch=4, frames=20))
    for name, width in (("avatar_motion", 15), ("user_motion", 15), ("avatar_audio", 100), ("user_audio", 100)):
        assert batch[name].shape == (4, 20, width) and batch[name].dtype == np.float32
    clips = [clip(seed, evaluation=False) for seed in range(7)]
    for row in range(4):
        found = [
            (source, start)
            for source in clips
            for start in range(61)
            if np.array_equal(source.avatar_motion[start : start + 20], batch["avatar_motion"][row])
        ]
        assert len(found) == 1, "every window is cut from one clip"
        source, start = found[0]
        np.testing.assert_array_equal(batch["user_motion"][row], source.user_motion[start : start + 20])
        np.testing.assert_array_equal(batch["user_audio"][row], source.user_features[start : start + 20])


def test_an_epoch_visits_every_clip_once(folder, clip):
    firsts = [clip(seed, evaluation=False).avatar_motion.tobytes() for seed in range(7)]
    seen = [batch["avatar_motion"][0].tobytes() for batch in take(batches(folder, batch=1, frames=80), 14)]
    assert sorted(seen[:7]) == sorted(seen[7:]) == sorted(firsts)
    assert seen[:7] != seen[7:]


def test_the_seed_decides_and_a_state_continues(folder):
    first, second, other = (batches(folder, batch=4, frames=20, seed=seed) for seed in (3, 3, 4))
    straight = take(first, 8)
    assert all(map(equal, straight, take(second, 8)))
    assert not equal(straight[0], next(other))
    iterator = batches(folder, batch=4, frames=20, seed=3)
    take(iterator, 5)
    state = iterator.get_state()
    resumed = batches(folder, batch=4, frames=20, seed=3)
    resumed.set_state(state)
    assert all(map(equal, straight[5:], take(resumed, 3)))


def test_windows_are_named_by_what_they_were_cut_from(folder, clip):
    iterator, digest = batches(folder, batch=4, frames=20), ""
    assert iterator.sha256 == ""
    for batch in (next(iterator) for _ in range(3)):
        digest = hashlib.sha256((digest + "\n".join(iterator.windows)).encode()).hexdigest()
        assert iterator.sha256 == digest
        for window, motion in zip(iterator.windows, batch["avatar_motion"], strict=True):
            record, start = window.removeprefix("train-").split("@")
            source = clip(int(record), evaluation=False).avatar_motion[int(start) : int(start) + 20]
            np.testing.assert_array_equal(motion, source)
    resumed = batches(folder, batch=4, frames=20)
    resumed.set_state(json.loads(json.dumps(iterator.get_state())))
    next(iterator), next(resumed)
    assert resumed.sha256 == iterator.sha256 and resumed.windows == iterator.windows


def test_scaling_is_by_the_stored_statistics(clip):
    source = clip(evaluation=False)
    mean, std = np.full(15, 2.0, np.float32), np.full(15, 4.0, np.float32)
    statistics = records.Statistics(mean, std, np.full(100, 0.5, np.float32), np.full(100, 0.25, np.float32))
    scaled = scale(source, statistics)
    np.testing.assert_allclose(scaled["avatar_motion"] * 4.0 + 2.0, source.avatar_motion, atol=1e-6)
    np.testing.assert_allclose(scaled["user_audio"] * 0.25 + 0.5, source.user_features, atol=1e-3)


def test_windows_reach_both_ends(clip, save, folder):
    element = scale(clip(evaluation=False), records.read_metadata(folder).statistics)
    rng = np.random.default_rng(0)
    windows = [RandomWindow(78).random_map(element | {"window": "x"}, rng)["avatar_motion"] for _ in range(50)]
    starts = {int(np.flatnonzero((element["avatar_motion"] == window[0]).all(axis=1))[0]) for window in windows}
    assert starts == {0, 1, 2}


def test_windows_longer_than_clips_are_refused(folder):
    with pytest.raises(InputError, match="windows of 81 frames"):
        batches(folder, frames=81)


def test_the_user_comes_late(folder, clip):
    statistics = records.read_metadata(folder).statistics
    element = scale(clip(evaluation=False), statistics)
    late = scale(clip(evaluation=False), statistics, user_delay=3)
    for name, rest in (("user_motion", statistics.scale_motion(0.0)), ("user_audio", statistics.scale_audio(0.0))):
        np.testing.assert_array_equal(late[name][3:], element[name][:-3])
        np.testing.assert_array_equal(late[name][:3], np.tile(rest, (3, 1)))
    np.testing.assert_array_equal(late["avatar_motion"], element["avatar_motion"])
    np.testing.assert_array_equal(late["avatar_audio"], element["avatar_audio"])
