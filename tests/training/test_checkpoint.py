"""Checkpoints: damage is found and said, leftovers do no harm, policies keep what they should, full disks are told."""

import json
import re
import resource
import shutil
from collections import namedtuple
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.errors import InputError
from afjax.training.checkpoint import Checkpoints, load_ema
from afjax.training.checksums import fault, write_sums
from afjax.training.generator.state import TrainState


def state(step: int) -> TrainState:
    params = {"w": jnp.full((64, 64), step + 0.5), "b": jnp.arange(3.0) + step}
    return TrainState(jnp.int32(step), params, jax.tree.map(lambda x: 2 * x, params), ({"mu": params["b"] * 3},))


def save(folder, *steps, **policy):
    with Checkpoints(folder, **policy) as checkpoints:
        for step in steps:
            checkpoints.save(state(step), {"place": step}, {"config": {}, "statistics": {"mean": [0.5, step]}})


def restored(folder, meta=None):
    with Checkpoints(folder) as checkpoints:
        return checkpoints.restore(state(0), meta)


def equal(a, b):
    return all(map(np.array_equal, jax.tree.leaves(a), jax.tree.leaves(b)))


def names(folder):
    return sorted((path.name for path in (folder / "checkpoints").iterdir()), key=lambda name: (len(name), name))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    save(folder, 1, 2)
    return folder


def test_every_change_of_every_file_is_found(saved, tmp_path):
    folder = tmp_path / "2"
    shutil.copytree(saved / "checkpoints" / "2", folder)
    assert fault(folder) == ""
    files = [path for path in folder.glob("*/**/*") if path.is_file()]
    assert {path.relative_to(folder).parts[0] for path in files} == {"state", "ema_params", "data", "meta"}
    for path in files:
        content = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        path.write_bytes(content[: len(content) // 2])
        assert fault(folder) == f"{name} has changed"
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        assert fault(folder) == f"{name} has changed"
        path.unlink()
        assert fault(folder) == f"{name} is missing"
        path.write_bytes(content)
    for name in ("state/.DS_Store", "meta/Thumbs.db", "more"):  # desktops leave files everywhere
        (folder / name).write_text("more")
    assert fault(folder) == ""
    lines = (folder / "SHA256SUMS").read_text()
    (folder / "SHA256SUMS").write_text(lines[: len(lines) // 2])
    assert fault(folder)
    (folder / "SHA256SUMS").write_text("")
    assert fault(folder) == "SHA256SUMS is empty"
    (folder / "SHA256SUMS").unlink()
    assert fault(folder) == "SHA256SUMS is missing"


def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(saved, tmp_path, capsys):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "checkpoints" / "2" / "meta" / "metadata"
    path.write_text(path.read_text().replace("0.5", "0.6"))
    params, _, step = load_ema(tmp_path, state(0).params)
    said = "checkpoint 2 is damaged (meta/metadata has changed): that of step 1 is used\n"
    assert step == 1 and equal(params, state(1).ema_params) and capsys.readouterr().out == said
    got, place = restored(tmp_path)
    assert equal(got, state(1)) and place == {"place": 1} and capsys.readouterr().out == said
    assert names(tmp_path) == ["1", "2.damaged"]
    save(tmp_path, 2)
    assert equal(restored(tmp_path)[0], state(2)) and capsys.readouterr().out == ""


def test_a_checkpoint_is_loaded_by_its_step(saved):
    params, meta, step = load_ema(saved, state(0).params, 1)
    assert step == 1 and equal(params, state(1).ema_params) and meta["statistics"]["mean"] == [0.5, 1]
    with pytest.raises(InputError, match="no checkpoint of step 3; there are those of 1, 2"):
        load_ema(saved, state(0).params, 3)


def test_only_damaged_checkpoints_are_refused_and_left_alone(saved, tmp_path):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    for path in tmp_path.glob("checkpoints/*/state/_METADATA"):
        path.unlink()
    for load in (restored, lambda folder: load_ema(folder, state(0).params)):
        with pytest.raises(InputError, match="all checkpoints are damaged .2: state/_METADATA is missing"):
            load(tmp_path)
    assert names(tmp_path) == ["1", "2"]


def test_what_a_killed_save_leaves_is_ignored_and_removed(saved, tmp_path):
    left = tmp_path / "checkpoints" / "7.orbax-checkpoint-tmp"
    shutil.copytree(saved / "checkpoints" / "2" / "state", left / "state.orbax-checkpoint-tmp")
    with pytest.raises(InputError, match="no checkpoint"):
        load_ema(tmp_path, state(0).params)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest is None
        checkpoints.save(state(7), {}, {})
    assert names(tmp_path) == ["7"] and fault(tmp_path / "checkpoints" / "7") == ""


def test_restore_follows_the_sharding_that_is_asked_for(saved):
    sharding = jax.sharding.NamedSharding(
        jax.make_mesh((1,), ("x",), axis_types=(jax.sharding.AxisType.Auto,)), jax.sharding.PartitionSpec("x")
    )
    wanted = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding) if x.ndim else x, state(0)
    )
    with Checkpoints(saved) as checkpoints:
        got, _ = checkpoints.restore(wanted)
    assert equal(got, state(2)) and got.params["w"].sharding == got.ema_params["b"].sharding == sharding


def test_policies_keep_the_latest_every_and_the_best(tmp_path):
    values = {1: 4.0, 2: 1.0, 3: 7.0, 4: 3.0, 5: 5.0}
    for best, kept in (("", "045"), ("loss", "0245"), ("-loss", "0345")):
        folder = tmp_path / (best or "none")
        save(folder, 0, keep=1, best=best)
        for step, value in values.items():  # each in a run of its own, as after kills
            with (folder / "metrics.jsonl").open("a") as log:
                log.write(json.dumps({"step": step, "loss": value}) + "\n")
            save(folder, step, keep=1, every=4, best=best)
        assert "".join(names(folder)) == kept
    with pytest.raises(InputError, match="'los' is not logged; choose one of step, loss"):
        save(folder, 8, keep=1, best="los")


def refused(folder) -> str:
    """What is told where files may have no more than 150 bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, 150))
    with pytest.raises(InputError) as told:
        save(folder, 3)
    return str(told.value)


def test_a_disk_that_refuses_is_one_line_and_old_checkpoints_stay(saved, tmp_path, monkeypatch):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    # In a process that ends, as a run does: orbax reports the first write that fails while others are under way.
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        told = process.submit(refused, tmp_path).result()
    assert re.fullmatch(r"\S+checkpoints: File too large; make room; .+", told)
    assert equal(restored(tmp_path)[0], state(2)) and names(tmp_path) == ["1", "2"]
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: namedtuple("Usage", "free")(1000))
    with pytest.raises(InputError, match="no space left: a checkpoint takes 0.0 MB, 0.0 MB are free"):
        save(tmp_path, 3)
    assert names(tmp_path) == ["1", "2"]


def test_data_of_other_statistics_are_refused(saved):
    restored(saved, {"statistics": {"mean": [0.5, 2]}})
    with pytest.raises(InputError, match=r"other statistics .mean.1. 2 before, 2.25 in these data"):
        restored(saved, {"statistics": {"mean": [0.5, 2.25]}})


def test_sums_are_those_of_coreutils(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_text("abc")
    write_sums(tmp_path)
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc", FIPS 180-4
    assert (tmp_path / "SHA256SUMS").read_text() == f"{digest}  a/b/c\n"
