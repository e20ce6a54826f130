"""A bundle runs where afjax can't be imported, gives the library's bits, and is refused when a byte of it differs."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

from afjax.audio import mel
from afjax.audio.feature_extractors import MelFeatures
from afjax.config import ComputeConfig, SamplerConfig, to_dict
from afjax.errors import InputError
from afjax.export import bundle_loader
from afjax.export.bundle import named, rebuilt, started, write
from afjax.export.example import random_blocks
from afjax.files import folder_aside
from afjax.nn.transformer import cast_params
from afjax.streaming import live_step
from experiments.export.bundle import export as export_run
from tests.small_model import scrambled, small_config

SESSIONS = 2
FEATURES = MelFeatures()


@pytest.fixture(scope="module")
def config():
    config = small_config(depth=1, convolutions=1, relative_frames=7)
    model = dataclasses.replace(config.model, audio_dim=mel.DIM)
    return dataclasses.replace(
        config, model=model, sampler=SamplerConfig(nfe=1, guidance_avatar=-0.5, guidance_joint=1.5)
    )


@pytest.fixture(scope="module")
def params(config):
    scales = (np.full(count, value, np.float32) for count in (3, mel.DIM) for value in (0.5, 2.0))
    return jax.device_put(live_step.LiveParams(scrambled(config, 0.2), (), *scales), jax.local_devices()[0])


@pytest.fixture(scope="module")
def bundle(config, params, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "bundle"
    folder.mkdir()
    blocks = random_blocks(config.layout, config.model.motion_dim, SESSIONS)
    manifest, result = write(folder, config, params, FEATURES, ("cpu", "cuda"), blocks, "abc", {"step": 7})
    assert result["bit_equal"] and manifest["latency_ms"]["p50"] > 0
    return folder


@pytest.fixture
def copy(bundle, tmp_path):
    return shutil.copytree(bundle, tmp_path / "copy")


def run(folder, tmp_path, python=sys.executable):
    """run.py in a process that finds no afjax, far from the repository."""
    (tmp_path / "blocked" / "afjax").mkdir(parents=True, exist_ok=True)
    (tmp_path / "blocked" / "afjax" / "__init__.py").write_text("raise ImportError('afjax is not installed here')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "blocked")}
    command = [python, "-B", str(folder / "run.py")]
    settings = {"capture_output": True, "text": True, "timeout": 120}
    blocked = subprocess.run([python, "-c", "import afjax"], env=environment, cwd=tmp_path, **settings)
    assert "afjax is not installed here" in blocked.stderr
    return subprocess.run(command, env=environment, cwd=tmp_path, **settings)


def test_it_runs_without_afjax_to_the_same_bits(bundle, tmp_path):
    done = run(bundle, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert result["ok"] and result["bit_equal"] and result["max_difference"] == 0 and result["seconds_per_block"] > 0


@pytest.mark.skipif(
    not os.environ.get("AFJAX_OTHER_PYTHON"), reason="AFJAX_OTHER_PYTHON names no other Python with jax"
)
def test_it_runs_on_another_python_and_jax(bundle, tmp_path):
    done = run(bundle, tmp_path, os.environ["AFJAX_OTHER_PYTHON"])
    result = json.loads(done.stdout)
    assert done.returncode == 0 and result["jax"] != jax.__version__ and result["max_difference"] < 1e-4


def _cut(folder):
    content = (folder / "params.safetensors").read_bytes()
    (folder / "params.safetensors").write_bytes(content[:-1])


def _edited(folder):
    content = bytearray((folder / "step.jax_exported").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "step.jax_exported").write_bytes(content)


def _foreign(folder):
    """Another bundle's manifest, whole in itself."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {name: bundle_loader.sha256(name.encode()) for name in manifest["files"]}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "sha256": bundle_loader.sealed(manifest)}))


def _other_scale(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["motion"][0]["std"] *= 2
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_cut, "params.safetensors is not the file"),
        (_edited, "step.jax_exported is not the file"),
        (_foreign, "is not the file that was exported"),
        (_other_scale, "manifest.json is not the file"),
        (lambda folder: (folder / "init_state.safetensors").unlink(), "No such file .*init_state.safetensors"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "TypeError"),
    ],
)
def test_what_was_not_exported_is_refused(copy, damage, said):
    damage(copy)
    with pytest.raises((ValueError, OSError, TypeError)) as caught:
        bundle_loader.Stream(copy)
    assert re.search(said, f"{type(caught.value).__name__}: {caught.value}")


def test_a_refusal_is_one_line(copy, tmp_path):
    _cut(copy)
    done = run(copy, tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert str(copy) in done.stderr and "params.safetensors" in done.stderr and "copy the whole bundle" in done.stderr


def test_a_bundle_for_another_platform_says_which_it_has(copy, tmp_path):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["steps"] = {"cuda": "step.jax_exported", "tpu": "step.jax_exported"}
    (copy / "manifest.json").write_text(json.dumps({**manifest, "sha256": bundle_loader.sealed(manifest)}))
    done = run(copy, tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert (
        "programs for cuda, tpu, and jax runs on cpu here" in done.stderr
        and "export it for this platform" in done.stderr
    )


def test_another_motion_is_refused(copy, tmp_path):
    with np.load(copy / "example.npz") as stored:
        arrays = dict(stored)
    arrays["motion"][3, 1] += 1.0
    np.savez(copy / "example.npz", **arrays)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["example.npz"] = bundle_loader.sha256((copy / "example.npz").read_bytes())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "sha256": bundle_loader.sealed(manifest)}))
    done = run(copy, tmp_path)
    assert done.returncode == 2 and not json.loads(done.stdout)["ok"] and "motion is off by" in done.stderr


