"""Released files become one folder and come back bit for bit; anything that is wrong with them is named."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from afjax.audio.wav2vec2.config import Wav2Vec2Config
from afjax.codec.latent.config import LatentConfig
from afjax.errors import InputError
from afjax.weights import convert, names, readers, tensor_shapes, wav2vec2_names
from afjax.weights import tiny_release as released
from afjax.weights.folder import back, to_folder
from afjax.weights.tiny_release import FLOW, LATENT, SPEECH, speech_tensors, tensors
from tests.parity import fixtures

ROOT = Path(__file__).resolve().parents[2]
HEADS = FLOW.heads
X_EMBEDDER = "flow_transformer.x_embedder.proj.weight"


def same(a: dict, b: dict) -> bool:
    return set(a) == set(b) and all(a[n].dtype == b[n].dtype and a[n].tobytes() == b[n].tobytes() for n in a)


def manifest(name: str) -> dict[str, tuple[int, ...]]:
    listed = json.loads(fixtures.path(f"manifests/{name}.json").read_text())["parameters"]
    return {name: tuple(shape) for name, shape in listed.items()}


@pytest.mark.parametrize(
    ("file", "config"),
    [
        ("ae_small", LatentConfig(64, channels=(512, 512, 512, 512, 256))),
        ("ae_full", LatentConfig(512, channels=(512, 512, 512, 512, 256, 128, 64, 32))),
        ("wav2vec2_base", Wav2Vec2Config()),
        ("flow_small", None),
        ("flow_full", None),
    ],
)
def test_shapes_are_the_released_ones(file, config):
    listed = manifest(file)
    listed.pop("wav2vec2.masked_spec_embed", None)
    empty = {name: np.broadcast_to(np.float32(0), shape) for name, shape in listed.items()}
    if file.startswith("flow"):
        width, depth = (64, 2) if file == "flow_small" else (1024, 8)
        found = tensor_shapes.flow_config(empty, 4, 9216, file)
        assert (found.width, found.depth, found.mlp_ratio, found.condition_width) == (width, depth, 4, 512)
        config = found
    elif file.startswith("ae"):
        assert tensor_shapes.latent_config(empty, file) == config
    assert tensor_shapes.shapes(config) == listed


@pytest.mark.parametrize("config", [FLOW, LATENT, SPEECH], ids=["flow", "autoencoder", "wav2vec2"])
def test_tree_and_back(config):
    given = tensors(config)
    table = tensor_shapes.table(config)
    tree = names.to_tree(given, table)
    assert same(names.from_tree(tree, table), given)


def test_convert_load_and_back(tmp_path):
    given = tensors(FLOW), tensors(LATENT), speech_tensors()
    given[0]["flow_transformer.alignment_mask"] = np.eye(50, dtype=bool)
    given[1]["motion_autoencoder.dec.to_rgbs.0.upsample.kernel"] = np.ones((4, 4), np.float32)
    sources = released.write(tmp_path / "in", *given)
    summary = to_folder(**sources, out=str(tmp_path / "weights"), heads=HEADS)
    assert summary["unused"]["flow"] == ["flow_transformer.alignment_mask"]
    assert summary["unused"]["wav2vec2"] == ["lm_head.bias", "lm_head.weight"]
    assert "motion_autoencoder.dec.conv1.noise.weight" in summary["unused"]["autoencoder"]

    weights = convert.load(tmp_path / "weights")
    assert (weights.flow.config, weights.autoencoder.config, weights.wav2vec2.config) == (FLOW, LATENT, SPEECH)
    for part, config in [(weights.flow, FLOW), (weights.autoencoder, LATENT), (weights.wav2vec2, SPEECH)]:
        assert same(names.from_tree(part.params(), tensor_shapes.table(config)), tensors(config))
    provenance = json.loads((tmp_path / "weights" / "provenance.json").read_text())
    assert "CC BY-NC 4.0" in provenance["licence"] and provenance["sources"]["flow"]["name"] == "flow.safetensors"

    back(str(tmp_path / "weights"), str(tmp_path / "out"))
    files = ["flow_transformer.safetensors", "motion_autoencoder.safetensors", "wav2vec2/model.safetensors"]
    for file, expected in zip(files, given, strict=True):
        assert same(readers.read(tmp_path / "out" / file), expected)
    assert readers.read_json(tmp_path / "out/wav2vec2/config.json")["architectures"] == ["X"]
    again = {"flow": files[0], "autoencoder": files[1], "wav2vec2": "wav2vec2"}
    again = {name: str(tmp_path / "out" / file) for name, file in again.items()}
    to_folder(**again, out=str(tmp_path / "again"), heads=HEADS)
    for name in convert.FILES:
        assert (tmp_path / "weights" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_newer_spelling_of_weight_norm(tmp_path):
    newer = wav2vec2_names.newer(speech_tensors())
    assert "wav2vec2.encoder.pos_conv_embed.conv.parametrizations.weight.original1" in newer
    to_folder(**released.write(tmp_path / "in", speech=newer), out=str(tmp_path / "weights"), heads=HEADS)
    assert same(readers.read(tmp_path / "weights" / "wav2vec2.safetensors"), speech_tensors())
    back(str(tmp_path / "weights"), str(tmp_path / "out"))
    assert same(readers.read(tmp_path / "out/wav2vec2/model.safetensors"), newer)


def test_both_spellings_at_once_are_refused(tmp_path):
    both = speech_tensors() | wav2vec2_names.newer(speech_tensors())
    with pytest.raises(InputError, match="both"):
        to_folder(**released.write(tmp_path / "in", speech=both), out=str(tmp_path / "weights"), heads=HEADS)


def test_speech_tensors_of_the_flow_file_win(tmp_path):
    replaced = {name: value * 2 for name, value in tensors(SPEECH).items() if ".encoder.layers.1." in name}
    given = tensors(FLOW) | {f"audio_encoder.{name}": value for name, value in replaced.items()}
    to_folder(**released.write(tmp_path / "in", flow=given), out=str(tmp_path / "weights"), heads=HEADS)
    found = convert.load(tmp_path / "weights").wav2vec2.params()
    assert replaced and same(names.from_tree(found, tensor_shapes.table(SPEECH)), tensors(SPEECH) | replaced)
    back(str(tmp_path / "weights"), str(tmp_path / "out"))
    assert same(readers.read(tmp_path / "out" / "flow_transformer.safetensors"), given)


def test_noise_strengths_may_be_absent(tmp_path):
    given = {name: value for name, value in tensors(LATENT).items() if not name.endswith(tensor_shapes.NOISE)}
    to_folder(**released.write(tmp_path / "in", autoencoder=given), out=str(tmp_path / "weights"), heads=HEADS)
    assert set(convert.load(tmp_path / "weights").autoencoder.tensors) == set(tensors(LATENT))


def spoiled(name: str, change) -> dict[str, np.ndarray]:
    given = tensors(FLOW)
    given[name] = change(given[name])
    return given


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({n: v for n, v in tensors(FLOW).items() if n != X_EMBEDDER}, f"1 missing: {X_EMBEDDER};"),
        (tensors(FLOW) | {"extra.weight": np.ones((2, 3))}, "1 unexpected: extra.weight (2, 3);"),
        (
            spoiled(X_EMBEDDER, lambda w: np.ascontiguousarray(w.T)),
            f"1 of another shape: {X_EMBEDDER} is (32, 16), must be (16, 32) (transposed);",
        ),
        (spoiled(X_EMBEDDER, lambda w: w[:, :-1]), f"{X_EMBEDDER} is (16, 31), must be (16, 32);"),
        (
            spoiled(X_EMBEDDER, lambda w: w.astype(jnp.bfloat16)),
            f"1 of another type: {X_EMBEDDER} is bfloat16, must be float32;",
        ),
        (spoiled(X_EMBEDDER, lambda w: w.astype(np.float16)), f"{X_EMBEDDER} is float16, must be float32;"),
        (spoiled(X_EMBEDDER, lambda w: w * np.float32("nan")), f"1 not finite: {X_EMBEDDER};"),
        (tensors(LATENT), "no tensor of flow_transformer.*"),
        ({}, "no tensor of flow_transformer.*"),
    ],
    ids=["missing", "extra", "transposed", "cut", "bf16", "f16", "nan", "swapped", "empty"],
)
def test_what_is_wrong_is_said(tmp_path, given, said):
    sources = released.write(tmp_path / "in", flow=given)
    with pytest.raises(InputError) as error:
        to_folder(**sources, out=str(tmp_path / "weights"), heads=HEADS)
    assert said in str(error.value) and sources["flow"] in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


DIRECTIONS = "motion_autoencoder.dec.direction.weight"
STRAY = "motion_autoencoder.dec.to_rgbs.7.conv.0.weight"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({DIRECTIONS: np.array(1, np.float32)}, f": 1 of another shape: {DIRECTIONS} is (), must be (16, 4);"),
        ({STRAY: np.ones((3, 8, 1, 1), np.float32)}, f": 1 unexpected: {STRAY} (3, 8, 1, 1);"),
    ],
)
def test_one_odd_tensor_of_the_autoencoder(tmp_path, given, said):
    sources = released.write(tmp_path / "in", autoencoder=tensors(LATENT) | given)
    with pytest.raises(InputError) as error:
        to_folder(**sources, out=str(tmp_path / "weights"), heads=HEADS)
    assert sources["autoencoder"] + said in str(error.value)


def test_a_stray_block_of_the_flow_transformer(tmp_path):
    stray = "flow_transformer.blocks.5.mlp.fc1.bias"
    sources = released.write(tmp_path / "in", flow=tensors(FLOW) | {stray: np.ones(32, np.float32)})
    with pytest.raises(InputError, match=f": 1 unexpected: {stray}"):
        to_folder(**sources, out=str(tmp_path / "weights"), heads=HEADS)


def test_networks_that_do_not_belong_together(tmp_path):
    other = tensors(LatentConfig(64, 8, 4, (8, 8, 8, 4, 4)))
    with pytest.raises(InputError, match="makes latents of 16 numbers, the autoencoder's have 8"):
        to_folder(**released.write(tmp_path / "in", autoencoder=other), out=str(tmp_path / "weights"), heads=HEADS)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]

    # a folder whose files each agree with config.json
    for name, in_place in (("8", {"autoencoder": other}), ("whole", {})):
        flow = tensors(replace(FLOW, motion_dim=8)) if in_place else tensors(FLOW)
        sources = released.write(tmp_path / f"in_{name}", flow=flow, **in_place)
        to_folder(**sources, out=str(tmp_path / name), heads=HEADS)
    folder, donor = tmp_path / "whole", tmp_path / "8"
    settings, provenance = (json.loads((folder / f"{file}.json").read_text()) for file in ("config", "provenance"))
    settings["autoencoder"] = json.loads((donor / "config.json").read_text())["autoencoder"]
    (folder / "autoencoder.safetensors").write_bytes((donor / "autoencoder.safetensors").read_bytes())
    (folder / "config.json").write_text(json.dumps(settings))
    for name in provenance["files"]:
        provenance["files"][name]["sha256"] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "provenance.json").write_text(json.dumps(provenance))
    with pytest.raises(InputError, match="makes latents of 16 numbers, the autoencoder's have 8"):
        convert.load(folder)


def test_every_fault_is_listed(tmp_path):
    given = tensors(LATENT)
    gone = [name for name in given if ".fc." in name]
    for name in gone:
        del given[name]
    turned = "motion_autoencoder.dec.direction.weight"
    given[turned] = np.ascontiguousarray(given[turned].T)
    with pytest.raises(InputError) as error:
        to_folder(**released.write(tmp_path / "in", autoencoder=given), out=str(tmp_path / "w"), heads=HEADS)
    assert all(name in str(error.value) for name in [*gone, turned])
    assert f"{len(gone)} missing" in str(error.value) and "1 of another shape" in str(error.value)


def test_truncated_file(tmp_path):
    sources = released.write(tmp_path / "in")
    whole = Path(sources["autoencoder"]).read_bytes()
    Path(sources["autoencoder"]).write_bytes(whole[:-100])
    with pytest.raises(InputError, match="truncated"):
        to_folder(**sources, out=str(tmp_path / "weights"), heads=HEADS)


def test_other_kinds_of_wav2vec2(tmp_path):
    sources = released.write(tmp_path / "in")
    path = tmp_path / "in" / "hf" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_stable_layer_norm": True}))
    with pytest.raises(InputError, match="do_stable_layer_norm = True is not supported"):
        to_folder(**sources, out=str(tmp_path / "weights"), heads=HEADS)


def test_changed_folder_is_refused(tmp_path):
    to_folder(**released.write(tmp_path / "in"), out=str(tmp_path / "weights"), heads=HEADS)
    path = tmp_path / "weights" / "flow.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="SHA-256") as error:
        convert.load(tmp_path / "weights")
    assert str(path) in str(error.value)


KILLED = """
import os, signal
from absl import flags
from afjax.weights import readers
from afjax.weights import folder
from experiments import cli
write = readers.write_safetensors
def killed(path, tensors):
    write(path, tensors)
    if path.name == "autoencoder.safetensors":
        print(sorted(p.name for p in path.parent.iterdir()))
        os.kill(os.getpid(), signal.SIGTERM)
readers.write_safetensors = killed
cli.run(lambda: folder.to_folder({flow!r}, {autoencoder!r}, {wav2vec2!r}, {out!r}, 2))
"""


def test_killed_half_way_leaves_nothing(tmp_path):
    sources = released.write(tmp_path / "in")
    program = KILLED.format(**sources, out=str(tmp_path / "weights"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 143, done.stderr
    assert "['autoencoder.safetensors', 'flow.safetensors']" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_command_line(tmp_path):
    def call(*arguments):
        command = [sys.executable, "-W", "ignore", "-m", "experiments.convert", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)

    sources = [f"--{name}={path}" for name, path in released.write(tmp_path / "in").items()]
    done = call(*sources, f"--out={tmp_path / 'weights'}", f"--heads={HEADS}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "weights" / "summary.json").is_file()
    again = call(*sources, f"--out={tmp_path / 'weights'}", f"--heads={HEADS}")
    assert again.returncode == 2 and "exists already" in again.stderr and again.stderr.count("\n") == 1
    wrong = call(*sources[:2], f"--out={tmp_path / 'w'}")
    assert wrong.returncode == 2 and "--wav2vec2 is missing" in wrong.stderr
