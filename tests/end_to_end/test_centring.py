"""A model whose head is off is set right by its streams, and by them alone."""

from types import SimpleNamespace

import numpy as np
import pytest

import afjax
from afjax.avatar.runs import load_run
from afjax.errors import InputError
from data_pipeline import records
from experiments.runs import centring, release


@pytest.fixture(scope="module")
def clips(config):
    return list(records.read_split(config.data.path, "train"))


def test_a_bias_that_was_planted_is_found(workdir, clips):
    run, planted = load_run(workdir), np.zeros(15)
    planted[[1, 8]] = 0.3, -0.2
    off = centring.off(run, clips)
    right = centring.moved(run, off(np.zeros(15)))  # of a network that hardly knows its past the gain is about 1
    wrong = centring.off(centring.moved(right, planted), clips)(np.zeros(15))
    assert wrong[1] < -0.25 and wrong[8] > 0.15
    mended, found = centring.centred(centring.moved(right, planted), clips)
    np.testing.assert_allclose(found[0], wrong, atol=1e-5)
    assert np.abs(found[2]).max() < 0.2 * np.abs(found[0]).max()
    np.testing.assert_allclose(centring.off(mended, clips)(np.zeros(15)), found[2], atol=1e-5)


def test_a_centred_model_is_saved_and_loads(config, workdir, tmp_path):
    made = release.save(workdir, tmp_path / "model", centre=config.data.path)
    off = made["mean_off"]
    assert off["after"] < 0.1 * off["before"]
    old, new = (afjax.load(folder).generator.params["params"] for folder in (workdir, tmp_path / "model"))
    assert (old["head"]["kernel"] == new["head"]["kernel"]).all() and (old["head"]["bias"] != new["head"]["bias"]).any()


def test_conversations_that_do_not_fit_are_refused_before_anything_is_written(workdir, clips, tmp_path, monkeypatch):
    monkeypatch.setattr(centring, "read_split", lambda *_: iter([SimpleNamespace(frames=10), *clips]))
    with pytest.raises(InputError, match="not all of one length"):
        release.save(workdir, tmp_path / "model", centre=load_run(workdir).config.data.path)
    with pytest.raises(InputError, match="no data set here"):
        release.save(workdir, tmp_path / "model", centre=tmp_path / "nowhere")
    assert not (tmp_path / "model").exists()