def test_a_session_starts_in_a_bundle_of_earlier_names(bundle):
    stream = bundle_loader.Stream(bundle)
    for today, earlier in bundle_loader.EARLIER.items():
        for arrays in (stream.state, stream._first, stream._axes):
            arrays[f"stream.{earlier}"] = arrays.pop(f"stream.{today}")
    stream.start(1, seed=5, reference_motion=np.ones(3), condition_mask=np.float32([1, 0, 0]))
    assert stream.state["stream.key"][1].tolist() == [0, 5]
    assert stream.state["stream.reference"][1].tolist() == [1, 1, 1]
    assert stream.state["stream.keep"].tolist() == [[1, 1, 1], [1, 0, 0]]


def test_a_slot_starts_again_and_the_other_goes_on(bundle, config, params):
    with np.load(bundle / "example.npz") as stored:
        blocks = list(zip(*(stored[name] for name in live_step.Inputs._fields), strict=True))
        wanted = stored["motion"]
    stream = bundle_loader.Stream(bundle)
    stream.start(0, seed=0)
    made = [stream.step(*block) for block in blocks[:4]]
    reference_motion = np.ones(3, np.float32)
    stream.start(1, seed=5, reference_motion=(reference_motion - params.motion_mean) / params.motion_std)
    made += [stream.step(*block) for block in blocks[4:]]
    np.testing.assert_array_equal(np.stack(made)[:, 0], wanted[:, 0])
    assert np.abs(np.stack(made)[4:, 1] - wanted[4:, 1]).max() > 1e-3
    state = started(config, FEATURES, params, SESSIONS)
    state = live_step.put(
        state, 1, live_step.fresh(config, FEATURES, params, seed=5, reference_motion=reference_motion)
    )
    step = live_step.make_live_step(config, FEATURES)
    for number, block in enumerate(blocks[4:], 4):
        state, motion = step(params, state, live_step.Inputs(*block))
        np.testing.assert_allclose(motion[1], made[number][1], atol=1e-5)


def test_the_manifest_tells_what_is_needed(bundle, config):
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["steps"] == {"cpu": "step.jax_exported", "cuda": "step.cuda.jax_exported"}
    for name in ("block", "look_ahead", "user_delay"):
        assert manifest[name] == to_dict(config)["layout"][name]
    assert (manifest["fps"], manifest["sample_rate"], manifest["sessions"], manifest["step"]) == (
        25,
        16_000,
        SESSIONS,
        7,
    )
    assert manifest["features"] == {"kind": "mel", "window_frames": FEATURES.window}
    assert manifest["guidance"] == pytest.approx({"avatar": -0.5, "joint": 1.5})
    assert [channel["name"] for channel in manifest["motion"]] == list("abc")
    axes = {name: array["session_axis"] for name, array in manifest["state"].items()}
    assert axes["stream.cache_k"] == 2 and axes["stream.guidance_weights"] == axes["stream.condition"] == 1
    assert axes["stream.rng"] == axes["user_extractor"] == 0
    for name in manifest["steps"].values():
        assert (
            str(export_run.__code__.co_filename).rpartition("/experiments")[0].encode()
            not in (bundle / name).read_bytes()
        )


@pytest.mark.slow
def test_a_bundle_in_bfloat16_is_smaller_and_runs_to_the_same_bits(config, params, bundle, tmp_path):
    narrow = dataclasses.replace(config, compute=ComputeConfig(precision="bfloat16"))
    weights = params._replace(model=cast_params(params.model, "bfloat16"))
    blocks = random_blocks(config.layout, config.model.motion_dim, SESSIONS)
    manifest, result = write(tmp_path, narrow, weights, FEATURES, ("cpu",), blocks)
    assert result["bit_equal"] and manifest["precision"] == "bfloat16"
    assert manifest["state"]["stream.cache_k"]["dtype"] == "bfloat16"
    sizes = [(folder / "params.safetensors").stat().st_size for folder in (bundle, tmp_path)]
    assert sizes[1] < 0.8 * sizes[0]


def test_names_give_the_tree_back(config):
    state = live_step.init_live(config, FEATURES, 3)
    again = rebuilt(state, named(state))
    assert jax.tree.structure(state) == jax.tree.structure(again)
    assert all((a == b).all() for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(again), strict=True))


def test_a_bundle_replaces_a_bundle_and_nothing_else(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    with pytest.raises(InputError, match="exists already"), folder_aside(out, replaces="step.jax_exported"):
        pass
    (out / "step.jax_exported").touch()
    with pytest.raises(ZeroDivisionError), folder_aside(out, replaces="step.jax_exported"):
        1 / 0  # noqa: B018
    assert (out / "mine.txt").exists()
    with folder_aside(out, replaces="step.jax_exported") as folder:
        (folder / "manifest.json").write_text("[]")
    assert [file.name for file in out.iterdir()] == ["manifest.json"] and list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("platforms", "said"),
    [(["cpu"], "no such run folder"), (["cpu", "gpu"], "unknown platform 'gpu'"), ([], "unknown platform")],
)
def test_bad_input_leaves_nothing(tmp_path, platforms, said):
    with pytest.raises(InputError, match=said):
        export_run(str(tmp_path / "nowhere"), str(tmp_path / "out"), platforms, 1, "")
    assert not list(tmp_path.iterdir())
