"""The generator: conditions that a model never had in training are dropped, whatever it is asked for."""

import dataclasses

import numpy as np
import pytest

from afjax.config import SamplerConfig
from afjax.streaming.generator import Generator
from tests.small_model import conditions, scrambled, small_config


class Unscaled:
    """Statistics of data that are standardised already."""

    scale_motion = scale_audio = raw_motion = staticmethod(lambda x: x)
    audio_silence = 0.0


def generator(kept_conditions=None) -> Generator:
    config = small_config(depth=1)
    objective = dataclasses.replace(config.objective, kept_conditions=kept_conditions or {})
    config = dataclasses.replace(config, objective=objective, sampler=SamplerConfig(nfe=1))
    return Generator(config, scrambled(config, 0.2), Unscaled)


@pytest.fixture(scope="module")
def talking_only() -> Generator:
    return generator({"avatar": 0.9, "none": 0.1})


@pytest.mark.parametrize("condition_set", ["joint", "avatar", "avatar_and_user_audio", "avatar_and_user_motion"])
def test_a_model_that_never_saw_a_user_ignores_every_user(talking_only, condition_set):
    c = conditions(small_config(), 2, 12)
    one = talking_only.clips(c.avatar_features, c.user_features, c.user_motion, condition_set="joint")
    other = talking_only.clips(
        c.avatar_features, 5 - 2 * c.user_features, 1 + c.user_motion, condition_set=condition_set
    )
    np.testing.assert_array_equal(one, other)
    spoken = talking_only.clips(c.avatar_features + 1, c.user_features, c.user_motion, condition_set="joint")
    assert np.abs(spoken - one).max() > 1e-3


def test_a_model_that_saw_users_answers_to_them():
    c, both = conditions(small_config(), 2, 12), generator()
    joint, alone = (
        both.clips(c.avatar_features, c.user_features, c.user_motion, condition_set=k) for k in ("joint", "avatar")
    )
    other = both.clips(c.avatar_features, c.user_features, c.user_motion + 1, condition_set="joint")
    assert np.abs(joint - alone).max() > 1e-3 and np.abs(joint - other).max() > 1e-3
