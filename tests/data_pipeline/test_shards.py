"""Conversations as raw arrays in files: read in place, equal to those of the older form, refused where damaged."""

import dataclasses
import os
import threading

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter
from safetensors.numpy import load_file

from afjax.errors import InputError
from afjax.weights.readers import tensors, write_safetensors
from data_pipeline import records, schema, shards
from data_pipeline.dataset import batches
from data_pipeline.shards import WIDE, open_split

LENGTHS = (80, 120, 200, 80, 160)
_EARLIER = {today: earlier for earlier, today in schema.EARLIER_ARRAYS.items()}


@pytest.fixture(scope="module")
def clips(clip):
    return [clip(seed, frames, evaluation=seed % 2 == 0) for seed, frames in enumerate(LENGTHS)]


@pytest.fixture
def folder(tmp_path, clips, save, monkeypatch):
    """Several files of a split: those with sound and an oracle are not with the others, and they fill up soon."""
    monkeypatch.setattr(shards, "SHARD", 200_000)
    save(tmp_path, clips)
    return tmp_path


def older(folder, clips, to):
    """The same data set as whole conversations in an ArrayRecord file, and its metadata as they were then."""
    to.mkdir()
    writer = ArrayRecordWriter(str(to / "train.array_record"), "group_size:1")
    for clip in clips:
        writer.write(schema.encode(clip))
    writer.close()
    (to / "metadata.json").write_text((folder / "metadata.json").read_text().replace('"version": 2', '"version": 1'))
    return to


def same(a, b):
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(schema.Conversation))


def test_conversations_come_back_whole_from_several_files(folder, clips):
    assert len(list(folder.glob("train-*-of-*.safetensors"))) == 5
    found = list(records.read_split(folder, "train"))
    assert all(map(same, clips, found)) and len(found) == len(clips)
    assert same(next(records.read_split(folder, "train", -2)), clips[-2])


def test_arrays_of_earlier_names_are_read(folder, clips):
    for path in folder.glob("train-*-of-*.safetensors"):
        write_safetensors(path, {_EARLIER.get(name, name): array for name, array in load_file(path).items()})
    assert not {"avatar_wave", "user_wave"} & set().union(*map(tensors, folder.glob("train-*.safetensors")))
    assert all(map(same, clips, records.read_split(folder, "train")))


@pytest.mark.parametrize("settings", [{}, {"user_delay": 7, "swap": 0.5}, {"user_delay": 3}, {"leave": 1}])
def test_a_data_set_of_the_older_form_gives_the_same_batches(folder, clips, settings):
    ours = batches(folder, batch=4, frames=20, seed=5, **settings)
    theirs = batches(older(folder, clips, folder / "older"), batch=4, frames=20, seed=5, **settings)
    for _ in range(6):
        for (name, one), other in zip(next(ours).items(), next(theirs).values(), strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)
    assert ours.sha256 == theirs.sha256


def test_a_window_reads_its_own_bytes(folder, monkeypatch):
    """Motion in four bytes, features in two, the events of its conversation; no sound, no oracle, nothing beside it."""
    split, read, before, own = open_split(folder, "train"), [], os.pread, threading.get_ident()

    def noted(*place):
        found = before(*place)
        read.append(found if threading.get_ident() == own else b"")  # other tests' batches read on
        return found

    monkeypatch.setattr(os, "pread", noted)
    split.piece(2, 30, 50)
    assert sum(map(len, read)) == 20 * 2 * (15 * 4 + 100 * 2) + 2 * 2 * 4


def test_stored_batches_are_scaled_as_the_others(folder):
    plain, stored = (batches(folder, batch=4, frames=20, stored=which) for which in (False, True))
    normalizer = records.read_metadata(folder).normalizer
    for _ in range(3):
        wanted, found = next(plain), next(stored)
        assert found["user_features"].dtype == np.float16
        for name, array in normalizer.scale(found).items():
            np.testing.assert_array_equal(array, wanted[name])


def test_files_that_are_missing_or_cut_short_are_refused(folder):
    second = folder / "train-00001-of-00005.safetensors"
    whole = second.read_bytes()
    second.write_bytes(whole[:-1])
    with pytest.raises(InputError, match="truncated"):
        open_split(folder, "train")
    second.unlink()
    with pytest.raises(InputError, match="4 files of the split 'train', 5 were written"):
        open_split(folder, "train")
    second.write_bytes(whole)
    split = open_split(folder, "train")
    second.write_bytes(whole[:4000])  # while a training reads it
    with pytest.raises(InputError, match="ends early"):
        split.piece(1, 0, 80)


def test_arrays_that_do_not_belong_together_are_refused(folder):
    from afjax.weights.readers import read, write_safetensors

    path = folder / "train-00002-of-00005.safetensors"
    arrays = dict(read(path))
    for change in ({"frames": arrays["frames"] + 1}, {"events": arrays["events"][:0]}, {"user_motion": np.zeros(0)}):
        write_safetensors(path, arrays | change)
        with pytest.raises(InputError, match="don't belong together"):
            open_split(folder, "train")
    del arrays["avatar_features"]
    write_safetensors(path, arrays)
    with pytest.raises(InputError, match="don't belong together"):
        open_split(folder, "train")


def test_a_split_replaces_the_one_before(folder, clips):
    records.write_split(folder, "train", map(schema.encode, clips[:1]))
    assert [path.name for path in folder.glob("train*")] == ["train-00000-of-00001.safetensors"]
    assert all(map(same, clips[:1], records.read_split(folder, "train")))
    records.write_split(folder, "eval", ())
    assert not list(records.read_split(folder, "eval"))


def test_latents_take_two_bytes_a_number_and_lose_what_nothing_sees(tmp_path, clip):
    wide = [np.random.default_rng(n).standard_normal((80, WIDE)).astype(np.float32) for n in range(2)]
    made = dataclasses.replace(clip(evaluation=False), avatar_motion=wide[0], user_motion=wide[1])
    made = dataclasses.replace(made, avatar_reference=wide[0][0])
    records.write_split(tmp_path, "train", [schema.encode(made)])
    assert open_split(tmp_path, "train").piece(0, 3, 9).user_motion.dtype == np.float16
    (back,) = records.read_split(tmp_path, "train")
    np.testing.assert_allclose(back.user_motion, wide[1], rtol=2**-11)
    assert back.user_motion.dtype == np.float32 and not np.array_equal(back.user_motion, wide[1])
    with pytest.raises(InputError, match="beyond 65504"):
        records.write_split(tmp_path, "train", [schema.encode(dataclasses.replace(made, user_motion=wide[1] * 1e6))])
