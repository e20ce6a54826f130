"""Windows and batches: shapes, scaling, order and resuming."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from afjax.errors import InputError
from afjax.normalizer import Normalizer
from data_pipeline import records
from data_pipeline.dataset import batches, sources
from data_pipeline.windows import scale


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
    for name, width in (("avatar_motion", 15), ("user_motion", 15), ("avatar_features", 100), ("user_features", 100)):
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
        np.testing.assert_array_equal(batch["user_features"][row], source.user_features[start : start + 20])


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
    normalizer = Normalizer(mean, std, np.full(100, 0.5, np.float32), np.full(100, 0.25, np.float32))
    scaled = scale(source, normalizer)
    np.testing.assert_allclose(scaled["avatar_motion"] * 4.0 + 2.0, source.avatar_motion, atol=1e-6)
    np.testing.assert_allclose(scaled["user_features"] * 0.25 + 0.5, source.user_features, atol=1e-3)


def test_windows_reach_both_ends(folder):
    iterator, starts = batches(folder, batch=8, frames=78), set()
    for _ in range(6):
        next(iterator)
        starts |= {int(name.rpartition("@")[2]) for name in iterator.windows}
    assert starts == {0, 1, 2}


def test_windows_of_a_stream_s_features_begin_where_its_blocks_do(folder, clip, save, tmp_path):
    metadata = save(tmp_path, [clip(seed, evaluation=False) for seed in range(4)])
    described = {"name": "wav2vec2", "dim": 100, "window": 50, "block": 10}
    records.write_metadata(tmp_path, dataclasses.replace(metadata, features=described))
    iterator, starts = batches(tmp_path, batch=8, frames=55, user_delay=10, swap=0.5), set()
    for _ in range(8):
        next(iterator)
        starts |= {int(name.rpartition("@")[2].rstrip("s")) for name in iterator.windows}
    assert starts == {0, 10, 20}
    with pytest.raises(InputError, match="blocks of 10 frames, layout.user_delay is 5"):
        batches(tmp_path, batch=8, frames=20, user_delay=5)


def test_windows_longer_than_clips_are_refused(folder):
    with pytest.raises(InputError, match="windows of 81 frames"):
        batches(folder, frames=81)


def test_the_user_comes_late(folder, clip):
    normalizer = records.read_metadata(folder).normalizer
    element = scale(clip(evaluation=False), normalizer)
    late = scale(clip(evaluation=False), normalizer, user_delay=3)
    for name, rest in (("user_motion", normalizer.scale_motion(0.0)), ("user_features", normalizer.scale_audio(0.0))):
        np.testing.assert_array_equal(late[name][3:], element[name][:-3])
        np.testing.assert_array_equal(late[name][:3], np.tile(rest, (3, 1)))
    np.testing.assert_array_equal(late["avatar_motion"], element["avatar_motion"])
    np.testing.assert_array_equal(late["avatar_features"], element["avatar_features"])


def test_causes_have_ages_by_the_users_late_tracks(folder, clip):
    made = dataclasses.replace(
        clip(evaluation=False),
        event_kind=np.array([1, 0, 1, 1], np.int32), event_frame=np.array([60, 3, 40, 78], np.int32),
        event_responded=np.ones(4, bool), event_response=np.full(4, -1, np.int32),
    )  # fmt: skip
    age = scale(made, records.read_metadata(folder).normalizer, user_delay=3)["cause_age"]
    never, frames = np.full(80, np.inf), np.arange(80.0)
    np.testing.assert_array_equal(age[:, 0], np.where(frames < 6, never, frames - 6))
    np.testing.assert_array_equal(age[:, 1], np.select([frames < 43, frames < 63], [never, frames - 43], frames - 63))
    assert np.isinf(age[:, 2:]).all()


def test_recordings_name_no_causes_nor_does_a_user_who_was_the_avatar(folder, clip):
    fields = ("event_kind", "event_frame", "event_responded", "event_response")
    made = clip(evaluation=False)
    recorded = dataclasses.replace(made, **{name: getattr(made, name)[:0] for name in fields})
    assert np.isnan(scale(recorded, records.read_metadata(folder).normalizer)["cause_age"]).all()
    iterator = batches(folder, batch=8, frames=20, user_delay=3, swap=0.5)
    for unknown, name in zip(np.isnan(next(iterator)["cause_age"]), iterator.windows, strict=True):
        assert unknown.all() if name.endswith("s") else not unknown.any()


def test_roles_are_swapped_in_a_share_of_the_windows(folder, clip):
    """Each window comes from one place of one clip, in either role; with a delay the user is late in both.

    So is what the user did earlier.
    """
    d, n, e = 3, 20, 30
    sources = [clip(seed, evaluation=False) for seed in range(7)]
    rest = np.zeros((d, 15), np.float32)
    late = {
        False: [(c.avatar_motion, np.concatenate([rest, c.user_motion])) for c in sources],
        True: [(c.user_motion, np.concatenate([rest, c.avatar_motion])) for c in sources],
    }
    iterator = batches(folder, batch=8, frames=n, user_delay=d, swap=0.5, earlier=e)
    seen = []
    for _ in range(8):
        batch = next(iterator)
        for row, name in enumerate(iterator.windows):
            swapped = name.endswith("s")
            number = int(name.split("-")[1].split("@")[0])
            avatar, user = late[swapped][number]
            (start,) = (i for i in range(81 - n) if np.array_equal(avatar[i : i + n], batch["avatar_motion"][row]))
            np.testing.assert_array_equal(user[start : start + n], batch["user_motion"][row])
            unseen = np.full((e, 15), np.nan, np.float32)
            before = np.concatenate([unseen, user[d * swapped : start]])[-e:]
            np.testing.assert_array_equal(before, batch["earlier_user_motion"][row])
            voices = [sources[number].avatar_features, sources[number].user_features]
            heard = voices[swapped][start : start + n]
            np.testing.assert_array_equal(heard, batch["avatar_features"][row])
            seen.append(swapped)
    assert 0.25 < np.mean(seen) < 0.75


def test_each_part_of_a_batch_knows_the_names_of_the_whole(folder):
    whole, parts = (
        batches(folder, batch=4, frames=20),
        [batches(folder, batch=4, frames=20, part=(n, 2)) for n in (0, 1)],
    )
    place = None
    for _ in range(3):
        wanted, found = next(whole), [next(part) for part in parts]
        rows = np.concatenate([batch["avatar_motion"] for batch in found])
        np.testing.assert_array_equal(rows, wanted["avatar_motion"])
        assert all(part.windows == whole.windows and part.sha256 == whole.sha256 for part in parts)
        place = place or whole.get_state()
    parts[1].set_state(place)
    for _ in range(2):
        next(parts[1])
    assert parts[1].sha256 == whole.sha256


def test_roles_stay_where_the_user_s_face_at_rest_is_not_known(clip, save, tmp_path):
    save(tmp_path, [dataclasses.replace(clip(0, evaluation=False), avatar_reference=np.ones(15, np.float32))])
    with pytest.raises(InputError, match="roles stay"):
        batches(tmp_path, frames=20, swap=0.5)


def test_without_a_share_no_role_is_swapped_and_with_one_all_are(folder):
    for swap, ending in ((0.0, False), (1.0, True)):
        iterator = batches(folder, batch=16, frames=20, swap=swap)
        next(iterator)
        assert all(name.endswith("s") == ending for name in iterator.windows)


def test_data_sets_are_mixed_by_weight_and_scaled_by_the_first(folder, clip, save, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    metadata = save(other, [clip(seed, evaluation=False) for seed in (20, 21)])
    wide = dataclasses.replace(metadata.normalizer, motion_std=np.full(15, 9.0, np.float32))
    records.write_metadata(other, dataclasses.replace(metadata, normalizer=wide))

    def names(iterator, count):
        found = []
        for _ in range(count):
            next(iterator)
            found += iterator.windows
        return found

    def mixed():
        return batches([(folder, 3.0), (other, 1.0)], batch=8, frames=20)

    iterator = mixed()
    found = names(iterator, 2)
    place = iterator.get_state()
    found += names(iterator, 2)
    assert sum(name.startswith("2/") for name in found) == 8
    resumed = mixed()
    resumed.set_state(place)
    assert names(resumed, 2) == found[16:]
    iterator = mixed()
    batch = next(iterator)
    row = next(row for row, name in enumerate(iterator.windows) if name.startswith("2/"))
    number, start = map(int, iterator.windows[row].split("-")[1].split("@"))
    expected = clip(20 + number, evaluation=False).avatar_motion[start : start + 20]
    np.testing.assert_array_equal(batch["avatar_motion"][row], expected)


def test_data_sets_that_do_not_fit_together_are_refused(folder, clip, save, tmp_path):
    metadata = save(tmp_path, [clip(evaluation=False)])
    records.write_metadata(tmp_path, dataclasses.replace(metadata, features={"name": "wav2vec2", "dim": 100}))
    with pytest.raises(InputError, match="other channels or features"):
        batches([(folder, 1.0), (tmp_path, 1.0)], frames=20)
    with pytest.raises(InputError, match="losing samples belong to one data set"):
        batches([(folder, 1.0), (folder, 1.0)], frames=20, losing="x")


def test_long_clips_are_visited_in_proportion(clip, save, tmp_path):
    save(tmp_path, [clip(0, frames=60), clip(1, frames=190)])
    iterator = batches(tmp_path, batch=4, frames=60)
    for _ in range(3):
        next(iterator)
        assert sum(name.startswith("train-00001") for name in iterator.windows) == 3


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("out/a", [("out/a", 1.0)]),
        ("out/a,b", [("out/a", 1.0), ("b", 1.0)]),
        ("/x/a:3,b:0.5", [("/x/a", 3.0), ("b", 0.5)]),
        ("gs://bucket/a", [("gs://bucket/a", 1.0)]),
    ],
)
def test_paths_name_data_sets_and_weights(path, found):
    assert sources(path) == found


@pytest.mark.parametrize("path", ["a,,b", "a:0", ",a"])
def test_bad_paths_are_refused(path):
    with pytest.raises(InputError, match="empty name or a weight of 0"):
        sources(path)


@pytest.mark.parametrize("name", ["set:2024", "a, b", "sets:3,", "~"])
def test_a_folder_s_own_name_is_no_list(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / ("home" if name == "~" else name)).mkdir()
    assert sources(name) == [(name, 1.0)]


def test_an_exchanged_window_has_the_user_s_face_at_rest(clip, save, tmp_path):
    rests = {"avatar_reference": np.full(15, 1, np.float32), "user_reference": np.full(15, 2, np.float32)}
    save(tmp_path, [dataclasses.replace(clip(0, evaluation=False), **rests)])
    for swap, rest in ((0.0, 1), (1.0, 2)):
        np.testing.assert_array_equal(next(batches(tmp_path, batch=1, frames=20, swap=swap))["reference_motion"], rest)
