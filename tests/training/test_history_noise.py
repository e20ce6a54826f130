"""Noise in the clean history: its range, where it goes, and what the model is told."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.diffusion import noise_levels
from afjax.nn.transformer import Answer
from afjax.training.generator import step as training
from afjax.training.generator.state import token_layout
from tests.small_model import small_config


def noised(most):
    config = small_config()
    return replace(config, objective=replace(config.objective, clean_prefix=1.0, history_noise=most))


@pytest.fixture(scope="module")
def draws():
    """What chance decides in one step without noise in the history and with up to 0.3."""
    return tuple(training.make_random_inputs(noised(most))(7) for most in (0.0, 0.3))


def test_the_noise_is_uniform_in_its_range_and_one_a_clip():
    drawn = np.asarray(noise_levels.sample_history_noise(jax.random.key(0), 4000, 0.3))
    assert drawn.shape == (4000, 1) and drawn.min() >= 0 and drawn.max() <= 0.3
    assert drawn.mean() == pytest.approx(0.15, abs=0.01) and drawn.std() == pytest.approx(0.3 * 12**-0.5, abs=0.01)
    assert not np.asarray(noise_levels.sample_history_noise(jax.random.key(0), 10, 0.0)).any()


def test_all_other_draws_stay_what_they_were(draws):
    plain, other = draws
    for name in ("noise", "noise_level", "condition_mask"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(other, name))
    assert not np.asarray(plain.history).any() and np.asarray(other.history).all()


class Seen:
    """A model that hands back what it is given."""

    config = small_config().model

    def apply(self, params, x, level, *rest, method):
        self.x, self.noise_level = np.asarray(x), np.asarray(level)
        return x, Answer(None, None)


def test_history_gets_noise_that_the_model_is_not_told_of(draws):
    draw, layout = draws[1], token_layout(noised(0.3))
    rng = np.random.default_rng(0)
    shapes = {"avatar_features": 4, "user_features": 4, "user_motion": 3}
    frames = draw.noise_level.shape
    batch = {name: jnp.asarray(rng.standard_normal((*frames, width))) for name, width in shapes.items()}
    motion = jnp.asarray(rng.standard_normal((*frames, 3)), jnp.float32)
    seen = Seen()
    _, level = training.velocity_error(seen, None, batch | {"reference_motion": motion[:, 0]}, motion, draw, layout)
    told = np.where(layout.is_clean, 0.0, np.asarray(draw.noise_level)[:, layout.frame])
    np.testing.assert_array_equal(seen.noise_level, told)
    np.testing.assert_array_equal(level, told)  # frames of level 0 carry no loss
    history = told == 0
    assert history.any() and layout.is_clean.any() and not history.all()
    share = np.where(history, np.asarray(draw.history), told)[..., None]
    clean, noise = np.asarray(motion)[:, layout.frame], np.asarray(draw.noise)[:, layout.frame]
    np.testing.assert_allclose(seen.x, (1 - told[..., None]) * clean + share * noise, atol=1e-6)
