"""Builds of recorded conversations whose processes die: the same command again gives the same bytes."""

import os
import signal

import numpy as np
import pytest

from data_pipeline.dataset import batches
from data_pipeline.records import read_metadata
from tests.recorded_builds import Builds, contents, line, rows, write_media

pytest.importorskip("av")
pytest.importorskip("soxr")
pytest.importorskip("soundfile")


@pytest.fixture(scope="module")
def media(tmp_path_factory, write_video):
    return write_media(tmp_path_factory.mktemp("media"), write_video)


LINES = [line(n, {1: "slow", 3: "fragile", 4: "poison"}.get(n, "")) for n in (5, 4, 3, 2, 1, 0)]


@pytest.mark.slow
def test_a_killed_driver_and_files_that_kill_their_process(media, tmp_path):
    builds, out = Builds(media, tmp_path, LINES), tmp_path / "set"
    first = builds.start("set", "--workers=1")
    builds.wait_for("c01", first)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert not (out / "metadata.json").exists()
    said = builds.build("set", "--workers=2")
    assert "c04: set aside, the process that reads it died in 3 attempts" in said and "c03: done, attempt 2" in said
    assert [len(builds.notes(f"c{n:02d}")) for n in range(6)] == [1, 2, 1, 2, 3, 1]
    before = contents(out)
    again = builds.build("set", "--workers=1")
    assert "c04: set aside" in again and len(builds.notes()) == 10 and contents(out) == before
    kept = rows(out)
    assert [kept[name]["kept"] for name in sorted(kept)] == ["1", "1", "1", "1", "0", "1"]
    metadata = read_metadata(out)
    assert metadata.sets == {"own": {"licences": ["CC0"], "conversations": 5, "clips": 5}}
    assert metadata.splits["train"]["count"] == 3 and len(list(out.glob("train-*"))) == 1
    batch = next(batches(out, batch=2, frames=20))
    assert np.isfinite(batch["avatar_motion"]).all()


@pytest.mark.slow
def test_sixty_conversations_end_the_same_whoever_dies(media, tmp_path):
    """With one worker and two, with a worker killed, and a driver."""
    builds, slow = Builds(media, tmp_path, [line(n, "slow" if n % 20 == 9 else "") for n in range(60)]), "c29"
    builds.build("one", "--workers=1")
    wanted = contents(tmp_path / "one")
    assert sum(name.startswith("train") for name in wanted) > 5
    builds.build("two", "--workers=2")
    assert contents(tmp_path / "two") == wanted
    for case in ("worker", "driver"):
        for path in builds.noted.iterdir():
            path.unlink()
        first = builds.start(case, "--workers=2")
        worker = builds.wait_for(slow, first)
        os.kill(first.pid if case == "driver" else worker, signal.SIGKILL)
        said, errors = first.communicate(timeout=600)
        if case == "driver":
            said = builds.build(case, "--workers=1")
        assert first.returncode == (-9 if case == "driver" else 0) and f"{slow}: done, attempt 2" in said, errors
        assert contents(tmp_path / case) == wanted
        assert len(builds.notes(slow)) == 2


@pytest.mark.slow
def test_of_two_builds_of_one_folder_one_refuses(media, tmp_path):
    builds = Builds(media, tmp_path, [line(n, f"slow{n}") for n in range(40)])
    first = builds.start("set", "--workers=1")
    builds.wait_for("c00", first)
    second = builds.start("set")
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 2 and errors.count("\n") == 1 and "another process is at work" in errors
    said, errors = first.communicate(timeout=600)
    assert first.returncode == 0, said + errors
    contents(tmp_path / "set")


@pytest.mark.slow
@pytest.mark.parametrize(("sign", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_what_is_in_work_when_a_build_is_ended_is_not_held_against_it(media, tmp_path, sign, code):
    builds = Builds(media, tmp_path, [line(n, f"slow{n}") for n in range(4)])
    first = builds.start("set", "--workers=1")
    builds.wait_for("c00", first)
    first.send_signal(sign)
    first.communicate(timeout=60)
    assert first.returncode == code and not list((tmp_path / "set").rglob("*partial*"))
    assert [path.name for path in (tmp_path / "set" / "attempts").glob("*/*/1/*")] == ["stopped"]
    assert "c00: done, attempt 2" in builds.build("set", "--workers=1")
