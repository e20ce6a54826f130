"""Chains of conditions, and the whole command on a tiny model: figures, files, verdicts."""

import functools
import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from afjax.audio.feature_extractors import MelFeatures
from afjax.avatar.avatar import Avatar
from afjax.avatar.codecs import codecs_of
from afjax.codec.face.channels import CHANNELS
from afjax.config import Config, LayoutConfig, ModelConfig, SamplerConfig
from afjax.errors import InputError
from afjax.normalizer import Normalizer
from afjax.streaming.generator import Generator
from afjax.training.generator.state import init_params
from experiments.evaluation import endless_conditions, long_stream, portrait_identity
from experiments.runs.columns import GROUPS
from tests.data_pipeline.conftest import _clip

D, F, START = 15, 100, 100


def conversation(seed, frames=400):
    """Noise whose avatar speaks in frames 60 to 139 and 200 to 299, and for 10 frames at the end."""
    speaking = np.zeros(frames, bool)
    speaking[60:140] = speaking[200:300] = speaking[-10:] = True
    clip = _clip(seed, frames, evaluation=False)
    level = clip.avatar_motion * 0.3 + speaking[:, None] + seed / 100.0
    return replace(clip, avatar_speaking=speaking, avatar_motion=level.astype(np.float32))


@pytest.fixture(scope="module")
def clips():
    return [conversation(seed) for seed in range(8)]


def test_pieces_hold_their_kind_only(clips):
    for kind, spans, level in (("listening", (60, 60, 90), 0.0), ("speaking", (80, 100), 1.0)):
        for clip, piece in zip(clips, endless_conditions.pieces(clips, kind), strict=True):
            assert set(piece) == set(endless_conditions.TRACKS)
            assert len(piece["avatar_motion"]) == sum(spans) - endless_conditions.FADE * (len(spans) - 1)
            assert piece["avatar_motion"].mean() == pytest.approx(level + clip.seed / 100.0, abs=0.05)
    with pytest.raises(InputError, match="at least 4"):
        endless_conditions.pieces(clips[:3], "speaking")


def test_parts_fade_into_each_other_over_five_frames():
    first, second = ({"track": np.full((30, 1), value, np.float32)} for value in (0.0, 6.0))
    whole = endless_conditions.join([first, second])["track"][:, 0]
    np.testing.assert_allclose(whole[23:32], [0, 0, 1, 2, 3, 4, 5, 6, 6], atol=1e-6)
    assert len(whole) == 55


def test_a_chain_is_seeded_and_goes_on_where_it_ended(clips):
    played = endless_conditions.pieces(clips, "speaking")
    whole = endless_conditions.Chain(played, 3, 7).take(900)
    parts = endless_conditions.Chain(played, 3, 7)
    parts = [parts.take(frames) for frames in (100, 50, 750)]
    for name in endless_conditions.TRACKS:
        assert whole[name].shape[:2] == (3, 900)
        np.testing.assert_array_equal(whole[name], np.concatenate([part[name] for part in parts], axis=1))
    assert not np.array_equal(whole["user_motion"][0], whole["user_motion"][1])
    assert not np.array_equal(whole["user_motion"], endless_conditions.Chain(played, 3, 8).take(900)["user_motion"])


@functools.cache
def run():
    """A tiny model; one for all tests, whose step is compiled once."""
    model = ModelConfig(D, F, width=16, depth=1, heads=2, mlp_ratio=1, condition_width=16, condition_heads=2)
    layout = LayoutConfig(block=50, look_ahead=0, mask="blockwise", cache=10, condition_window=4)
    config = Config(model=model, layout=layout, sampler=SamplerConfig(nfe=1, start_frames=START))
    one = np.ones(max(D, F), np.float32)
    normalizer = Normalizer(0 * one[:D], one[:D], 0 * one[:F], one[:F])
    generator = Generator(config, init_params(config, jax.random.key(0)), normalizer)
    return Avatar(config, generator, MelFeatures, codecs_of())


def test_a_generator_goes_on_as_if_it_had_not_stopped(clips):
    generator, chain = (
        run().generator,
        endless_conditions.Chain(endless_conditions.pieces(clips, "listening"), 2, 0).take(300),
    )
    tracks = [chain[name] for name in ("avatar_features", "user_features", "user_motion")]
    state, made = generator.begin(2, 5), []
    for first, stop in ((0, 150), (150, 300)):
        piece = (track[:, first:stop] for track in tracks)
        motion, state = generator.go_on(state, *piece, START if not first else 0)
        made.append(motion)
    np.testing.assert_array_equal(np.concatenate(made, axis=1), generator.clips(*tracks, 5))


