"""A run becomes the model that ships, and programs use it where no `--workdir` is given."""

import json
import os
import shutil

import numpy as np
import pytest

import afjax
from afjax.avatar import shipped
from afjax.errors import InputError
from data_pipeline.records import read_split
from experiments import cli
from experiments.evaluation import tables
from experiments.export.bundle import stored
from experiments.live import systems
from experiments.runs import data, release


@pytest.fixture
def models(workdir, tmp_path, monkeypatch):
    """The small run as the model that ships."""
    monkeypatch.setattr(shipped, "MODELS", tmp_path / "models")
    release.save(workdir, tmp_path / "models" / "listener")
    return tmp_path / "models"


def test_a_run_and_its_model_move_alike(config, workdir, models):
    run, model = afjax.load(workdir), cli.load_avatar()
    clip = next(iter(read_split(config.data.path, "eval")))
    voice = clip.user_wave[:16_000] / np.float32(32768)
    given = (25, clip.user_motion[:25], voice, voice)
    np.testing.assert_array_equal(model.generate(*given), run.generate(*given))
    assert (model.step, model.folder, model.config.data.path) == (40, models / "listener", "")
    assert cli.load_avatar(workdir).folder == workdir


@pytest.fixture
def built(config, monkeypatch):
    """Simulation, replaced by conversations that are there; -> what was asked for."""
    asked = []

    def build(folder, counts, seconds, seed, listening):
        asked.append((counts, seconds, seed))
        shutil.copytree(config.data.path, folder)

    monkeypatch.setattr(data, "build", build)
    return asked


@pytest.mark.slow
def test_it_is_measured_on_what_its_training_set_aside(config, workdir, models, built, tmp_path):
    out = tmp_path / "out"
    arrays, table, notes = tables.of_model("", out=out)
    want = {"train": data.STATISTICS, "eval": config.data.eval_clips}
    assert built == [(want, config.data.seconds, config.training.seed)]
    assert notes[0] == f"4 conversations of 8 s, {out / 'data'}"
    mine, _, _ = tables.of_model(str(workdir))  # the run knows its conversations
    np.testing.assert_array_equal(arrays["model"], mine["model"])
    tables.write(out, arrays, table, notes)
    tables.of_model("", out=out)
    assert len(built) == 1, "made once"
    assert json.loads((out / "summary.json").read_text())["metrics"]["model"]["fd"]["mean"] > 0
    with pytest.raises(InputError, match="4 eval clips of 200 frames, 6 of 200 are asked for; delete it"):
        tables.of_model("", out=out, clips=6)
    given = tables.of_model("", data=config.data.path, out=tmp_path / "other")[0]
    np.testing.assert_array_equal(given["model"], arrays["model"])
    assert len(built) == 1 and not (tmp_path / "other").exists()


def test_the_live_benchmark_and_the_export_take_it(models, built, tmp_path):
    assert stored(cli.load_avatar(), 1) == []  # the bundle's example is drawn
    with pytest.raises(InputError, match="3 of 200 are asked for"):  # of the fixture's four
        systems.from_run("", out=tmp_path / "out")
    assert built[0][0]["eval"] == systems.CLIPS
    found = systems.from_run("", data="given")
    assert found.data.name == "given" and found.command[-1] == str(models / "listener")


def test_the_card_goes_with_the_model(workdir, tmp_path):
    (tmp_path / "card.md").write_text("for whom")
    summary = release.save(workdir, tmp_path / "model", tmp_path / "card.md")
    assert summary["step"] == 40 and 0 < summary["MB"] < 15
    release.save(workdir, tmp_path / "model")
    assert (tmp_path / "model" / "README.md").read_text() == "for whom"
    (tmp_path / "card.md").write_bytes(b"\xff\xfe\x00")
    for card in ("card.md", "none.md"):
        with pytest.raises(InputError, match=f"{card}: is no model card"):
            release.save(workdir, tmp_path / "model", tmp_path / card)
    with pytest.raises(InputError, match="no such run folder"):
        release.save(tmp_path / "listener", tmp_path / "other")
    assert sorted(os.listdir(tmp_path)) == ["card.md", "model"]
