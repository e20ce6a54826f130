"""The frame of every command: exit codes, one line for a user's mistake, outputs checked before work begins."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from afjax import files
from afjax.errors import InputError
from experiments import cli
from experiments.cli import progress as progress_module

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
import ml_collections
def get_config():
    return ml_collections.ConfigDict({"training": {"num_steps": 5, "learning_rate": 1e-3}})
"""
PROGRAM = """
import sys
from absl import flags
from afjax.errors import InputError
from experiments import cli
CONFIG = cli.define_config("config", {config!r})
USER = flags.DEFINE_string("user_video", "", "")
SEED = flags.DEFINE_integer("seed", 0, "", lower_bound=0)
def main():
    if USER.value == "bad":
        raise InputError("is bad", USER.value, "take another")
    if USER.value == "stop":
        raise KeyboardInterrupt
    if USER.value == "defect":
        raise ZeroDivisionError("ours")
    if USER.value == "device":
        import jax
        jax.devices()
    if USER.value == "memory":
        import jax
        jax.numpy.zeros(1 << 48)
    if not USER.value.isprintable():
        print("read", USER.value)
        raise InputError("is bad", USER.value)
    if USER.value == "term":
        import os, signal
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            print("cleaned up")
    print("steps", CONFIG.value.training.num_steps, "seed", SEED.value)
if __name__ == "__main__":
    cli.run(main)
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    (folder / "config.py").write_text(CONFIG)
    (folder / "program.py").write_text(PROGRAM.format(config=str(folder / "config.py")))

    def call(*arguments, **variables):
        command = [sys.executable, "-W", "ignore", str(folder / "program.py"), *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)

    return call


def test_success(program):
    done = program("--seed=3", "--config.training.num_steps=7")
    assert (done.returncode, done.stdout, done.stderr) == (0, "steps 7 seed 3\n", "")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--user_vidoe=a"], ["--user_vidoe", "did you mean --user_video"]),
        (["--qqqq"], ["--qqqq"]),
        (["--seed=-1"], ["--seed"]),
        (["stray"], ["stray"]),
        (["--config.training.lerning_rate=1"], ["lerning_rate", 'Did you mean "learning_rate"']),
        (["--config.training.num_steps=many"], ["config.training.num_steps"]),
        (["--config=/none.py"], ["/none.py", "No such file"]),
        (["--user_video=bad"], ["error: bad: is bad; take another"]),
    ],
)
def test_a_users_mistake_is_one_line_and_code_2(program, arguments, parts):
    done = program(*arguments)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert all(part in done.stderr for part in parts), done.stderr
    assert not done.stdout


@pytest.mark.parametrize(("user", "code"), [("stop", 130), ("term", 143), ("defect", 1)])
def test_other_ends(program, user, code):
    done = program(f"--user_video={user}")
    assert done.returncode == code
    assert ("ZeroDivisionError: ours" in done.stderr) == (user == "defect")
    assert ("cleaned up" in done.stdout) == (user == "term")


def test_a_platform_that_is_not_there_is_one_line(program):
    done = program("--user_video=device", JAX_PLATFORMS="tpu")
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "JAX_PLATFORMS=tpu: no such device here; unset it" in done.stderr


def test_a_device_that_is_full_is_one_line(program):
    done = program("--user_video=memory")
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "memory is full (RESOURCE_EXHAUSTED: Out of memory allocating" in done.stderr


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_names_that_no_terminal_can_show_are_told_all_the_same(program, locale):
    done = program(b"--user_video=J\xfcrgen.wav", LC_ALL=locale, PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.returncode == 2 and done.stdout == "read J\\udcfcrgen.wav\n"
    assert done.stderr == "error: J\\udcfcrgen.wav: is bad\n"


def test_a_folder_is_held_by_one_process_at_a_time(tmp_path):
    """And is free again when that one is killed."""
    code = "import sys; from afjax import files\nwith files.held(sys.argv[1]): print(1, flush=True); sys.stdin.read()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as other:
        other.stdout.readline()
        with pytest.raises(InputError, match="run: another process is at work in it"), files.held(tmp_path / "run"):
            raise AssertionError
        other.kill()
    for _ in range(2):
        with files.held(tmp_path / "run"):
            assert not list((tmp_path / "run").iterdir())


def test_writable(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    assert files.writable(tmp_path / "new" / "deep" / "a.mp4").is_absolute()
    assert not (tmp_path / "new").exists()
    for bad in (tmp_path / "file" / "a.mp4", tmp_path / "file" / "deep" / "a.mp4", tmp_path):
        with pytest.raises(InputError):
            files.writable(bad)
    with pytest.raises(InputError, match="folder is needed"):
        files.writable(tmp_path / "file", folder=True)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(InputError, match="no permission"):
        files.writable(tmp_path / "a.mp4")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_writable_obeys_permissions(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="no permission"):
        files.writable(tmp_path / "a.mp4")


def test_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert files.absolute("a/b") == tmp_path / "a/b"
    assert files.absolute("~/b") == Path.home() / "b"


def test_write_json(tmp_path):
    content = {"a": np.float32(0.5), "b": np.arange(2), "c": float("nan"), "d": Path("x"), "e": (np.bool_(True), None)}
    path = files.write_json(tmp_path / "deep" / "summary.json", content)
    assert json.loads(path.read_text()) == {"a": 0.5, "b": [0, 1], "c": None, "d": "x", "e": [True, None]}
    assert os.listdir(path.parent) == ["summary.json"]


def test_aside_keeps_the_suffix_and_leaves_nothing_after_a_failure(tmp_path):
    target = tmp_path / "deep" / "eval.npz"
    with files.aside(target) as partial:
        assert partial.parent == target.parent and partial.suffix == ".npz" and not target.exists()
        np.savez(partial, a=np.arange(3))
    with pytest.raises(RuntimeError), files.aside(target) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert np.load(target)["a"].tolist() == [0, 1, 2]
    assert os.listdir(target.parent) == ["eval.npz"]


def test_watch_adds_up_a_stage(monkeypatch):
    clock = iter([0.0, 2.0, 10.0, 13.0, 20.0, 21.0])
    monkeypatch.setattr(progress_module.time, "perf_counter", lambda: next(clock))
    watch = cli.Watch()
    for stage in ("render", "write"):
        with watch(stage):
            pass
    with pytest.raises(RuntimeError), watch("render"):
        raise RuntimeError
    assert watch.seconds == {"render": 3.0, "write": 3.0}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_progress(kind, monkeypatch):
    clock = iter(range(0, 1000, 1))
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(clock))
    out = kind()
    with cli.Progress(200, "render", every=10, out=out) as progress:
        for n in range(200):
            progress.update(1, f"loss {n}")
    text = out.getvalue()
    assert "render: 200/200 frames" in text and text.endswith("\n") and "loss 199" in text
    if kind is Terminal:
        assert "\r" in text and "[####################]" in text
    else:
        lines = text.splitlines()
        assert 10 <= len(lines) <= 30 and "\r" not in text


def test_table(capsys):
    cli.print_table([("smile", 0.5, 12), ("nod", -0.25, 3)], header=("name", "value", "n"))
    assert capsys.readouterr().out.splitlines() == [
        "name    value   n",
        "-----  ------  --",
        "smile   0.500  12",
        "nod    -0.250   3",
    ]
