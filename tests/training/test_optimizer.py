"""Muon in stacks is Muon."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax import contrib

from afjax.config import Config
from afjax.training.optimizer import make_optimizer, schedule

SHAPES = {"a": (6, 4), "b": (6, 4), "c": (4, 6), "d": (5, 5), "e": (6, 4), "bias": (4,)}


def test_stacks_of_matrices_are_updated_as_each_alone():
    config = dataclasses.replace(Config().optimizer, weight_decay=0.1)
    rate, adam = (schedule(peak, config, 9) for peak in (config.muon_learning_rate, config.learning_rate))
    alone = optax.chain(
        optax.clip_by_global_norm(config.clip),
        contrib.muon(rate, ns_steps=3, weight_decay=config.weight_decay, adam_b2=config.beta2, adam_learning_rate=adam),
    )
    stacked, rng = make_optimizer(config, 9), np.random.default_rng(0)
    params = {"layer": {name: jnp.asarray(rng.standard_normal(shape)) for name, shape in SHAPES.items()}}
    states = [rule.init(params) for rule in (alone, stacked)]
    for _ in range(4):
        grads = jax.tree.map(lambda p: jnp.asarray(rng.standard_normal(p.shape)), params)
        (one, states[0]), (other, states[1]) = (
            jax.jit(rule.update)(grads, state, params)
            for rule, state in zip((alone, stacked), states, strict=True)
        )  # fmt: skip
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-7), one, other)
        params = optax.apply_updates(params, other)
    assert float(jnp.abs(other["layer"]["a"]).max()) > 1e-4
    shapes = [[x.shape for x in jax.tree.leaves(state)] for state in states]
    assert shapes[0] == shapes[1], "the state holds a momentum for each matrix"
