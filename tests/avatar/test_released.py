"""The released network from raw sound on: the reference's numbers, in full precision, compiled before it is needed."""

import logging
from dataclasses import replace

import jax
import numpy as np
import pytest

from afjax.audio.wav2vec2.network import Wav2Vec2
from afjax.avatar.released import load_released
from afjax.nn.condition_encoder import Conditions
from afjax.nn.transformer import ForcingTransformer
from afjax.streaming.step import session_noise
from afjax.weights import convert
from afjax.weights import tiny_release as released
from afjax.weights.folder import to_folder
from tests.parity.test_released_sampler import absolute

FRAMES, FILLED = 64, 70
WIDTH = released.FLOW.motion_dim


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    to_folder(**released.write(folder / "sources"), out=str(folder / "weights"), heads=released.FLOW.heads)
    return folder / "weights"


@pytest.fixture(scope="module")
def given():
    """User motion, and voices of the user (shorter than the clip) and of the avatar (longer)."""
    rng = np.random.default_rng(0)
    user, avatar = (rng.normal(0.02, 0.1, n * 640 - 99).astype(np.float32) for n in (40, FRAMES + 3))
    return rng.normal(size=(FRAMES, WIDTH)).astype(np.float32), user, avatar


def heard(weights, wave):
    """What the condition encoder is given of a voice [1, T, width]: the file standardised as it is."""
    standard = ((wave - wave.mean()) / np.sqrt(wave.var() + 1e-7))[: FRAMES * 640]
    filled = np.pad(standard, (0, FRAMES * 640 - len(standard)), mode="edge")
    states = np.asarray(Wav2Vec2(released.SPEECH).apply({"params": weights.wav2vec2.params()}, filled[None]))
    layer = weights.flow.params()["condition_encoder"]["audio_projection"]
    x = states @ layer["linear"]["kernel"].T + layer["linear"]["bias"]
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    x = x * layer["norm"]["scale"] + layer["norm"]["bias"]
    return x / (1 + np.exp(-x))


@pytest.mark.slow
def test_raw_sound_to_motion_equals_the_reference_sampler(folder, given):
    run = load_released(folder)
    motion, user, avatar = given
    weights = convert.load(folder)
    inputs = Conditions(heard(weights, avatar), heard(weights, user), motion[None])
    inputs = jax.tree.map(lambda x: np.pad(x, [(0, 0), (0, FILLED - FRAMES), (0, 0)], mode="edge"), inputs)
    keys, noises = jax.random.fold_in(jax.random.key(5), 0)[None], []
    for frames in (50, 10, 10):
        keys, noise = session_noise(keys, frames, WIDTH, np.float32)
        noises.append(noise)
    model = ForcingTransformer(replace(released.FLOW, audio_dim=0))
    params = {"params": weights.flow.params()}
    expected = absolute(model, run.config.sampler, params, inputs, noises)[0, :FRAMES]
    np.testing.assert_allclose(run.generate(FRAMES, motion, user, avatar, 5, 0.0), expected, rtol=0, atol=1e-4)


def test_nothing_compiles_after_warming_up(folder, given, caplog):
    def compiled(call) -> list[str]:
        caplog.clear()
        with jax.log_compiles(), caplog.at_level(logging.WARNING):
            call()
        return [record.getMessage() for record in caplog.records]

    def news(lines: list[str]) -> list[str]:
        return [line for line in lines if line.startswith("Compiling")]

    run = load_released(folder)
    assert any("encode" in line for line in compiled(lambda: run.warm_up(FRAMES)))
    assert not news(compiled(lambda: run.generate(FRAMES, *given, reference_motion=0.0)))
    silent = load_released(folder)
    assert not any("encode" in line for line in compiled(silent.warm_up))
    assert not news(compiled(lambda: silent.generate(FRAMES, given[0], reference_motion=0.0)))


def test_products_have_full_precision(folder):
    run = load_released(folder)
    assert run.config.compute.precision == run.features.precision == run.codec().precision == "float32"
    listen = run.features.program(FRAMES).as_text()
    assert "operand_precision={highest,highest}" in listen and "operand_precision={default" not in listen
