"""Preference tuning: losing samples are made, a model is tuned with them, and stops where it goes too far."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import afjax
from afjax.avatar import shipped
from afjax.avatar.runs import load_run
from afjax.config import Config
from afjax.errors import InputError
from data_pipeline import preferences, records
from experiments.preferences import listener_release
from experiments.preferences.losing_samples import losing as losing_of
from experiments.preferences.losing_samples import make_preferences
from experiments.runs import release
from experiments.runs.train import train_run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def losing(config, workdir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("losing") / "losing"
    make_preferences(load_run(workdir), config.data.path, folder)
    return folder


def tuned(config: Config, workdir, losing, **changes) -> Config:
    settings = {"path": str(losing), "model": str(workdir), "validation_clips": 2} | changes
    training = dataclasses.replace(config.training, num_steps=20, save_every=10, sample_every=10)
    optimizer = dataclasses.replace(config.optimizer, kind="adamw", warmup_steps=1)
    preference = dataclasses.replace(config.preference, **settings)
    return dataclasses.replace(config, preference=preference, training=training, optimizer=optimizer)


def test_losing_samples_are_made_once_and_go_on(config, workdir, losing, monkeypatch):
    made = preferences.read_losing(losing, 4)
    assert [motions.shape for motions in made] == [(2, 200, 15)] * 4
    assert np.abs(made[0][0] - made[0][1]).max() > 0.01
    run = load_run(workdir)
    (losing / "losing-00000.array_record").unlink()
    make_preferences(run, config.data.path, losing)
    np.testing.assert_array_equal(preferences.read_losing(losing, 4), made)
    with pytest.raises(InputError, match="begun with another seed"):
        make_preferences(run, config.data.path, losing, seed=1)


def test_samples_that_an_earlier_version_began_go_on(config, workdir, losing):
    """Its sampler had other names, and neither a scale of the reaction nor a temperature."""
    path = losing / preferences.PROVENANCE
    provenance = json.loads(path.read_text())
    earlier = {name.removeprefix("guidance_"): value for name, value in provenance["sampler"].items()}
    earlier["start"] = earlier.pop("start_frames")
    for name in ("reaction", "temperature"):
        del earlier[name]
    digest = provenance.pop("motion_sha256")
    path.write_text(json.dumps(provenance | {"sampler": earlier}))
    make_preferences(load_run(workdir), config.data.path, losing)
    path.write_text(json.dumps(provenance | {"sampler": earlier | {"nfe": 99}}))
    with pytest.raises(InputError, match="begun with another sampler"):
        make_preferences(load_run(workdir), config.data.path, losing)
    path.write_text(json.dumps(provenance | {"motion_sha256": digest}))


def test_another_user_is_not_no_user(config, workdir, losing, tmp_path):
    make_preferences(load_run(workdir), config.data.path, tmp_path / "both", ["dropped", "partner"])
    dropped, both = (preferences.read_losing(folder, 4)[0] for folder in (losing, tmp_path / "both"))
    assert len(dropped) == 2 and len(both) == 4 and (both[:2] == dropped).all()
    assert np.abs(both[2:] - dropped).max() > 1e-3
    assert preferences.read_provenance(tmp_path / "both")["user"] == "dropped, partner"


@pytest.mark.parametrize(("user", "heard", "seen"), [("dropped", 0, 0), ("unseen", 1, 0), ("kept", 1, 1)])
def test_losing_samples_have_the_senses_that_their_name_says(config, workdir, user, heard, seen):
    clips = list(records.read_split(config.data.path, "train"))
    mute = [dataclasses.replace(clip, user_features=np.zeros_like(clip.user_features)) for clip in clips]
    still = [dataclasses.replace(clip, user_motion=np.zeros_like(clip.user_motion)) for clip in clips]
    made = [losing_of(load_run(workdir), clips, watched, range(2), user, (0,)) for watched in (clips, mute, still)]
    moved = [np.abs(made[0] - other).max() > 1e-3 for other in made[1:]]
    assert moved == [heard, seen]


def test_tuning_stops_keeps_the_last_good_state_and_logs_what_it_should(config, workdir, losing, tmp_path):
    summary = train_run(
        tuned(config, workdir, losing, max_fd_growth=0.0, max_lip_corr_drop=0.0), tmp_path / "run", samples=False
    )
    assert summary["steps"] in (0, 10) and "at step" in summary["stopped"]
    run = load_run(tmp_path / "run")
    assert run.step == summary["steps"]
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"flow", "preference", "margin", "accuracy", "grad_weight", "drift"} <= set(lines[-1]) and lines[-1][
        "drift"
    ] > 0
    validated = [json.loads(line) for line in (tmp_path / "run" / "validation.jsonl").read_text().splitlines()]
    assert [line["step"] for line in validated] == [0, 10, 20][: len(validated)] and len(validated) >= 2
    before = load_run(workdir).generator.params
    distances = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), before, run.generator.params)
    assert max(jax.tree.leaves(distances)) < 0.5 and (max(jax.tree.leaves(distances)) > 0) == (run.step > 0)


def test_a_model_folder_is_tuned_on_other_data_by_its_own_statistics(config, workdir, losing, tmp_path):
    model = load_run(workdir)
    model.save(tmp_path / "model")
    shutil.copytree(config.data.path, tmp_path / "data")
    metadata = records.read_metadata(tmp_path / "data")
    other = dataclasses.replace(metadata.normalizer, motion_std=2 * metadata.normalizer.motion_std)
    records.write_metadata(tmp_path / "data", dataclasses.replace(metadata, normalizer=other))
    elsewhere = dataclasses.replace(config, data=dataclasses.replace(config.data, path=str(tmp_path / "data")))
    features = dataclasses.replace(metadata.normalizer, audio_mean=metadata.normalizer.audio_mean + 1)
    assert preferences.motion_sha256(features) == preferences.motion_sha256(metadata.normalizer)
    with pytest.raises(InputError, match="of other conversations than data.path"):
        train_run(tuned(elsewhere, tmp_path / "model", losing), tmp_path / "run", samples=False)
    make_preferences(afjax.load(tmp_path / "model"), tmp_path / "data", tmp_path / "losing")
    made, wanted = (preferences.read_losing(folder, 4) for folder in (tmp_path / "losing", losing))
    np.testing.assert_array_equal(made, wanted)
    elsewhere = tuned(elsewhere, tmp_path / "model", tmp_path / "losing", max_fd_growth=9.0)
    train_run(elsewhere, tmp_path / "run", samples=False)
    found = load_run(tmp_path / "run")
    assert found.normalizer.to_json() == model.normalizer.to_json() != other.to_json()
    validated = [json.loads(line) for line in (tmp_path / "run" / "validation.jsonl").read_text().splitlines()]
    train_run(tuned(config, workdir, losing, max_fd_growth=9.0), tmp_path / "plain", samples=False)
    plain = [json.loads(line) for line in (tmp_path / "plain" / "validation.jsonl").read_text().splitlines()]
    assert validated == plain
    release.save(tmp_path / "run", tmp_path / "half", share=0.5)
    ends = (model.generator.params, found.generator.params)
    half = jax.tree.map(lambda before, after: before + np.float32(0.5) * (after - before), *ends)
    jax.tree.map(np.testing.assert_array_equal, afjax.load(tmp_path / "half").generator.params, half)
    assert max(jax.tree.leaves(jax.tree.map(lambda x, y: float(np.abs(x - y).max()), *ends))) > 0
    with pytest.raises(InputError, match="was not tuned by preferences"):
        release.save(workdir, tmp_path / "no", share=0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "/nowhere"}, "no losing samples"),
        ({"model": "/nowhere"}, "no such run folder"),
        ({"model": "listener_fast"}, "was distilled .* tune its teacher, listener"),
    ],
)
def test_missing_folders_are_named(config, workdir, losing, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        train_run(tuned(config, workdir, losing, **changes), tmp_path / "run")


def test_one_command_makes_the_models_that_ship(config, workdir, tmp_path, monkeypatch):
    """The training has ended, so that the command tunes and saves; cards of the models that ship stay theirs."""
    models = tmp_path / "models"
    monkeypatch.setattr(shipped, "MODELS", models)
    (models / "listener_base").mkdir(parents=True)
    (models / "listener_base" / "README.md").write_text("the card")
    out = tmp_path / "out"
    shutil.copytree(workdir, out / "run")
    tuning = tuned(config, "", "", max_fd_growth=1e6, max_lip_corr_drop=1.0)
    made = listener_release.make(config, tuning, out)
    assert made["mean_off"]["after"] < 0.1 * made["mean_off"]["before"]
    base, model, whole = (afjax.load(out / name) for name in ("base", "model", "tuned"))
    np.testing.assert_array_equal(*(_head(model) for model in (base, load_run(workdir))))
    np.testing.assert_allclose(_head(model), _part_way(_head(base), _head(whole)), rtol=1e-4, atol=1e-7)
    assert np.abs(_head(whole) - _head(base)).max() > 1e-4
    assert (out / "base" / "README.md").read_text() == "the card"
    assert preferences.read_provenance(out / "losing")["user"] == "dropped, unseen"
    trained = (out / "tuned" / "metrics.jsonl").read_bytes()
    (out / "model" / "model.json").unlink()
    listener_release.make(config, tuning, out)  # as after a stop: only what is missing
    assert (out / "tuned" / "metrics.jsonl").read_bytes() == trained
    np.testing.assert_array_equal(_head(afjax.load(out / "model")), _head(model))


def test_it_is_centred_on_other_conversations_than_it_was_trained_on(config, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(listener_release, "simulated", lambda *args: asked.append(args) or tmp_path / "listening")
    simulating = dataclasses.replace(config, data=dataclasses.replace(config.data, path="", train_clips=1000))
    assert listener_release._conversations(simulating, tmp_path / "listening") == tmp_path / "listening"
    (made, folder, counts, _, listening) = asked[0]
    assert (counts, made.data.seconds, listening) == ({"train": 256, "eval": 4}, 30.0, 0.6)
    assert made.training.seed == config.training.seed + 11
    few = dataclasses.replace(simulating, data=dataclasses.replace(simulating.data, train_clips=4))
    listener_release._conversations(few, folder)
    assert asked[1][2]["train"] == 4


@pytest.mark.slow
def test_the_command_makes_them_from_nothing(tmp_path):
    pytest.importorskip("espeakng_loader")
    small = {"data.train_clips": 4, "data.eval_clips": 2, "data.seconds": 8, "data.batch": 2, "training.num_steps": 2}
    flags = [f"--{which}.{name}={value}" for which in ("config", "tuning") for name, value in small.items()]
    flags += [
        "--config.training.listening_steps=1",
        "--config.training.probe_every=0",
        "--tuning.training.save_every=2",
    ]
    flags += ["--tuning.training.sample_every=2", "--tuning.preference.validation_clips=2", f"--out={tmp_path / 'out'}"]
    command = [sys.executable, "-m", "experiments.make_listener", *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert afjax.load(tmp_path / "out" / "model").config.name == "dpo_listener"
    assert afjax.load(tmp_path / "out" / "base").step == 2


def test_the_models_that_ship_are_replaced_where_asked(config, workdir, tmp_path, monkeypatch):
    models, out = tmp_path / "models", tmp_path / "out"
    monkeypatch.setattr(shipped, "MODELS", models)
    for name in ("listener", "listener_base"):
        (models / name).mkdir(parents=True)
        (models / name / "README.md").write_text(f"card of {name}")
    shutil.copytree(workdir, out / "run")
    tuning = tuned(config, "", "", max_fd_growth=1e6, max_lip_corr_drop=1.0)
    listener_release.make(config, tuning, out)
    assert sorted(shipped.shipped()) == []
    listener_release.make(config, tuning, out, ship=True)  # what is made already is shipped as it is
    base, model, whole = (_head(afjax.load(where)) for where in ("listener_base", "listener", out / "tuned"))
    np.testing.assert_allclose(model, _part_way(base, whole), rtol=1e-4, atol=1e-7)
    assert np.abs(whole - base).max() > 1e-4
    assert [(models / n / "README.md").read_text() for n in ("listener", "listener_base")] == [
        "card of listener",
        "card of listener_base",
    ]


def test_a_tuning_that_cannot_follow_is_refused_before_any_work(config, tmp_path):
    tuning = tuned(config, "", "")
    for group, changes in (("model", {"width": 64}), ("training", {"seed": 7}), ("data", {"seconds": 12.0})):
        other = dataclasses.replace(config, **{group: dataclasses.replace(getattr(config, group), **changes)})
        with pytest.raises(InputError, match=rf"--tuning is not as --config \({group}\.{next(iter(changes))}"):
            listener_release.make(other, tuning, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _part_way(base: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return base + listener_release.SHARE * (whole - base)


def _head(model) -> np.ndarray:
    return np.asarray(jax.tree.leaves(model.generator.params)[-1])
