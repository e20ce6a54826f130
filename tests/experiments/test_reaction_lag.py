"""Reaction of models that are known: one that mirrors its user some frames late, one that never looks."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from afjax import user_delay
from afjax.codec.face.channels import USUAL_HIGH, channel
from afjax.config import Config, LayoutConfig
from afjax.errors import InputError
from afjax.streaming import latency
from experiments.evaluation import reaction_lag
from experiments.live import call_benchmark
from tests.data_pipeline.conftest import _clip

LAG = 7
FEATURES = 100  # of the conversations here


class Avatar:
    """Gives the user's motion LAG frames later, or smiles throughout a block that sees a smile, or never does."""

    def __init__(self, kind: str, block: int, delay: int):
        self.kind, self.block, self.delay = kind, block, delay
        self.normalizer = SimpleNamespace(motion_std=np.full(15, 0.1, np.float32))

    def on_devices(self, devices):
        return self

    def clips(self, avatar_features, user_features, user_motion, seed, condition_set, reference_motion, numbers):
        count, frames, width = user_motion.shape
        if self.kind == "late":
            return np.pad(user_motion, [(0, 0), (LAG, 0), (0, 0)])[:, :frames]
        seen = user_delay.delayed(user_motion, self.delay).reshape(count, -1, self.block, width)
        made = np.broadcast_to(seen.max(2, keepdims=True), seen.shape).reshape(user_motion.shape)
        return made * (self.kind == "at once")


def run(kind, block=10, delay=0):
    layout = LayoutConfig(block=block, user_delay=delay)
    model = replace(Config().model, audio_dim=FEATURES)
    config = replace(Config(), layout=layout, model=model)
    return SimpleNamespace(config=config, generator=Avatar(kind, block, delay), folder=None)


@pytest.fixture(scope="module")
def clips():
    made = [_clip(seed, 300, evaluation=True) for seed in range(10)]
    return [replace(clip, user_motion=0 * clip.user_motion) for clip in made]


@pytest.mark.parametrize(("block", "delay", "behind"), [(10, 0, 400), (5, 5, 0), (5, 3, 80)])
def test_the_models_own_lag_and_the_clocks_are_added(clips, block, delay, behind):
    found, slower = (reaction_lag.measure(run("late", block, delay), clips, 3, headroom) for headroom in (0.1, 0.3))
    assert found["own"]["p50"] == pytest.approx(40 * LAG)
    assert found["model"]["p50"] == pytest.approx(behind + 100 + 40 * LAG)
    assert slower["model"]["p50"] == pytest.approx(behind + 300 + 40 * LAG)
    assert (found["model"]["n"], found["model"]["seen"]) == (30, 1.0)
    assert found["people"] == slower["people"]
    assert 120 <= found["people"]["p50"] <= 560 and 0 < found["people"]["seen"] <= 1


@pytest.mark.parametrize(("block", "delay"), [(10, 0), (10, 10), (5, 3), (5, 5), (10, 20)])
def test_who_smiles_in_the_block_that_sees_it_is_as_early_as_can_be(clips, block, delay):
    """Also in frames before the smile, which are shown after it. Smiles begin with a frame, not anywhere in it."""
    found = reaction_lag.measure(run("at once", block, delay), clips, 3, 0.1)["model"]
    earliest = latency.earliest_reaction(LayoutConfig(block=block, user_delay=delay), 0.1)
    assert found["seen"] == 1.0 and found["p50"] == pytest.approx(earliest["p50"] + 20, abs=21)
    assert found["max"] == pytest.approx(1000 * (max(block, delay) / 25 + 0.1))


def test_clips_without_a_smile_do_not_count(clips):
    smiling = [reaction_lag.smiles_from(clip, 0) for clip in clips[:4]]
    found = reaction_lag.measure(run("late"), smiling + clips[4:], rounds=2)
    assert (found["model"]["n"], found["model"]["seen"]) == (12, 1.0)
    assert reaction_lag.smiles_from(clips[0], -1) is clips[0]


def test_who_never_looks_never_reacts(clips):
    found = reaction_lag.measure(run("never"), clips, rounds=1, headroom=0.1)
    assert found["model"] == {"p50": None, "p95": None, "p99": None, "max": None, "n": 0, "seen": 0.0}