@pytest.fixture(scope="module")
def measured(clips):
    """Figures of `Noise` beside recorded avatars that are such noise as well."""
    noise = [replace(clip, avatar_motion=0.3 * _clip(90 + clip.seed, 400).avatar_motion) for clip in clips]
    return long_stream.drift(replace(run(), generator=Noise()), noise, 3, 4)


class Noise:
    """A generator of noise of deviation 0.3, state (which stream, minute); the second moves by 0.5 a minute."""

    def __init__(self):
        self._rng, self._streams = np.random.default_rng(0), 0

    def begin(self, count, seed, reference_motion):
        self._streams += 1
        return self._streams, 0

    def go_on(self, state, avatar_features, user_features, user_motion, first):
        stream, minute = state
        offset = 0.5 * minute if stream == 2 else 0.0
        return 0.3 * self._rng.standard_normal(user_motion.shape) + offset, (stream, minute + 1)


def test_stationary_motion_is_inside_and_what_leaves_is_outside(measured):
    listening, speaking = (measured[kind]["groups"] for kind in endless_conditions.KINDS)
    for group in GROUPS:
        for name in ("to_recorded", "to_first"):
            assert listening[group][name]["inside"]
            assert not speaking[group][name]["inside"] and speaking[group][name]["slope"]["low"] > 0
    shift, spread = (np.array([*measured["speaking"][name].values()]) for name in ("shift", "spread"))
    np.testing.assert_allclose(shift, np.tile([0.0, 0.5 / 0.3, 1.0 / 0.3], (15, 1)), atol=0.15)
    np.testing.assert_allclose(spread, 1.0, atol=0.1)


def test_files(measured, tmp_path):
    long_stream.write(tmp_path / "out", {"minutes": 3, "conditions": measured})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["drift.png", "summary.json", "table.txt"]
    stored = json.loads((tmp_path / "out" / "summary.json").read_text())
    figure = stored["conditions"]["speaking"]["groups"]["pose"]["to_recorded"]
    assert set(figure) == {"minutes", "band", "inside", "slope"} and len(figure["minutes"]) == 3
    text = (tmp_path / "out" / "table.txt").read_text()
    assert "listening" in text and "brow_raise" in text
    assert [row[4] for row in long_stream.rows(measured)] == 3 * ["inside"] + 3 * ["OUTSIDE"]


def test_a_tiny_model_goes_through(clips):
    """Weights that were never trained: the stream runs, and its motion is not the recorded one."""
    found = long_stream.drift(run(), clips, 3, 2)
    for kind in endless_conditions.KINDS:
        figures = found[kind]["groups"]["all"]
        assert np.isfinite(figures["to_recorded"]["minutes"]).all()
        assert len(figures["to_first"]["minutes"]) == 2


def photograph(seed):
    return np.random.default_rng(seed).random((4, 4, 3))


class Pictures:
    """A codec without networks: a person is a photograph, which motion makes lighter or darker."""

    channels, size = CHANNELS, 4

    def identity(self, portrait):
        return portrait

    def reference_motion(self, person):
        return 0.0

    def render(self, person, motion):
        return person + 0.1 * motion.mean(axis=-1)[:, None, None, None]


def test_identity_goes_into_figures_table_and_files(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(portrait_identity, "moving_person", lambda seed, rest, size: (photograph(seed), rest))

    def embed(picture):
        embed.calls += 1
        return None if embed.calls % 7 == 0 else picture.astype(float).ravel()

    embed.calls, embed.name = 0, "pixels"
    found = long_stream.drift(replace(run(), codecs=lambda *_: Pictures()), clips, 3, 2, embed)
    for kind in endless_conditions.KINDS:
        identity = found[kind]["identity"]
        assert len(identity["minutes"]) == 3 and identity["name"] == "CSIM-pixels"
        assert 0 < identity["others"] < 1 and 0.5 < identity["found"] < 1 and "off_span" not in found[kind]
    rows = long_stream.rows(found)
    assert [len(row) for row in rows] == [len(long_stream.HEADER)] * 8 and rows[-1][0] == "speaking, CSIM-pixels"
    long_stream.write(tmp_path, {"conditions": found})
    assert "CSIM-pixels" in (tmp_path / "table.txt").read_text()


def test_the_anchor_of_the_command_takes_the_place_of_the_runs():
    sampler = long_stream.with_anchor(run(), 12.0, None).config.sampler
    assert (sampler.anchor_seconds, sampler.anchor_band) == (12.0, SamplerConfig().anchor_band)
    assert long_stream.with_anchor(run(), None, None).config == run().config


def test_blocks_have_to_fill_a_minute(clips):
    odd = run()
    odd = replace(odd, config=replace(odd.config, layout=replace(odd.config.layout, block=70), data=_window(70)))
    with pytest.raises(InputError, match="whole blocks"):
        long_stream.drift(odd, clips, 3, 2)


def _window(frames):
    return replace(Config().data, window=frames)
