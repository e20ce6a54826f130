"""Features made again from a data set's sound: the same where the extractor is, others where it is not."""

import dataclasses

import numpy as np
import pytest

from afjax.audio import mel
from afjax.audio.feature_extractors import MelFeatures, described
from afjax.audio.wav2vec2 import features
from afjax.avatar.features import load_features
from afjax.errors import InputError
from afjax.normalizer import Normalizer
from afjax.weights import convert
from afjax.weights import tiny_release as released
from afjax.weights.folder import to_folder
from data_pipeline import records, schema
from experiments.data.features import make_features


class Loudness:
    name, dim, window, block, params = "loudness", 7, 1, 0, ()

    def clip(self, wave, frames):
        return np.tile(np.abs(wave.reshape(frames, -1)).mean(1)[:, None], (1, 7))

    def init(self):
        return ()

    def step(self, params, state, sound):
        return state, self.clip(sound, 1)


@pytest.fixture
def folder(tmp_path):
    """A data set of three clips of noise with their true mel features."""
    rng = np.random.default_rng(0)
    clips = []
    for seed in range(3):
        sound = {f"{side}_wave": rng.integers(-9999, 9999, 30 * 640).astype(np.int16) for side in ("avatar", "user")}
        rows = {
            name.replace("wave", "features"): mel.features(wave / np.float32(32768)).astype(np.float16)
            for name, wave in sound.items()
        }
        motion = {f"{side}_motion": rng.standard_normal((30, 15)).astype(np.float32) for side in ("avatar", "user")}
        speaking = {f"{side}_speaking": np.ones(30, bool) for side in ("avatar", "user")}
        none = {f"event_{name}": np.zeros(0, np.int32) for name in ("kind", "frame", "response")}
        event = none | {"event_responded": np.zeros(0, bool)}
        arrays = sound | rows | motion | speaking | event
        clips.append(schema.Conversation(**arrays, seed=seed, avatar_voice="a", user_voice="b"))
    made = tmp_path / "sound"
    made.mkdir()
    save(made, clips)
    return made


def save(made, clips):
    records.write_split(made, "train", map(schema.encode, clips))
    zeros, ones = np.zeros(15, np.float32), np.ones(15, np.float32)
    normalizer = Normalizer(zeros, ones, np.zeros(mel.DIM, np.float32), np.ones(mel.DIM, np.float32))
    splits = {"train": {"count": len(clips), "frames": 30, "seed": 0}}
    channels = tuple(map(str, range(15)))
    records.write_metadata(made, records.Metadata(channels, described(MelFeatures()), 25, splits, normalizer))


def test_the_same_extractor_gives_the_same_records(folder, tmp_path):
    summary = make_features(folder, tmp_path / "out", MelFeatures())
    assert (summary["width"], summary["conversations"]) == (mel.DIM, 3)
    for before, after in zip(*(records.read_split(f, "train") for f in (folder, tmp_path / "out")), strict=True):
        assert schema.encode(before) == schema.encode(after)


def test_another_extractor_changes_features_and_their_statistics_alone(folder, tmp_path):
    make_features(folder, tmp_path / "out", Loudness())
    old, new = (records.read_metadata(f) for f in (folder, tmp_path / "out"))
    assert (new.features["name"], new.feature_dim, new.channels) == ("loudness", 7, old.channels)
    np.testing.assert_array_equal(new.normalizer.motion_std, old.normalizer.motion_std)
    clips = list(records.read_split(tmp_path / "out", "train"))
    rows = np.concatenate([getattr(clip, f"{side}_features") for clip in clips for side in ("avatar", "user")])
    np.testing.assert_allclose(new.normalizer.audio_mean, rows.astype(np.float64).mean(0), rtol=1e-5)
    np.testing.assert_allclose(new.normalizer.audio_std, rows.astype(np.float64).std(0), rtol=1e-3)
    expected = Loudness().clip(clips[0].user_wave / np.float32(32768), 30)
    np.testing.assert_allclose(clips[0].user_features, expected, atol=1e-3)


def test_wav2vec2_of_a_converted_folder_hears_whole_clips(folder, tmp_path):
    sources = released.write(tmp_path / "sources")
    to_folder(**sources, out=str(tmp_path / "weights"), heads=released.FLOW.heads)
    make_features(folder, tmp_path / "out", load_features(tmp_path / "weights"))
    part = convert.load(tmp_path / "weights").wav2vec2
    clip = next(records.read_split(tmp_path / "out", "train"))
    expected = features.features(part.params(), part.config, clip.user_wave / np.float32(32768))
    np.testing.assert_array_equal(clip.user_features, expected.astype(np.float16))


def test_records_without_sound_are_refused_and_nothing_is_left(folder, tmp_path):
    silent = tmp_path / "silent"
    silent.mkdir()
    clips = [dataclasses.replace(c, user_wave=None) for c in records.read_split(folder, "train")]
    save(silent, clips)
    with pytest.raises(InputError, match="record 0 of train has no sound"):
        make_features(silent, tmp_path / "out", MelFeatures())
    assert not (tmp_path / "out").exists()
