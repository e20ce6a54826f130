"""The front door: what it opens, and that a live session shows what its parts compute."""

import jax
import numpy as np
import pytest

import afjax
from afjax.audio.feature_extractors import MelFeatures
from afjax.avatar.avatar import Avatar
from afjax.avatar.live_session import LiveSession
from afjax.config import Config, LayoutConfig, ModelConfig, SamplerConfig
from afjax.errors import InputError
from afjax.normalizer import Normalizer
from afjax.streaming import live_step
from afjax.streaming.generator import Generator
from afjax.streaming.session import Session
from tests.small_model import scrambled

D, BLOCK, DELAY = 4, 5, 2


class Codec:
    """Shows motion as the brightness of a picture of four pixels; a black frame shows no face."""

    channels, size = tuple("abcd"), 2

    def tracker(self):
        return self

    def step(self, frame):
        return None if not frame.any() else np.full(D, frame.mean() / 255, np.float32)

    def identity(self, portrait):
        if not portrait.any():
            raise InputError("no face found in the portrait")
        return float(portrait.mean())

    def reference_motion(self, identity):
        return 0.0

    def render(self, identity, motion):
        return np.repeat(motion[:, :1], 12, 1).reshape(-1, 2, 2, 3).astype(np.uint8)


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    config = Config(
        model=ModelConfig(D, MelFeatures.dim, 16, 1, 2, mlp_ratio=1, condition_width=16, condition_heads=2),
        layout=LayoutConfig(BLOCK, 0, "blockwise", cache=10, condition_window=4, user_delay=DELAY),
        sampler=SamplerConfig(nfe=1, start_frames=10),
    )  # fmt: skip
    numbers = [
        np.full(n, v, np.float32) for n, v in ((D, 100), (D, 20), (MelFeatures.dim, 0.5), (MelFeatures.dim, 0.3))
    ]
    generator = Generator(config, scrambled(config, 0.3), Normalizer(*numbers))
    return Avatar(config, generator, MelFeatures, lambda *_: Codec(), step=7)


def test_a_session_shows_what_its_parts_compute(avatar):
    """Camera, microphone and speech through `LiveSession`, and by hand through buffers and one slot of an engine."""
    rng = np.random.default_rng(0)
    portrait, frames = np.full((2, 2, 3), 9, np.uint8), rng.integers(0, 255, (20, 4, 4, 3), np.uint8)
    frames[7] = 0
    user, speech = 0.1 * rng.standard_normal((2, 20 * 640)).astype(np.float32)
    engine, buffers, shown, seen = avatar.engine(), Session(BLOCK, DELAY, D), [], []
    engine.join(3)
    with avatar.session(portrait, seed=3) as session:
        session.say(speech, 16_000)
        buffers.say(speech, 16_000)
        for n, frame in enumerate(frames):
            now = (n + 1) / 25
            seen.append(session.see(frame, now))
            session.hear(user[n * 640 : (n + 1) * 640], 16_000)
            buffers.user_motion(Codec().step(frame), now)
            buffers.user_sound(user[n * 640 : (n + 1) * 640], 16_000)
            assert session.due(now) == buffers.due(now)
            if session.due(now):
                block, one = session.block(now), buffers.take(now)
                np.testing.assert_array_equal(block.sound, one.avatar_wave)
                np.testing.assert_array_equal(block.pictures, Codec().render(0.0, block.motion))
                motion = engine.step(live_step.Inputs(*(part[None] for part in one)))[0]
                np.testing.assert_array_equal(block.motion, motion)
                shown.append(block.motion)
        assert session.counts == buffers.counts and session.counts.corrupt == 0
    assert [n for n, found in enumerate(seen) if not found] == [7] and len(shown) >= 4 and np.ptp(shown) > 1


def test_interrupting_silences_the_avatar_and_what_is_closed_stays_closed(avatar):
    session = avatar.session(np.ones((2, 2, 3), np.uint8))
    session.say(np.full(64_000, 0.3, np.float32), 16_000)
    assert np.abs(session.block(0.3).sound).max() > 0.2
    session.interrupt()
    session.block(0.5)
    assert not session.block(0.7).sound.any()
    session.close()
    session.close()
    with pytest.raises(ValueError, match="closed"):
        session.block(0.9)


def test_what_can_be_no_session_is_refused(avatar):
    with pytest.raises(InputError, match="no face found"):
        avatar.session(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match="one slot, not of 2"):
        LiveSession(avatar.engine(2), Codec(), 0.0)


def test_an_absent_voice_is_silence_or_dropped(avatar):
    silent, quiet = avatar.generate(12), avatar.generate(12, avatar_wave=np.zeros(12 * 640, np.float32))
    np.testing.assert_array_equal(silent, quiet)
    dropped = avatar.generate(12, user_wave=np.zeros(9, np.float32))
    assert silent.shape == (12, D) and np.isfinite(silent).all() and np.abs(dropped - silent).max() > 0


def test_other_settings_keep_the_weights(avatar):
    calm = avatar.with_config(avatar.live_config)
    assert calm.config.sampler.start_frames == 0 and avatar.config.sampler.start_frames == 10
    for ours, theirs in zip(*(jax.tree.leaves(a.generator.params) for a in (calm, avatar)), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert calm.step == 7 and avatar.render(np.ones((2, 2, 3), np.uint8), calm.generate(5)).shape == (5, 2, 2, 3)


@pytest.mark.slow
def test_a_bundle_is_whole_or_absent(avatar, tmp_path):
    with pytest.raises(InputError, match="unknown platform 'gpu'"):
        avatar.export(tmp_path / "bundle", ["gpu"])
    assert not list(tmp_path.iterdir())
    manifest = avatar.export(tmp_path / "bundle")
    assert manifest["latency_ms"]["p50"] > 0 and manifest["step"] == 7 and manifest["user_delay"] == DELAY
    assert [channel["name"] for channel in manifest["motion"]] == list("abcd")
    names = {file.name for file in (tmp_path / "bundle").iterdir()}
    with pytest.raises(AttributeError):
        avatar.export(tmp_path / "bundle", blocks="none")
    assert {file.name for file in (tmp_path / "bundle").iterdir()} == names and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["nowhere", "nowhere/checkpoints/3", "."])
def test_what_is_no_model_is_said_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(afjax.InputError) as error:
        afjax.load(name)
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


def test_the_door_has_three_names():
    assert afjax.Avatar is Avatar and afjax.InputError is InputError
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = afjax.lode
