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

from afjax.errors import InputError
from afjax.parity.run import Fixtures
from tests.parity.fixtures import DATA

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


@pytest.mark.parametrize("file", SMALL)
def test_small_files(file):
    compare(DATA, file)


@pytest.mark.parametrize("file", ["flow_modules_small", "ae_pieces", "wav2vec2_tiny"])
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
