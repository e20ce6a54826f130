"""With a delay of d frames, a block that ends before frame e is blind and deaf to the user from frame e - d on."""

import dataclasses

import numpy as np
import pytest

from afjax.config import SamplerConfig
from afjax.errors import InputError
from afjax.streaming.generator import Generator
from afjax.user_delay import delayed
from tests.small_model import conditions, scrambled, small_config
from tests.streaming.test_generator import Unscaled

FRAMES = 25


def generator(user_delay: int) -> Generator:
    config = small_config(block=5, depth=1)
    layout = dataclasses.replace(config.layout, user_delay=user_delay)
    config = dataclasses.replace(config, layout=layout, sampler=SamplerConfig(nfe=1))
    return Generator(config, scrambled(config, 0.2), Unscaled)


def first_difference(made: Generator, at: int) -> int:
    """First frame that differs if the user does something else from frame `at` on."""
    c = conditions(small_config(), 1, FRAMES)
    changed = np.arange(FRAMES)[:, None] >= at
    one = made.clips(c.avatar_features, c.user_features, c.user_motion)
    other = made.clips(c.avatar_features, c.user_features + changed, c.user_motion - changed)
    return int(np.flatnonzero((one != other).any(axis=(0, 2)))[0])


@pytest.mark.parametrize(("user_delay", "at", "block"), [(0, 7, 1), (5, 7, 2), (5, 10, 3), (3, 10, 2), (3, 12, 3)])
def test_an_event_reaches_the_first_block_that_may_know_it(user_delay, at, block):
    assert first_difference(generator(user_delay), at) // 5 == block


def test_delay_equals_tracks_that_come_late():
    c, none, late = conditions(small_config(), 2, FRAMES), generator(0), generator(5)
    shifted = none.clips(c.avatar_features, delayed(c.user_features, 5), delayed(c.user_motion, 5))
    np.testing.assert_array_equal(shifted, late.clips(c.avatar_features, c.user_features, c.user_motion))


def test_before_a_late_user_are_silence_and_the_portrait():
    """In motion without a neutral face and features whose silence is not zero."""
    c, late = conditions(small_config(), 2, FRAMES), generator(5)
    rest = np.array([[1.0, -2.0, 3.0], [0.5, 0.25, -4.0]], np.float32)

    class Silent(Unscaled):
        audio_silence = np.float32([3.0, 1.0, -1.0, 2.0])

    late.normalizer, none = Silent, generator(0)
    shifted = (
        delayed(np.asarray(c.user_features), 5, Silent.audio_silence),
        delayed(np.asarray(c.user_motion), 5, rest),
    )
    np.testing.assert_array_equal(shifted[0][:, :5], np.broadcast_to(Silent.audio_silence, (2, 5, 4)))
    np.testing.assert_array_equal(shifted[1][:, :5], np.repeat(rest[:, None], 5, axis=1))
    np.testing.assert_array_equal(shifted[1][:, 5:], np.asarray(c.user_motion)[:, :-5])
    wanted = none.clips(c.avatar_features, *shifted, reference_motion=rest)
    np.testing.assert_array_equal(
        late.clips(c.avatar_features, c.user_features, c.user_motion, reference_motion=rest), wanted
    )
    at_zero = (delayed(np.asarray(x), 5) for x in (c.user_features, c.user_motion))
    zeros = none.clips(c.avatar_features, *at_zero, reference_motion=rest)
    assert np.abs(zeros - wanted).max() > 1e-4


def test_a_reference_is_needed_where_zero_is_no_face():
    c = conditions(small_config(), 1, FRAMES)
    absolute = Generator(generator(0).config, None, Unscaled, absolute=True)
    with pytest.raises(InputError, match="the portrait's own is missing; give reference_motion="):
        absolute.clips(c.avatar_features, c.user_features, c.user_motion)


def test_delayed_moves_frames_and_starts_with_zeros():
    track = np.arange(1, 9).reshape(1, 4, 2)
    np.testing.assert_array_equal(delayed(track, 1), [[[0, 0], [1, 2], [3, 4], [5, 6]]])
    np.testing.assert_array_equal(delayed(track, 9), np.zeros_like(track))
    assert delayed(track, 0) is track
