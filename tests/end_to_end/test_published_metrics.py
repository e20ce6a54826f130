"""`experiments.evaluate --networks`, the command itself: stopped and gone on with, and its one line for bad input."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.records import read_metadata, read_split, write_metadata, write_split
from data_pipeline.schema import encode
from experiments.evaluation.tiny_networks import write_tiny

ROOT = Path(__file__).resolve().parents[2]
FRAMES, CLIPS = 30, 3


def started(*arguments, cwd) -> subprocess.Popen:
    line = [sys.executable, "-m", "experiments.evaluate", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(line, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def done(*arguments, cwd) -> str:
    """Standard output of the command, which ends well."""
    process = started(*arguments, cwd=cwd)
    said, errors = process.communicate(timeout=1800)
    assert process.returncode == 0, errors
    return said


@pytest.fixture(scope="module")
def short(config, tmp_path_factory):
    """Records of the first frames of the smoke run's."""
    folder = tmp_path_factory.mktemp("short")
    metadata = read_metadata(config.data.path)
    for split in metadata.splits:
        clips = [_cut(clip) for clip in read_split(config.data.path, split)][:CLIPS]
        write_split(folder, split, [encode(clip) for clip in clips])
    splits = {name: {**split, "count": CLIPS, "frames": FRAMES} for name, split in metadata.splits.items()}
    write_metadata(folder, dataclasses.replace(metadata, splits=splits))
    return folder


def _cut(clip):
    changed = {}
    for field in dataclasses.fields(clip):
        value = getattr(clip, field.name)
        if isinstance(value, np.ndarray) and field.name.startswith("event"):
            changed[field.name] = value[clip.event_frame < FRAMES]
        elif isinstance(value, np.ndarray):
            changed[field.name] = value[: len(value) * FRAMES // clip.frames]
    return dataclasses.replace(clip, **changed)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_stopped_evaluation_goes_on_to_the_same_table(workdir, short, tmp_path):
    for package in ("onnxruntime", "ai_edge_litert", "av"):
        pytest.importorskip(package)
    networks = write_tiny(tmp_path / "networks")
    given = ("--workdir", workdir, "--data", short, "--networks", networks, "--size", 128)
    said = done(*given, "--out", tmp_path / "whole", cwd=tmp_path)
    assert "FID" in said and "no tracks of SPECTRE or EMOCA" in said
    whole = json.loads((tmp_path / "whole" / "published.json").read_text())
    assert {"FID", "FVD", "CSIM", "LSE-D", "LSE-C"} <= set(whole["metrics"]["model"]) and not whole["warnings"]
    assert whole["metrics"]["model"]["FID"]["rows"] == FRAMES * CLIPS and "CSIM" in whole["metrics"]["recorded"]
    features = tmp_path / "whole" / "features"
    read = {file: file.stat().st_mtime_ns for file in features.rglob("*.np?")}
    done(*given, "--features", features, "--out", tmp_path / "beside", cwd=tmp_path)
    assert json.loads((tmp_path / "beside" / "published.json").read_text()) == whole
    assert read == {file: file.stat().st_mtime_ns for file in features.rglob("*.np?")}
    assert not (tmp_path / "beside" / "features").exists()
    stopped = tmp_path / "stopped"
    for pattern, count in (("videos/*/*.mp4", 2), ("features/*/inception-*.npy", 2)):
        process = started(*given, "--out", stopped, cwd=tmp_path)
        while len(list(stopped.glob(pattern))) < count:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    done(*given, "--out", stopped, cwd=tmp_path)
    assert json.loads((stopped / "published.json").read_text()) == whole
    again = started(*given[:-2], "--size", 256, "--out", stopped, cwd=tmp_path)
    _, error = again.communicate(timeout=600)
    assert again.returncode == 2 and "its videos are of another size (128, not 256)" in error


WRONG = [
    (("--networks", "none"), "none: no such folder; docs/metrics.md says what belongs into it"),
    (("--networks", "empty"), "no network in it"),
    (("--networks", "odd"), "not a readable ONNX file"),
    (("--tracks", "none"), "none: no such folder"),
    (("--protocol", "hdtf"), "--recorded_video is missing; name the videos of hdtf"),
    (("--protocol", "hdtf", "--recorded_video", "a", "--user_video", "b"), "--protocol=hdtf has nobody to listen to"),
    (("--protocol", "vico", "--recorded_video", "a"), "--user_video is missing"),
    (("--protocol", "vicco"), "--protocol"),
    (("--recorded_video", "a", "--user_video", "b"), "name it, or say by --protocol what a model is given"),
    (("--people", "people.csv"), "they need --generated_video"),
    (("--generated_video", "a", "--user_video", "b", "--recordings", "c"), "leave it out for finished videos"),
    (("--generated_video", "empty", "--user_video", "empty", "--networks", "tiny"), "no video has the same name"),
]  # fmt: skip

CHECK = """
import contextlib, io, json, runpy, sys
from absl import flags
from experiments.cli import program as cli
for arguments in json.load(sys.stdin):
    known, sys.argv = set(flags.FLAGS), ["evaluate", *arguments]
    program = runpy.run_module("experiments.evaluate", run_name="read")
    try:
        cli.parse(sys.argv)
        with contextlib.redirect_stdout(io.StringIO()):
            program["main"]()
        print("no error")
    except ValueError as error:
        print(f"{type(error).__name__}: {error}")
    for name in set(flags.FLAGS) - known:
        delattr(flags.FLAGS, name)
    flags.FLAGS.unparse_flags()
"""


def test_bad_input_is_one_line_before_any_work(tmp_path):
    """All in one process, which loads no model."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("av")
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "inception.onnx").write_bytes(b"no network")
    write_tiny(tmp_path / "tiny")
    lines = [[*arguments, "--out", "out"] for arguments, _ in WRONG]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    found = subprocess.run(
        [sys.executable, "-c", CHECK], input=json.dumps(lines), cwd=tmp_path, env=environment, capture_output=True,
        text=True, timeout=600,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    for (arguments, message), said in zip(WRONG, found.stdout.splitlines(), strict=True):
        assert said.startswith("InputError: ") and message in said, (arguments, said)
    assert not (tmp_path / "out").exists()
