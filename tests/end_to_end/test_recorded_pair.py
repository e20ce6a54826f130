"""Real clips: records from a recorded pair, a few steps of training on them, and their evaluation."""

import dataclasses
import json

import numpy as np
import pytest

from afjax.config import from_dict
from data_pipeline.recorded.build import build
from experiments.configs import smoke
from experiments.evaluation import tables
from experiments.runs.train import train_run

pytestmark = pytest.mark.slow

TABLE = """conversation,avatar_video,user_video,avatar_person,user_person,avatar_audio,split
pair,{0}/avatar_forcing/{1},{0}/avatar_forcing/user.mp4,avatar,user,{0}/avatar_forcing/avatar.wav,train
talkers,{0}/sadtalker/{2},{0}/sadtalker/{3},one,two,,eval
"""
FILES = ("rumi-seed25-88942ee804.mp4", "WDA_AlexandriaOcasioCortez_000.mp4", "WDA_KatieHill_000.mp4")


def test_a_recorded_pair_trains_and_is_evaluated(clips, tmp_path):
    (tmp_path / "pairs.csv").write_text(TABLE.format(clips, *FILES))
    summary = build(tmp_path / "pairs.csv", tmp_path / "records", seconds=4.0)
    assert [summary["splits"][split]["clips"] for split in ("train", "eval")] == [3, 2] and not summary["set_aside"]
    sync = json.loads((tmp_path / "records" / "clips" / "talkers" / "result.json").read_text())["sync"]["avatar"]
    assert sync["z"] > 5 and -6 <= sync["lag"] <= 0
    config = from_dict(smoke.get_config().to_dict())
    data = dataclasses.replace(config.data, path=str(tmp_path / "records"), batch=2)
    config = dataclasses.replace(
        config, data=data, training=dataclasses.replace(config.training, num_steps=4, log_every=2)
    )
    assert np.isfinite(train_run(config, tmp_path / "run", samples=False)["loss"])
    arrays, table, _ = tables.of_model(str(tmp_path / "run"))
    assert arrays["user"].shape == (2, 100, 15) and "oracle" not in table
    assert table["model"]["fd"]["mean"] > 0 and table["recorded"]["lip_corr"]["mean"] == pytest.approx(1)
