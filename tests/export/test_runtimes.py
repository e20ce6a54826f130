"""The exported step gives the same motion in ONNX Runtime and in IREE."""

import dataclasses
import sys

import numpy as np
import pytest

from afjax.audio import mel
from afjax.audio.feature_extractors import MelFeatures
from afjax.config import SamplerConfig
from afjax.errors import InputError
from afjax.export import bundle, runtimes
from afjax.streaming import live_step
from tests.small_model import scrambled, small_config

WHY = f"the runtime is not installed: {runtimes.INSTALL}"


@pytest.fixture(scope="module")
def config():
    config = small_config(depth=1)
    model = dataclasses.replace(config.model, audio_dim=mel.DIM)
    return dataclasses.replace(config, model=model, sampler=SamplerConfig(nfe=2))


@pytest.fixture(scope="module")
def params(config):
    scales = (np.full(count, value, np.float32) for count in (3, mel.DIM) for value in (0.5, 2.0))
    return live_step.LiveParams(scrambled(config, 0.2), (), *scales)


def test_onnx_gives_the_motion_of_jax(config, params, tmp_path):
    pytest.importorskip("jax2onnx", reason=WHY)
    pytest.importorskip("onnxruntime", reason=WHY)
    result = runtimes.to_onnx(config, params, tmp_path / "step.onnx", sessions=2)
    assert 0 <= result["max_difference"] < 1e-4


@pytest.mark.slow
def test_iree_gives_the_motion_of_jax(config, params, tmp_path):
    pytest.importorskip("iree.compiler", reason=WHY)
    pytest.importorskip("iree.runtime", reason=WHY)
    silence = live_step.silence(config, 1)
    blocks = live_step.Inputs(*(np.stack([array] * 2) for array in silence))
    bundle.write(tmp_path, config, params, MelFeatures(), ["cpu"], blocks)
    result = runtimes.to_iree(tmp_path, tmp_path / "step.vmfb")
    assert 0 <= result["max_difference"] < 1e-4


def test_a_missing_runtime_is_named(config, params, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(InputError, match="jax2onnx is missing; pip install"):
        runtimes.to_onnx(config, params, tmp_path / "step.onnx")
