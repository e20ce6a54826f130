"""Reaction of models that are known: one that mirrors its user some frames late, one that never looks."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from afjax.codec.face.channels import HIGH, channel
from afjax.config import Config, LayoutConfig
from afjax.errors import InputError
from experiments import reaction
from tests.data_pipeline.conftest import _clip

LAG = 7


class Mirror:
    """Gives the user's motion LAG frames later, or nothing at all."""

    def __init__(self, attentive: bool):
        self.attentive, self.statistics = attentive, SimpleNamespace(motion_std=np.ones(15, np.float32) * 0.1)

    def clips(self, avatar_features, user_features, user_motion, seed, keep):
        late = np.pad(user_motion, [(0, 0), (LAG, 0), (0, 0)])[:, : user_motion.shape[1]]
        return late * self.attentive


def run(attentive, **layout):
    return SimpleNamespace(config=replace(Config(), layout=LayoutConfig(**layout)), generator=Mirror(attentive))


@pytest.fixture(scope="module")
def clips():
    made = [_clip(seed, 300, evaluation=True) for seed in range(4)]
    return [replace(clip, user_motion=0 * clip.user_motion) for clip in made]


@pytest.mark.parametrize(("block", "delay", "behind"), [(10, 0, 400), (5, 5, 0), (5, 3, 80)])
def test_the_models_own_lag_and_the_clocks_are_added(clips, block, delay, behind):
    found = reaction.measure(run(True, block=block, user_delay=delay), clips, rounds=3, headroom=0.1)
    assert found["model"]["p50"] == pytest.approx(behind + 100 + 40 * LAG)
    assert (found["model"]["n"], found["model"]["seen"]) == (12, 1.0)
    assert 160 <= found["people"]["p50"] <= 560 and 0 < found["people"]["seen"] <= 1


def test_who_never_looks_never_reacts(clips):
    found = reaction.measure(run(False), clips, rounds=1, headroom=0.1)
    assert found["model"] == {"p50": None, "p95": None, "p99": None, "max": None, "n": 0, "seen": 0.0}


def test_smiles_are_spread_over_a_block_and_change_nothing_before(clips):
    places = reaction.starts(LayoutConfig(block=5), clips=4, frames=300, rounds=10)
    assert np.bincount((places % 5).ravel()).tolist() == [8] * 5
    assert places.min() >= reaction.FIRST and places.max() <= 300 - reaction.RESPONSE
    smiling = reaction.smiles_from(clips[0], 120).user_motion
    np.testing.assert_array_equal(smiling[:120], clips[0].user_motion[:120])
    assert (smiling[120:, channel("smile")] == HIGH[channel("smile")]).all() and not clips[0].user_motion.any()
    with pytest.raises(InputError, match="too short"):
        reaction.starts(LayoutConfig(block=5), 4, 150, 1)


def test_the_table_is_json(clips):
    json.dumps(reaction.measure(run(False), clips, rounds=1, headroom=0.0), allow_nan=False)
