"""The package as `pip install .` leaves it, far from the clone: one name, its command, and a streamed conversation."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("afjax", "experiments", "data_pipeline")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder of installed packages that holds afjax; building needs no network."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (
        *ROOT.glob("requirements*.txt"),
        *(ROOT / n for n in ("setup.py", "pyproject.toml", "README.md", "LICENSE")),
    ):
        shutil.copy(file, source)
    line = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target"]
    done = subprocess.run([*line, str(folder / "site"), str(source)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture
def call(site, tmp_path):
    def call(*arguments, code=0):
        environment = {**os.environ, "PYTHONPATH": str(site), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        line = [sys.executable, "-P", *arguments]
        done = subprocess.run(line, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=600)
        assert done.returncode == code, done.stderr
        return done

    return call


def test_it_puts_one_name_into_an_environment(site, call):
    names = {path.name for path in site.iterdir() if not path.name.endswith(".dist-info") and path.name != "bin"}
    assert names == {"afjax"} and (site / "afjax" / "py.typed").exists()
    for file in (ROOT / "afjax" / "models").glob("*/*"):
        assert (site / file.relative_to(ROOT)).read_bytes() == file.read_bytes()
    assert (site / "afjax" / "models" / "listener" / "README.md").exists()
    assert (site / "bin" / "afjax").exists()
    said = call("-c", "import afjax; print(afjax.__file__, afjax.load.__module__)").stdout.split()
    assert said == [str(site / "afjax" / "__init__.py"), "afjax.api"]


def test_the_command_lists_programs_and_names_the_nearest(call):
    listed = call("-m", "afjax").stdout
    programs = {path.stem for path in ROOT.glob("experiments/*.py") if path.stem != "__init__"} | {"build"}
    sets = {path.stem for path in ROOT.glob("data_pipeline/sets/*.py")} - {"__init__", "program", "table"}
    programs |= {f"sets.{name}" for name in sets}
    assert programs == {line.split()[0] for line in listed.splitlines()[1:]}
    refused = call("-m", "afjax", "steam", code=2)
    assert refused.stderr == "error: no program 'steam'; did you mean stream?\n"
    refused = call("-m", "afjax", "stream", "--workdi=x", code=2)
    assert "did you mean --workdir?" in refused.stderr and refused.stderr.count("\n") == 1


def test_it_trains_by_names_of_the_clone_and_streams(call, site, workdir, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "voice.wav", (0.2 * np.sin(np.arange(16_000) * 0.05)).astype(np.float32), 16_000)
    model = site / "afjax" / "models" / "listener"
    if not (model / "model.json").exists():
        call("-m", "afjax", "save_model", "--workdir", str(workdir), "--out", str(model))
    call("-m", "afjax", "stream", "--avatar_audio", "voice.wav", "--size", "128", "--out", "talk.mp4")
    assert (tmp_path / "talk.mp4").stat().st_size > 1000
    asked = ("--config", "experiments/configs/smoke.py", "--config.model.motion_dim=3", "--workdir", "run")
    assert "simulated conversations have" in call("-m", "afjax", "train", *asked, code=2).stderr
