"""Motion memory banks: what they recall, who queries which, and that all of them learns."""

import dataclasses
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.config import ModelConfig
from afjax.errors import InputError
from afjax.nn.condition_encoder import ConditionEncoder, Conditions, MemoryBank
from tests.small_model import conditions, small_config

ENCODER = ConditionEncoder(width=16, out_width=12, heads=2, rotary=True, memory_size=5)
FRAMES = 6


def test_a_bank_of_equal_vectors_recalls_the_same_whatever_is_asked():
    bank = MemoryBank(size=7, heads=2)
    queries = jnp.asarray(np.random.default_rng(0).standard_normal((2, 3, 8)), jnp.float32)
    params = jax.jit(bank.init)(jax.random.key(0), queries)
    assert params["params"]["bank"].shape == (7, 8)
    spread = bank.apply(params, queries)
    assert float(jnp.abs(spread - spread[:1, :1]).max()) > 1e-2
    params["params"]["bank"] = jnp.broadcast_to(params["params"]["bank"][:1], (7, 8))
    same = bank.apply(params, queries)
    np.testing.assert_allclose(same, jnp.broadcast_to(same[:1, :1], same.shape), atol=1e-6)


def whole(encoder: ConditionEncoder, c: Conditions):
    """All frames see each other, nothing is dropped."""
    every = jnp.ones((FRAMES, FRAMES), bool)
    return encoder(encoder.project(c), jnp.ones((1, 3)), every, jnp.arange(FRAMES))


def given() -> Conditions:
    return conditions(small_config(), 1, FRAMES)


@cache
def initial():
    return jax.jit(partial(ENCODER.init, method=whole))(jax.random.key(1), given())


def test_the_gradient_reaches_both_banks():
    """All but the keys' biases: they add one number to all scores of a query, which a softmax does not see."""
    params = initial()
    target = np.random.default_rng(3).standard_normal((1, FRAMES, 12))

    @jax.jit
    @jax.grad
    def slope(params):
        return jnp.square(ENCODER.apply(params, given(), method=whole) - target).mean()

    gradient = jax.device_get(slope(params))["params"]
    for name in ("verbal", "non_verbal"):
        leaves = jax.tree_util.tree_leaves_with_path(gradient[name])
        assert len(leaves) == 9
        for path, leaf in leaves:
            rows = np.abs(leaf).reshape(len(leaf), -1).max(axis=1)
            if jax.tree_util.keystr(path) != "['attention']['k']['bias']":
                assert float(rows.min()) > 1e-7, path
    assert "avatar" not in gradient


@pytest.mark.parametrize(
    "changed, who", [("avatar_features", "verbal"), ("user_features", "non_verbal"), ("user_motion", "non_verbal")]
)
def test_each_person_queries_their_own_bank(changed, who):
    c = given()
    params = initial()

    def recalled(c):
        def banks(module, name):
            return isinstance(module, MemoryBank)

        _, seen = ENCODER.apply(params, c, method=whole, capture_intermediates=banks)
        return {name: seen["intermediates"][name]["__call__"][0] for name in ("verbal", "non_verbal")}

    shift_frames, after = recalled(c), recalled(c._replace(**{changed: 1 - getattr(c, changed)}))
    for name in shift_frames:
        assert (float(jnp.abs(after[name] - shift_frames[name]).max()) > 1e-3) == (name == who)


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="memory_size must be positive for the memory condition encoder"):
        ModelConfig(condition_encoder="memory")
    with pytest.raises(InputError, match="and 0 for the others"):
        ModelConfig(memory_size=64)
    with pytest.raises(InputError, match="choose one of windowed, released, memory"):
        ModelConfig(condition_encoder="banks")
    config = small_config(encoder="memory")
    layout = dataclasses.replace(config.layout, condition_window=8)
    assert dataclasses.replace(config, layout=layout).layout.condition_window == 8
