"""Parts of a batch, rematerialised blocks and bfloat16: what they change, and what they must not."""

import dataclasses
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from afjax.config import ComputeConfig, from_dict, to_dict
from afjax.errors import InputError
from afjax.nn.logical_axes import logical_axes
from afjax.nn.transformer import ForcingTransformer
from afjax.training import sharding
from afjax.training.generator.state import init_params, token_layout
from afjax.training.generator.step import generator_loss, make_random_inputs
from tests.multidevice.cases import batch_of, settings, trained
from tests.small_model import scrambled, small_config


@cache
def after(tuned: bool = False, **compute):
    """Losses and weights after two steps."""
    config = settings("sgd", tuned, **compute)
    start = scrambled(config, 0.1)
    losses, state, _ = trained(config, 2, start=start, ref_params=start if tuned else None)
    return losses, state


@pytest.mark.parametrize("tuned", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(tuned):
    losses, state = after(tuned)
    in_parts, other = after(tuned, accumulate=4)
    np.testing.assert_allclose(in_parts, losses, rtol=1e-5)
    for a, b in zip(*(jax.tree.leaves(s.params) for s in (other, state)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.slow
def test_rematerialised_blocks_change_nothing():
    losses, state = after()
    again, other = after(remat=True)
    np.testing.assert_allclose(again, losses, rtol=1e-5)
    assert jax.tree.structure(other) == jax.tree.structure(state)


def equations(jaxpr):
    """All equations, those of inner functions too."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from equations(inner)


@pytest.mark.parametrize("encoder", ["windowed", "released", "memory"])
def test_bfloat16_is_for_layers_and_float32_for_what_needs_it(encoder):
    config = small_config(encoder)
    batch, draw, layout = batch_of(config, 0), jax.eval_shape(make_random_inputs(config), 0), token_layout(config)
    model = ForcingTransformer(config.model, "bfloat16")
    params = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
    traced = jax.make_jaxpr(lambda params, draw: generator_loss(model, "l2", params, batch, draw, layout)[0])(
        params, draw
    )
    dtypes = {}
    for equation in equations(traced.jaxpr):
        dtypes.setdefault(equation.primitive.name, []).extend(x.aval.dtype for x in equation.invars[:1])
    narrow = [dtype == jnp.bfloat16 for dtype in dtypes["dot_general"]]
    assert narrow.count(False) == 2  # the level's embedding
    for name in ("exp", "sin", "cos", "sqrt", "rsqrt", "reduce_sum"):
        assert jnp.bfloat16 not in dtypes.get(name, []), name
    assert traced.out_avals[0].dtype == jnp.float32


def test_bfloat16_trains_float32_weights_to_nearly_the_same_loss():
    losses, state = after()
    rounded, other = after(precision="bfloat16")
    assert {leaf.dtype for leaf in jax.tree.leaves(other)} == {leaf.dtype for leaf in jax.tree.leaves(state)}
    assert rounded != losses
    np.testing.assert_allclose(rounded, losses, rtol=0.02)


def test_every_matrix_has_named_axes():
    for encoder in ("windowed", "released", "memory"):
        config = small_config(encoder)
        params = jax.eval_shape(lambda config=config: init_params(config, jax.random.key(0)))
        for path, leaf in jax.tree_util.tree_leaves_with_path(params):
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            axes = logical_axes(name, leaf.ndim)
            assert any(axes) == (leaf.ndim == 2), name
            sizes = {"heads": {16, 32, 48}, "mlp": {32}, "embed": {16}}
            assert all(axis is None or size in sizes[axis] for axis, size in zip(axes, leaf.shape, strict=True)), name
    assert logical_axes("opt_state/1/mu/params/blocks_0/mlp_out/kernel", 2) == ("embed", "mlp")


def test_one_device_has_no_mesh_and_missing_ones_are_named():
    assert sharding.make_mesh(ComputeConfig()) is None
    assert sharding.make_mesh(ComputeConfig(data=0)) is None
    with pytest.raises(InputError, match="data 4 x fsdp 2 x tensor 1 has 8 devices, 1 are there"):
        sharding.make_mesh(ComputeConfig(data=4, fsdp=2))
    with pytest.raises(InputError, match="neither auto nor ADDRESS:PORT"):
        sharding.join("somewhere")


def test_rules_are_checked_and_survive_the_config_file():
    config = dataclasses.replace(settings(), compute=ComputeConfig(rules={"embed": "data, fsdp", "mlp": ""}))
    assert from_dict(to_dict(config)) == config and hash(config.compute) == hash(ComputeConfig())
    assert config.compute.mesh_axes("embed") == ("data", "fsdp") and config.compute.mesh_axes("mlp") == ()
    with pytest.raises(InputError, match="compute.rules.embed = 'model' is not known"):
        ComputeConfig(rules={"embed": "model"})
    with pytest.raises(InputError, match="data.batch = 8 is not a multiple of compute.accumulate = 3"):
        settings(accumulate=3)
