"""Distillation of a run: a run folder of its own, which streams with one evaluation."""

import dataclasses
import json

import numpy as np
import pytest

import afjax
from afjax.config import Config
from afjax.errors import InputError
from data_pipeline.records import read_split
from experiments.runs.train import train_run


def student(config: Config, teacher, steps: int = 6, **sampler) -> Config:
    sampler = {
        "nfe": 1,
        "solver": "euler",
        "guidance_avatar": 0.0,
        "guidance_user": 0.0,
        "guidance_joint": 1.0,
    } | sampler
    changes = {
        "distillation": {"model": str(teacher)}, "layout": {"tokens": "stream"}, "objective": {"clean_prefix": 0.0},
        "sampler": sampler, "optimizer": {"kind": "adamw", "learning_rate": 1e-3, "warmup_steps": 1, "ema": 0.5},
        "training": {"num_steps": steps, "save_every": 3, "log_every": 3, "probe_every": 0},
    }  # fmt: skip
    return dataclasses.replace(
        config, **{name: dataclasses.replace(getattr(config, name), **values) for name, values in changes.items()}
    )


@pytest.mark.slow
def test_a_guided_model_is_distilled_to_one_evaluation(config, workdir, tmp_path):
    run = afjax.load(workdir)
    guided = dataclasses.replace(run.config.sampler, nfe=6, guidance_joint=3.0)
    teacher = run.with_config(dataclasses.replace(run.config, sampler=guided))
    teacher.save(tmp_path / "teacher")
    train_run(student(config, tmp_path / "teacher", steps=24), tmp_path / "run", samples=False)
    found = afjax.load(tmp_path / "run")
    logged = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert logged[-1]["endpoint"] < 0.8 * logged[0]["endpoint"]

    clip = next(iter(read_split(config.data.path, "eval")))
    given = (clip.avatar_features[None], clip.user_features[None], clip.user_motion[None])
    ours, theirs = (run.generator.clips(*given) for run in (found, teacher))
    before = dataclasses.replace(teacher.config, sampler=found.config.sampler)
    untaught = teacher.with_config(before).generator.clips(*given)
    assert np.abs(ours - theirs).mean() < np.abs(untaught - theirs).mean()


def test_teachers_that_do_not_fit_are_named(config, workdir, tmp_path):
    with pytest.raises(InputError, match="no model of this name"):
        train_run(student(config, tmp_path / "nobody"), tmp_path / "a", samples=False)
    with pytest.raises(InputError, match=r"model\.width"):
        train_run(student(config, "listener"), tmp_path / "b", samples=False)
    with pytest.raises(InputError, match="a divisor of its nfe"):
        train_run(student(config, workdir, nfe=7), tmp_path / "c", samples=False)
