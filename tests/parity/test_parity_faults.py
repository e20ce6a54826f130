"""Parity folders that are not as they should be: what can't be computed fails, what can't be read is one line."""

import json
import shutil

import numpy as np
import pytest

from afjax.errors import InputError
from afjax.parity.run import Fixtures
from tests.parity.fixtures import DATA, reference

# of each known kind of file: keys that nothing is known of, and some that are known beside them
ODD = {
    "masks": (["odd", "self_mask/odd", "cross_mask/T5"], ["self_mask_stream_used"]),
    "scheduler": (["odd", "steps/nfe", "steps/nfe1"], ["sigmas", "steps_sigma/nfe10"]),
    "wav2vec2_tiny": (["odd", "linear_interp/to0", "linear_interp/odd"], ["features", "linear_interp/to29"]),
    "ae_small": (["odd", "feat0_res8/odd", "a/b/c", "flow7", "seq_frames_", "seq_frames_999"], ["s_r", "flow64"]),
    "ae_pieces": (["odd/out0", "resblock/out9", "blur_odd/out0", "resblock"], ["resblock/out0"]),
    "flow_modules_small": (["odd", "block_stream/odd/out", "block_stream/start48/odd"], ["block_stream/start48/out"]),
    "sampler_small": (["odd", "T34/odd", "T34/xt_block9", "T34/cache_block0/odd", "T0/latents"], ["T34/latents"]),
    "e2e_small": (["odd"], ["latents", "frame_index"]),
}

HEAVY = ("ae_small", "e2e_small", "flow_modules_small", "sampler_small")


@pytest.fixture
def folder(tmp_path):
    """Manifests and noise floors alone."""
    shutil.copytree(DATA / "manifests", tmp_path / "manifests")
    shutil.copy(DATA / "noise_floor.json", tmp_path)
    return tmp_path


def write(folder, file: str, keys=(), without=(), **more):
    """A fixture file with its inputs and the arrays `keys`."""
    kept = {key: x for key, x in reference(file).items() if key.startswith("in/") or key in keys}
    np.savez(folder / f"{file}.npz", **{key: x for key, x in kept.items() if key not in without}, **more)


@pytest.mark.parametrize("file", [pytest.param(f, marks=[pytest.mark.slow] * (f in HEAVY)) for f in ODD])
def test_unknown_arrays_fail_and_the_others_run(folder, file):
    odd, known = ODD[file]
    write(
        folder, file, known, **dict.fromkeys(odd, np.ones((2, 3), np.float32)), note=np.array(b"x"), said=np.array("x")
    )
    rows = list(Fixtures(folder).rows(file))
    assert sorted(row.key for row in rows if not row.ok) == sorted(odd)
    assert sorted(row.key for row in rows if row.ok) == sorted(known)


@pytest.mark.parametrize("case", ["T50_a0.5_u0.5", "T50_a0_u1.5"])
def test_branches_without_weight_are_compared_too(folder, case):
    """What the network says of the first noise, and the cached conditions, do not depend on the scales."""
    small = reference("sampler_small")
    same = ("v_block0_step0", "cache_block0/layer1_cross_k", "cache_block0/layer1_cross_v")
    stored = {f"{case}/{key}": small[f"T80/{key}"] for key in same}
    moved = {f"{case}/xt_block0": small["T80/xt_block0"]}
    write(folder, "sampler_small", **stored, **moved)
    floors = json.loads((folder / "noise_floor.json").read_text())
    floors["sampler_small"] |= {f"{case}/{key}": floors["sampler_small"][f"T80/{key}"] for key in same}
    (folder / "noise_floor.json").write_text(json.dumps(floors))
    rows = list(Fixtures(folder).rows("sampler_small"))
    assert {row.key for row in rows if row.ok} == set(stored)
    assert {row.key for row in rows if row.error > 0.1} == set(moved)


def test_two_evaluations_return_the_noise(folder):
    noise = reference("sampler_small")["in/noise0"]
    write(folder, "sampler_small", **{"T50_nfe2/latents": noise, "T50_nfe2/xt_block0": noise[None]})
    assert all(row.ok for row in Fixtures(folder).rows("sampler_small"))


def truncated(path):
    path.write_bytes(path.read_bytes()[:-300])


def garbage(path):
    path.write_bytes(b"PK\x03\x04" + b"garbage" * 50)


def npy(path):
    with path.open("wb") as file:
        np.save(file, np.ones(3))


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        garbage,
        npy,
        lambda path: path.write_bytes(b""),
        lambda path: np.savez(path, odd=np.array([{}], object)),
        lambda path: np.savez(path, odd=np.array([1j])),
    ],
    ids=["truncated", "garbage", "npy", "empty", "objects", "complex"],
)
def test_damaged_file(folder, damage):
    write(folder, "masks", ODD["masks"][1])
    damage(folder / "masks.npz")
    with pytest.raises(InputError) as error:
        Fixtures(folder).keys("masks")
    assert "masks.npz" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("file", "key", "without"),
    [
        ("scheduler", "step", "in/v"),
        ("wav2vec2_tiny", "features", "in/wave_normalised"),
        ("ae_small", "s_r", "in/image_u8"),
        ("ae_pieces", "resblock/out0", "in/resblock/param/conv1.0.weight"),
        ("flow_modules_small", "forward/v", "in/forward/x"),
        ("sampler_small", "T34/latents", "in/noise0"),
        ("sampler_small", "T34/latents", "in/nfe"),
        ("e2e_small", "latents", "in/avatar_u8"),
    ],
)
def test_missing_input(folder, file, key, without):
    write(folder, file, ODD[file][1] + [key], {without})
    with pytest.raises(InputError) as error:
        list(Fixtures(folder).rows(file))
    assert f"{file}.npz" in str(error.value) and without.split("/")[1] in str(error.value)


def spoil(change):
    def spoiled(path):
        content = json.loads(path.read_text())
        path.write_text(json.dumps(change(content)))

    return spoiled


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("manifests/flow_small.json", lambda path: path.unlink(), "is missing"),
        ("manifests/flow_small.json", lambda path: path.write_text("{"), "is not JSON"),
        ("manifests/flow_small.json", spoil(lambda old: []), "is not a table"),
        ("manifests/flow_small.json", spoil(lambda old: {"about": "heads 4"}), "is not a manifest"),
        ("manifests/flow_small.json", spoil(lambda old: {"parameters": {"a": "b"}}), "is not a manifest"),
        ("manifests/flow_small.json", spoil(lambda old: old | {"about": ""}), "how many heads"),
        ("manifests/digests.json", spoil(lambda old: {}), "has no seed of flow_small.json"),
        ("manifests/digests.json", spoil(lambda old: {"flow_small.json": {"seed": "7"}}), "has no seed"),
        ("manifests/digests.json", spoil(lambda old: {"flow_small.json": {"seed": 7}}), "another digest"),
        ("noise_floor.json", spoil(lambda old: {"sampler_small": {"T34/latents": {"rms": 1}}}), "no noise floor"),
    ],
)
def test_damaged_tables(folder, name, damage, said):
    write(folder, "sampler_small", ["T34/latents"])
    damage(folder / name)
    with pytest.raises(InputError, match=said) as error:
        list(Fixtures(folder).rows("sampler_small"))
    assert str(folder) in str(error.value) and "\n" not in str(error.value)
