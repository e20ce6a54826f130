"""One batch, two users: what a hostile one sends changes no bit of what the other one sees."""

import dataclasses

import numpy as np
import pytest

from afjax.audio import mel
from afjax.audio.feature_extractors import MelFeatures
from afjax.streaming import live_step
from afjax.streaming.engine import Engine
from afjax.streaming.session import Session
from tests.small_model import scrambled, small_config
from tests.streaming.test_session_fuzz import BLOCK, DELAY, D, calm_block, disturb

CALM, HOSTILE = 0, 1


@pytest.fixture(scope="module")
def engine():
    small = small_config(block=BLOCK, depth=1)
    config = dataclasses.replace(
        small,
        model=dataclasses.replace(small.model, motion_dim=D, audio_dim=mel.DIM),
        layout=dataclasses.replace(small.layout, user_delay=DELAY),
    )
    ones = [np.ones(width, np.float32) for width in (D, mel.DIM)]
    params = live_step.LiveParams(scrambled(config), (), 0 * ones[0], ones[0], 0 * ones[1], ones[1])
    return Engine(config, params, MelFeatures(), 2)


def talk(engine, steps: int, per_step: int, seed: int | None = None) -> tuple[list[np.ndarray], set[str]]:
    """Motion of the calm session's blocks; and what befell its neighbour, who is there if there is a `seed`.

    The neighbour sends `per_step` mutated inputs a step, is left out where it is not due, and leaves for good at times;
    then somebody joins in its place.
    """
    assert engine.join(seed=3) == CALM
    calm, made, befell = Session(BLOCK, DELAY, D), [], set()
    random, clock, hostile = np.random.default_rng(seed), 0.0, None
    for step in range(steps):
        given = live_step.Inputs(*(np.array(each) for each in live_step.silence(engine.config, 2)))
        place(given, CALM, calm_block(calm, step))
        if seed is not None:
            if hostile is None or random.random() < 0.02:
                if hostile is not None:
                    befell |= {name for name, count in vars(hostile.counts).items() if count}
                    engine.leave(HOSTILE)
                hostile, clock = Session(BLOCK, DELAY, D), 0.0
                assert engine.join(seed=step) == HOSTILE
            for _ in range(per_step):
                disturb(hostile, random, clock)
                clock += random.exponential(BLOCK / 25 / per_step)
            if hostile.due(clock):
                place(given, HOSTILE, hostile.take(clock))
        motion = np.asarray(engine.step(given))
        assert np.isfinite(motion).all()
        made.append(motion[CALM])
    engine.leave(CALM)
    if hostile is not None:
        engine.leave(HOSTILE)
    return made, befell


def place(whole: live_step.Inputs, slot: int, one):
    for array, part in zip(whole, one, strict=True):
        array[slot] = part


def undisturbed(engine, steps: int, per_step: int, seed: int) -> set[str]:
    """Says what befell the hostile one, after checking that the other one noticed nothing."""
    alone, _ = talk(engine, steps, per_step)
    beside, befell = talk(engine, steps, per_step, seed)
    np.testing.assert_array_equal(np.stack(beside), np.stack(alone))
    assert np.ptp(np.stack(alone), axis=0).max() > 0 and engine.compilations == 1
    return befell


@pytest.mark.slow
def test_a_hostile_neighbour_changes_nothing(engine):
    assert undisturbed(engine, 60, 30, seed=0) >= {"absent", "corrupt"}


@pytest.mark.slow
def test_a_hostile_neighbour_changes_nothing_at_length(engine):
    undisturbed(engine, 2_000, 50, seed=1)
