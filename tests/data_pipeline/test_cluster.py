"""Jobs of a cluster of Ray on this machine; skipped where Ray is not installed."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from afjax.errors import InputError
from data_pipeline.executors import DEATHS, executor
from tests.recorded_builds import Builds, contents, line, write_media

ROOT = Path(__file__).resolve().parents[2]


def test_without_ray_it_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match="the package ray is missing; pip install -r requirements-cluster.txt"):
        with executor("ray", 2):
            pass


JOBS = """
import sys
import test_executors as jobs
from pathlib import Path
from data_pipeline.executors import executor

folder = Path(sys.argv[1])
with executor("ray", 2, gpus=float(sys.argv[2])) as run:
    print(sorted(run(jobs.double, ((str(n), (n,)) for n in range(9)))))
    print(sorted(run(jobs.killed_once, ((name, (folder / name,)) for name in "abc"))))
    for job in (jobs.killed, jobs.wrong):
        try:
            list(run(job, [("odd", (3,))]))
        except ValueError as error:
            print(type(error).__name__, error)
"""


@pytest.mark.slow
def test_jobs_of_a_cluster_are_those_of_processes(tmp_path):
    pytest.importorskip("ray")
    command = [sys.executable, "-c", JOBS, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(ROOT)])}
    done = subprocess.run([*command, "0"], capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300)
    wanted = [
        str([(str(n), 2 * n) for n in range(9)]), str([(name, name) for name in "abc"]),
        f"InputError odd: a process died {DEATHS} times, perhaps for want of memory; "
        "give --workers=1 or more memory; what is finished is kept",
        "ValueError number 3",
    ]  # fmt: skip
    assert [text for text in done.stdout.splitlines() if text in wanted] == wanted, done.stderr  # beside Ray's own


def test_a_cluster_that_is_not_there_is_one_line(tmp_path):
    pytest.importorskip("ray")
    with pytest.raises(InputError, match="Ray can't be reached"), executor("ray", 1, "127.0.0.1:1"):
        pass


@pytest.mark.slow
def test_a_cluster_builds_what_processes_build(tmp_path, write_video):
    pytest.importorskip("ray")
    media = write_media(tmp_path / "media", write_video)
    builds = Builds(media, tmp_path, [line(n) for n in range(60)])
    builds.build("local", "--workers=2")
    builds.build("ray", "--executor=ray", "--workers=2")
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "driver"])
def test_a_cluster_that_loses_processes_builds_the_same(tmp_path, write_video, victim):
    pytest.importorskip("ray")
    media = write_media(tmp_path / "media", write_video)
    builds = Builds(media, tmp_path, [line(n, {3: "slow", 4: "poison"}.get(n, "")) for n in range(8)])
    wanted = builds.build("local", "--workers=1") and contents(tmp_path / "local")
    for path in builds.noted.iterdir():
        path.unlink()
    ray = ("--executor=ray", "--workers=2")
    first = builds.start("ray", *ray)
    worker = builds.wait_for("c03", first)
    os.kill(worker if victim == "worker" else first.pid, signal.SIGKILL)
    said, errors = first.communicate(timeout=600)
    if victim == "driver":
        said = builds.build("ray", *ray)
    assert first.returncode == (0 if victim == "worker" else -9), said + errors
    assert "c03: done, attempt 2" in said and "c04: set aside, the process that reads it died in 3 attempts" in said
    assert contents(tmp_path / "ray") == wanted and len(builds.notes("c03")) == 2


NODES = """
import os, signal, sys, threading, time
from pathlib import Path
from ray.cluster_utils import Cluster
from data_pipeline.recorded.build import build

table, out, notes = map(Path, sys.argv[1:])
own = {"num_cpus": 1, "node_ip_address": "127.0.0.1"}
cluster = Cluster(initialize_head=True, head_node_args={**own, "include_dashboard": False})
raylet = cluster.add_node(**own).all_processes["raylet"][0].process.pid

def of_raylet(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1] == str(raylet)
    except OSError:
        return False

def kill():
    while not (found := [note.name for note in notes.iterdir() if of_raylet(note.name.split(".")[1])]):
        time.sleep(0.02)
    name, worker = found[-1].split(".")[:2]
    for pid in (raylet, int(worker)):  # a machine without power
        os.kill(pid, signal.SIGKILL)
    print("node lost at work on", name, flush=True)

threading.Thread(target=kill, daemon=True).start()
build(table, out, 4, engine="ray", address=cluster.address)
print("built", flush=True)
os._exit(0)
"""


@pytest.mark.slow
def test_a_cluster_that_loses_a_machine_builds_the_same(tmp_path, write_video):
    """Two nodes in a network of their own, so that nothing else is reached and nothing reaches them."""
    pytest.importorskip("ray")
    alone = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("no network of one's own is allowed")
    media = write_media(tmp_path / "media", write_video)
    builds = Builds(media, tmp_path, [line(n, f"slow{n}") for n in range(10)])
    builds.build("local", "--workers=1")
    for path in builds.noted.iterdir():
        path.unlink()
    command = [*alone, sys.executable, "-c", NODES, builds.table, tmp_path / "ray", builds.noted]
    environment = builds.environment | {"RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=600)
    assert "node lost at work on c" in done.stdout and "built" in done.stdout, done.stdout + done.stderr
    assert contents(tmp_path / "ray") == contents(tmp_path / "local") and len(builds.notes()) > 10
