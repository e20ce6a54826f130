"""Settings as stored: those of earlier names are read, those that there are no more are refused in one line."""

import json

import pytest

from afjax.config import (
    Config,
    DataConfig,
    ObjectiveConfig,
    SamplerConfig,
    TrainingConfig,
    from_dict,
    stored_config,
    to_dict,
)
from afjax.config.dicts import read_config
from afjax.config.earlier_names import SETTINGS
from afjax.errors import InputError

DEFAULT = {"norm": "l2", "channels": "mean", "average": "before", "factor": 0.5}
PAPER = {"norm": "l1", "channels": "sum", "average": "after", "factor": 1.0}


def stored(**reading) -> dict:
    """A config as it was stored when the formula's readings were settings of their own."""
    values = to_dict(Config())
    values["preference"].pop("formula")
    values["preference"] |= reading
    return values


def test_settings_are_read_by_their_earlier_names(tmp_path):
    """Those of a config without defaults, of which each has another value under its earlier name."""
    config = Config(
        objective=ObjectiveConfig("clip", 0.2, 2.0, 0.1, "l1", 0.3, 0.4, {"joint": 0.6, "none": 0.4}),
        sampler=SamplerConfig(guidance_avatar=-0.5, guidance_user=0.25, guidance_joint=1.5),
        training=TrainingConfig(keep_checkpoints=7),
    )
    values = to_dict(config)
    for earlier, today in SETTINGS.items():
        group, name = earlier.split(".")
        values[group][name] = values[group].pop(today)
    assert stored_config(values) == config
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert read_config(tmp_path, Config, "") == config


def test_an_earlier_name_that_is_asked_for_is_answered_with_the_one_of_today():
    with pytest.raises(InputError, match=r"objective: unknown field 'drop_table'; did you mean 'kept_conditions'"):
        from_dict({"objective": {"drop_table": {"joint": 1.0}}})


@pytest.mark.parametrize(("reading", "formula"), [(DEFAULT, "diffusion_dpo"), (PAPER, "paper"), ({}, "diffusion_dpo")])
def test_readings_of_the_formula_have_names(reading, formula, tmp_path):
    values = json.loads(json.dumps(stored(**reading)))
    assert stored_config(values).preference.formula == formula
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert read_config(tmp_path, Config, "").preference.formula == formula


def test_a_solver_that_is_gone_is_read_as_the_one_in_its_place():
    values = to_dict(Config())
    values["sampler"] |= {"solver": "adams_bashforth", "nfe": 7}
    sampler = stored_config(values).sampler
    assert (sampler.solver, sampler.grid, sampler.nfe) == ("dpm_solver_pp", "power", 7)


@pytest.mark.parametrize(("features", "whole"), [("weights", True), ("", False)])
def test_wav2vec2_heard_whole_clips_before_there_was_a_setting(features, whole):
    stored = to_dict(Config(data=DataConfig(features=features)))
    assert not stored_config(stored).data.whole_clips
    del stored["data"]["whole_clips"]
    assert stored_config(stored).data.whole_clips == whole


def test_today_s_settings_stay():
    values = to_dict(Config())
    values["preference"]["formula"] = "paper"
    assert stored_config(values).preference.formula == "paper"


def test_a_reading_that_has_no_name_is_refused_where_it_counts():
    odd = DEFAULT | {"norm": "l1"}
    with pytest.raises(InputError, match="run: no preference.formula has norm l1, channels mean"):
        stored_config(stored(**odd, path="losing", model="run"), "run")
    assert stored_config(stored(**odd)).preference == Config().preference, "nothing was tuned by it"
    with pytest.raises(InputError, match="no preference.formula"):
        stored_config(stored(**DEFAULT | {"norm": ["l1"]}, path="losing", model="run"))


@pytest.mark.parametrize("content", ["[]", "3", '{"preference": 3}', "{"])
def test_what_is_no_config_is_one_line(content, tmp_path):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError) as error:
        read_config(tmp_path, Config, "give a run folder")
    assert "\n" not in str(error.value)
