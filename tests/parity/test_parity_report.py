"""The parity report: every array of the small fixtures agrees, and what disagrees is found."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from afjax.codec.latent.network import motion
from afjax.errors import InputError
from afjax.parity import flow, latent
from afjax.parity.arrays import Stored
from afjax.parity.run import Fixtures
from tests.parity.fixtures import DATA, reference

ROOT = Path(__file__).resolve().parents[2]


def compare(folder, file: str, x64: bool = False, only: str = "*"):
    with jax.enable_x64(x64):
        rows = list(Fixtures(folder).rows(file, only, x64))
    assert rows
    failed = [(row.key, row.share) for row in rows if not row.ok]
    assert not failed
    return rows


SMALL = [
    "ae_pieces", "ae_small", "e2e_small", "flow_modules_small", "masks", "sampler_small", "scheduler", "wav2vec2_tiny",
]  # fmt: skip


def test_every_small_file_is_there():
    assert Fixtures(DATA).files == SMALL


@pytest.mark.parametrize("file", [pytest.param(f, marks=[pytest.mark.slow] * (f == "e2e_small")) for f in SMALL])
def test_small_files(file):
    compare(DATA, file)


def within(file: str, key: str, got, expected):
    """Some rows of an array lie within the limits of the whole."""
    assert got.shape == expected.shape
    floor, error = json.loads((DATA / "noise_floor.json").read_text())[file][key], np.abs(got - expected)
    assert error.max() <= max(10 * floor["max_abs"], 4e-6 * floor["ref_max"])
    assert np.sqrt((error**2).mean()) <= max(5 * floor["rms"], 1e-6 * floor["ref_rms"])


def test_some_pictures_end_to_end():
    """Every step of the slow `e2e_small`, from the stored result of the one before it.

    A few pictures at a time, in batches of the sizes of `ae_small`, for which there are programs.
    """
    fixtures, stored = Fixtures(DATA), reference("e2e_small")
    prepared = latent._prepared(fixtures.weights("ae_small"), np.float32)
    encoded, features = {}, None
    for pair in ((-1, 0), (17, 34), (49, 50)):
        frames = np.stack([stored["in/user_frames_u8"][n] if n >= 0 else stored["in/avatar_u8"] for n in pair])
        encoding = latent._encode(prepared["encoder"], latent.pictures(frames, np.float32))[0]
        encoded |= dict(zip(pair, np.asarray(motion(prepared, encoding.coefficients)), strict=True))
        if pair[0] < 0:
            identity, features = encoding.identity[:1], [each[:1] for each in encoding.features]
    within("e2e_small", "r_s", encoded.pop(-1), stored["r_s"][0])
    within("e2e_small", "user_motion", np.stack([*encoded.values()]), stored["user_motion"][0, [*encoded]])

    padded = np.pad(stored["user_motion"], [(0, 0), (0, 2), (0, 0)], mode="edge")
    given = {key: x for key, x in stored.items() if key.startswith("in/")}
    given |= {"in/r_s": stored["r_s"], "in/user_motion": padded, "T53/latents": stored["latents"]}
    network, heads = fixtures.weights("flow_small"), fixtures._heads("flow_small")
    made = flow.sampler(Stored(DATA / "e2e_small.npz", given), network, heads, np.float32)["T53/latents"]
    within("e2e_small", "latents", made, stored["latents"])

    some = [0, 2, 4, 5]
    chosen = stored["frame_index"][some]
    frames = latent._first(latent._decode(prepared, identity + made[0, chosen], features))
    within("e2e_small", "frames", frames, stored["frames"][some])


@pytest.mark.parametrize(
    "file", ["flow_modules_small", "ae_pieces", pytest.param("wav2vec2_tiny", marks=pytest.mark.slow)]
)
def test_modules_in_double_precision(file):
    compare(DATA, file, x64=True)


@pytest.mark.slow
@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize(
    "file",
    ["ae_small", "ae_full", "e2e_small", "flow_modules_full", "sampler_small", "sampler_full", "wav2vec2_base"],
)
def test_large_files(file, x64):
    if not os.environ.get("AFJAX_PARITY"):
        pytest.skip("no folder of fixtures (set AFJAX_PARITY)")
    compare(os.environ["AFJAX_PARITY"], file, x64)


@pytest.fixture
def changed(tmp_path):
    """A copy of the folder with one mask wrong, one schedule over its limit and one array that ours doesn't know."""
    folder = tmp_path / "fixtures"
    shutil.copytree(DATA, folder, ignore=shutil.ignore_patterns("*small*", "ae_*", "wav*", "e2e*"))
    (folder / "manifests").mkdir(exist_ok=True)
    shutil.copy(DATA / "manifests" / "digests.json", folder / "manifests")
    for file, key, change in (
        ("masks", "self_mask_stream_used", lambda x: ~x),
        ("scheduler", "step", lambda x: x + np.float32(1e-4)),
    ):
        with np.load(folder / f"{file}.npz") as stored:
            arrays = {name: stored[name] for name in stored.files}
        arrays[key] = change(arrays[key])
        np.savez(folder / f"{file}.npz", **arrays)
    np.savez(folder / "unknown.npz", array=np.zeros(3))
    return folder


def test_wrong_and_missing_arrays_are_found(changed):
    fixtures = Fixtures(changed)
    failed = [row.key for file in fixtures.files for row in fixtures.rows(file) if not row.ok]
    assert failed == ["self_mask_stream_used", "step", "array"]


def test_other_weights_than_the_digest_says_are_refused(tmp_path):
    folder = tmp_path / "fixtures"
    shutil.copytree(DATA, folder)
    digests = json.loads((folder / "manifests" / "digests.json").read_text())
    digests["flow_small.json"]["seed"] += 1
    (folder / "manifests" / "digests.json").write_text(json.dumps(digests))
    with pytest.raises(InputError, match="another digest"):
        Fixtures(folder).weights("flow_small")


def test_folders_that_are_none_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        Fixtures(tmp_path / "nothing")
    with pytest.raises(InputError, match="holds no .npz files"):
        Fixtures(tmp_path)


def test_command(changed, tmp_path):
    def run(*arguments):
        line = [sys.executable, "-m", "experiments.parity", f"--fixtures={changed}", f"--out={tmp_path / 'out'}"]
        return subprocess.run([*line, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=120)

    done = run()
    assert done.returncode == 1 and done.stdout.count("FAILED") == 3
    report = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert report["failed"] == 3 and {row["key"] for row in report["arrays"] if not row["ok"]} >= {"step", "array"}
    assert run("--only=scheduler:steps*").returncode == 0
    done = run("--only=nothing")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "no array matches" in done.stderr
    (changed / "masks.npz").write_bytes((changed / "masks.npz").read_bytes()[:-100])
    done = run()
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "masks.npz" in done.stderr
