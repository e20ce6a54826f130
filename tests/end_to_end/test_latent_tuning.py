"""A model of latent motion the whole way: trained, losing samples, tuned by preferences, measured; what it can't do."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from afjax.avatar.runs import load_run
from afjax.config import Config
from afjax.errors import InputError
from data_pipeline import preferences
from experiments.evaluation import eval_set, reaction_lag, tables
from experiments.preferences.losing_samples import make_preferences
from experiments.runs.train import train_run
from tests.latent_conversations import DIM, DIRECTIONS, FRAMES, LAG, SPLITS, write

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Config:
    config = write(tmp_path_factory.mktemp("latent"))
    return dataclasses.replace(
        config, training=dataclasses.replace(config.training, keep_checkpoints=1, keep_best="held_out/loss")
    )


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    train_run(config, folder, samples=False)
    return folder


def read(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_training_keeps_the_checkpoint_of_the_smallest_held_out_loss(trained):
    lines = read(trained / "metrics.jsonl")
    held_out = {line["step"]: line["held_out/loss"] for line in lines}
    kept = {int(path.name) for path in trained.glob("checkpoints/[0-9]*")}
    assert set(held_out) == {2, 4, 6} and kept == {6, min(held_out, key=held_out.get)}
    assert all(line["learning_rate"] > 0 for line in lines)


def test_tuning_and_figures_are_of_latent_motion(config, trained, tmp_path):
    make_preferences(load_run(trained), config.data.path, tmp_path / "losing", per_clip=1)
    losing = preferences.read_losing(tmp_path / "losing", SPLITS["train"])
    assert losing[0].shape == (1, FRAMES, DIM) and np.isfinite(losing).all()
    preference = dataclasses.replace(
        config.preference, path=str(tmp_path / "losing"), model=str(trained), validation_clips=3, max_fd_growth=100.0
    )
    optimizer = dataclasses.replace(config.optimizer, kind="adamw", warmup_steps=1)
    tuned = dataclasses.replace(config, preference=preference, optimizer=optimizer)
    summary = train_run(tuned, tmp_path / "tuned", samples=False)
    assert summary["steps"] == 6 and summary["stopped"] is None
    validated = read(tmp_path / "tuned" / "validation.jsonl")
    assert [line["step"] for line in validated] == [0, 2, 4, 6] and all(line["fd"] > 0 for line in validated)
    assert set(validated[0]) == {"step", "fd", "variance", "response_peak_motion"}, "latents have no lips"
    before, after = (load_run(folder).generator.params for folder in (trained, tmp_path / "tuned"))
    apart = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), before, after)
    assert 0 < max(jax.tree.leaves(apart)) < 0.5

    arrays, table, _ = tables.of_model(str(tmp_path / "tuned"), out=tmp_path / "evaluation")
    assert arrays["model"].shape == (SPLITS["eval"], FRAMES, DIRECTIONS)
    told = {"fd", "rpcc_motion", "rpcc_corpus_motion", "pfd_motion", "variance", "sid", "jitter_inside"}
    assert told <= set(table["model"]) and table["model"]["fd"]["mean"] > 0
    assert not [name for name in table["model"] if name.startswith(("lip", "event", "fd_pose", "response_share"))]
    assert table["recorded"]["response_lag_ms_motion"]["mean"] == pytest.approx(40 * LAG, abs=40)
    tables.write(tmp_path, arrays, table, [])


def test_the_portrait_is_told_to_a_model_of_absolute_motion(config, trained):
    run = load_run(trained)
    clips = eval_set.held_out(config.data.path, run.codec().channels)
    one = eval_set.generate(run, clips, kept={"model": "joint"})["model"]
    moved = [dataclasses.replace(clip, avatar_reference=clip.avatar_reference + 5) for clip in clips]
    other = eval_set.generate(run, moved, kept={"model": "joint"})["model"]
    assert np.abs(one - other).max() > 1e-4
    with pytest.raises(InputError, match="the portrait's own is missing"):
        run.generate(10)
    assert run.generate(10, reference_motion=clips[0].rest).shape == (10, DIM)


def test_what_latents_do_not_have_is_refused_in_a_line(config, trained, tmp_path):
    with pytest.raises(InputError, match="the figures are of the face codec's channels"):
        reaction_lag.of_run(str(trained), "", tmp_path)
    nowhere = dataclasses.replace(config.data, codec="")
    losing = tmp_path / "losing"
    preferences.begin(losing, {"user": "dropped"})
    preference = dataclasses.replace(config.preference, path=str(losing), model=str(trained))
    with pytest.raises(InputError, match="set data.codec to the run folder"):
        train_run(dataclasses.replace(config, data=nowhere, preference=preference), tmp_path / "run", samples=False)