def test_smiles_are_spread_over_a_block_and_change_nothing_before(clips):
    places = reaction_lag.starts(LayoutConfig(block=5), np.ones((20, 500), bool), rounds=4)
    assert np.bincount((places % 5).ravel()).tolist() == [16] * 5 and len(np.unique(places)) > 50
    assert all(len(set(column // 5)) == 4 for column in places.T), "other blocks in every round"
    assert places.min() >= reaction_lag.FIRST and places.max() <= 500 - reaction_lag.RESPONSE
    smiling = reaction_lag.smiles_from(clips[0], 120).user_motion
    np.testing.assert_array_equal(smiling[:120], clips[0].user_motion[:120])
    assert (smiling[120:, channel("smile")] == USUAL_HIGH[channel("smile")]).all() and not clips[0].user_motion.any()
    with pytest.raises(InputError, match="of 6 s hold no smile of a user who does not smile"):
        reaction_lag.starts(LayoutConfig(block=5), np.ones((4, 150), bool), 1)


def test_users_who_smile_anyway_are_not_made_to_smile():
    motion = np.zeros((400, len(USUAL_HIGH)))
    motion[200:230, channel("smile")] = 0.26 * USUAL_HIGH[channel("smile")]
    motion[300:, channel("smile")] = 0.24 * USUAL_HIGH[channel("smile")]
    calm = reaction_lag.calm(motion)
    assert np.flatnonzero(~calm).tolist() == list(range(200 - reaction_lag.CALM + 1, 230 + reaction_lag.CALM))
    places = reaction_lag.starts(LayoutConfig(block=5), np.tile(calm, (8, 1)), rounds=20)
    assert calm[places].all() and (places < 200).any() and (places > 255).any()
    one_block = np.arange(400) // 5 == 40
    places = reaction_lag.starts(LayoutConfig(block=5), np.stack([one_block, calm]), rounds=3)
    assert places[0, 0] // 5 == 40 and (places[1:, 0] == -1).all() and (places[:, 1] > 0).all(), "one block, one smile"
    assert len(reaction_lag.starts(LayoutConfig(block=5), one_block[None], rounds=3)) == 1


@pytest.mark.parametrize("block", [2, 5, 10, 75])
def test_live_smiles_come_where_the_user_does_not_smile_and_are_spread_over_a_block(block):
    calm = np.arange(1500) % 300 > 200
    frames = np.array(call_benchmark.smile_frames(calm, block, events=50, data="d"))
    assert calm[frames.astype(int) % 1500].all() and frames[0] >= 25 * call_benchmark.QUIET
    np.testing.assert_allclose(np.sort(frames % block), (np.arange(50) + 0.5) / 50 * block, atol=1e-6)
    assert (np.diff(np.floor(frames)) > block + call_benchmark.RESPONSE).all(), "over before the next"
    with pytest.raises(InputError, match="d: users smile wherever"):
        call_benchmark.smile_frames(np.zeros(1500, bool), block, events=1, data="d")


def test_a_scene_that_is_repeated_is_calm_around_its_end_too():
    motion = np.zeros((300, len(USUAL_HIGH)))
    motion[5, channel("smile")] = USUAL_HIGH[channel("smile")]
    calm = call_benchmark._calm_in_turns(motion)
    assert len(calm) == 300 and np.flatnonzero(~calm).tolist() == [*range(5 + reaction_lag.CALM + 1), *range(281, 300)]


@pytest.fixture
def of_run(clips, monkeypatch, tmp_path):
    """`reaction_lag.of_run` with a run and conversations that are there."""

    def call(made, clips=clips):
        monkeypatch.setattr(reaction_lag.cli, "load_avatar", lambda _: made)
        monkeypatch.setattr(reaction_lag.eval_set, "held_out", lambda _: clips)
        return reaction_lag.of_run("run", "data", tmp_path, rounds=2, headroom=0.1)

    return call


def test_a_run_is_measured_on_its_conversations(of_run):
    found = of_run(run("late"))
    assert (found["offset_ms"], found["own"]["p50"], found["model"]["p50"]) == (500, 40 * LAG, 500 + 40 * LAG)
    assert {"own", "people"} <= set(found)


@pytest.mark.parametrize(
    ("wrong", "sizes", "message"),
    [
        ({"avatar_oracle": None}, {}, "simulated conversations only"),
        ({}, {"motion_dim": 128}, "have 15 motion channels, the model 128"),
        ({}, {"audio_dim": 768}, "audio features, the model 768"),
    ],
)
def test_conversations_that_do_not_fit_are_refused(clips, of_run, wrong, sizes, message):
    made = run("late")
    made.config = replace(made.config, model=replace(made.config.model, **sizes))
    with pytest.raises(InputError, match=message):
        of_run(made, [replace(clip, **wrong) for clip in clips])


def test_the_table_is_json(clips):
    json.dumps(reaction_lag.measure(run("never"), clips, rounds=1, headroom=0.0), allow_nan=False)
