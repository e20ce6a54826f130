"""Conversations as bytes, records and metadata: what comes back, and what is refused."""

import io
import json
from dataclasses import fields, replace

import numpy as np
import pytest

from afjax import files
from afjax.errors import InputError
from data_pipeline import records, schema
from data_pipeline.schema import Conversation

T, D, F = 80, 15, 100


def same(a, b):
    return all(np.array_equal(getattr(a, field.name), getattr(b, field.name)) for field in fields(Conversation))


@pytest.mark.parametrize("evaluation", [True, False])
def test_a_conversation_comes_back_from_its_bytes(clip, evaluation):
    before = clip(evaluation=evaluation)
    assert same(before, schema.decode(schema.encode(before)))


def test_broken_and_hostile_bytes_are_refused(clip):
    good = schema.encode(clip())
    objects = io.BytesIO()
    np.savez(objects, meta=np.array([{"seed": 1}], dtype=object))
    for bad in (b"", b"no zip", good[: len(good) // 2], objects.getvalue()):
        with pytest.raises(InputError):
            schema.decode(bad)


@pytest.mark.parametrize(
    "change",
    [
        {"user_motion": np.zeros((T + 1, D), np.float32)},
        {"avatar_motion": np.zeros((T, D))},
        {"user_features": np.full((T, F), np.nan, np.float16)},
        {"event_kind": np.array([0, 99], np.int32)},
        {"event_frame": np.array([3, T], np.int32)},
        {"user_wave": np.zeros(5, np.int16)},
    ],
)
def test_wrong_arrays_are_refused(clip, change):
    with pytest.raises(InputError):
        replace(clip(), **change)


def test_records_and_metadata_come_back(tmp_path, clip, save):
    clips = [clip(seed) for seed in range(3)]
    metadata = save(tmp_path, clips)
    assert all(map(same, clips, records.read_split(tmp_path, "train")))
    back = records.read_metadata(tmp_path)
    assert (back.channels, back.splits, back.feature_dim) == (metadata.channels, metadata.splits, F)
    np.testing.assert_array_equal(back.normalizer.audio_std, np.ones(F))


@pytest.mark.parametrize(
    "name, values, message",
    [
        ("motion_std", [0.0] * D, "above 0"),
        ("motion_mean", [float("nan")] * D, "not finite"),
        ("audio_mean", [0.0] * (F - 1), "shape"),
        ("audio_std", "many", "no list"),
        ("motion_mean", [0.5] * D, "hash"),
    ],
)
def test_broken_statistics_are_refused(tmp_path, clip, save, name, values, message):
    save(tmp_path, [clip()])
    path = tmp_path / records.METADATA
    stored = json.loads(path.read_text())
    stored["statistics"][name] = values
    path.write_text(json.dumps(stored))
    with pytest.raises(InputError, match=message):
        records.read_metadata(tmp_path)


def test_a_missing_data_set_is_one_line(tmp_path):
    with pytest.raises(InputError, match="no data set here"):
        records.read_metadata(tmp_path)
    with pytest.raises(InputError, match="no such split"):
        next(records.read_split(tmp_path, "train"))
    for broken in (b"text", bytes(range(256)) * 600):
        (tmp_path / "train.array_record").write_bytes(broken)
        with pytest.raises(InputError, match="ArrayRecord"):
            list(records.read_split(tmp_path, "train"))


def test_a_failed_build_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), files.folder_aside(tmp_path / "set") as folder:
        (folder / "half").write_text("")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="exists"), files.folder_aside(tmp_path / "taken"):
        pass


def test_moments_are_those_of_all_rows():
    rows = np.random.default_rng(0).normal(3.0, 2.0, (500, 4))
    rows[:, 3] = 7.0
    moments = records.Moments()
    for part in np.split(rows, 5):
        moments.add(part)
    mean, std = moments.result()
    np.testing.assert_allclose(mean, rows.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(std, [*rows[:, :3].std(axis=0), 1.0], rtol=1e-6)
