"""One precision for a whole step: what is narrow, what stays wide, and how far apart they are."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params
from small_model import scrambled, small_config

from afjax.audio import mel
from afjax.audio.feature_extractors import MelFeatures
from afjax.avatar.avatar import Avatar
from afjax.config import ComputeConfig, SamplerConfig, from_dict, stored_config, to_dict
from afjax.errors import InputError
from afjax.nn.transformer import cast_params
from afjax.normalizer import Normalizer
from afjax.streaming import live_step
from afjax.streaming.engine import Engine
from afjax.streaming.generator import Generator, generation_config

BLOCKS = 40
WIDE = ("exp", "sin", "cos", "rsqrt", "sqrt", "reduce_sum")


def model(precision: str):
    """Config and live parameters of a small model with guidance, whose caches and look-ahead are in use."""
    config = small_config(convolutions=2, relative_frames=4)
    config = dataclasses.replace(
        config, model=dataclasses.replace(config.model, audio_dim=mel.DIM), compute=ComputeConfig(precision=precision),
        sampler=SamplerConfig(nfe=4, guidance_avatar=0.0, guidance_joint=1.4, solver="dpm_solver_pp", grid="power"),
    )  # fmt: skip
    numbers = (np.zeros(3), np.ones(3), np.zeros(mel.DIM), np.ones(mel.DIM))
    plain = Normalizer(*(np.asarray(x, np.float32) for x in numbers))
    return config, live_step.LiveParams.of(scrambled(config, 0.1), (), plain)


def given(config, blocks: int = BLOCKS):
    rng, block = np.random.default_rng(0), config.layout.block
    voices = 0.1 * rng.standard_normal((2, blocks, 1, block * 640)).astype(np.float32)
    motion = rng.standard_normal((blocks, 1, block, 3)).astype(np.float32)
    return [live_step.Inputs(*each) for each in zip(*voices, motion, strict=True)]


def played(config, params, inputs, follow=None):
    """Motion of the blocks, and the state before each; `follow`: states of another precision to go on from."""
    step, motions, states = live_step.make_live_step(config, MelFeatures()), [], []
    state = live_step.fresh(config, MelFeatures(), params, seed=3)
    kinds = jax.tree.map(lambda x: x.dtype, state)
    for n, block in enumerate(inputs):
        if follow is not None:
            state = jax.tree.map(lambda x, kind: x if x.dtype == kind else x.astype(kind), follow[n], kinds)
        states.append(jax.tree.map(jnp.copy, state))
        state, motion = step(params, jax.tree.map(jnp.copy, state), block)
        motions.append(np.asarray(motion))
    return np.concatenate(motions, axis=1)[0], states


def equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from equations(inner)


def lowered(precision: str):
    config, params = model(precision)
    state = live_step.init_live(config, MelFeatures(), 1)
    step = live_step.make_live_step(config, MelFeatures())
    return step.trace(params, state, given(config, 1)[0])


def test_bfloat16_is_for_products_and_caches_and_float32_for_sums():
    traced = lowered("bfloat16")
    narrow = {True: 0, False: 0}
    for equation in equations(traced.jaxpr.jaxpr):
        kinds = [x.aval.dtype for x in equation.invars if hasattr(x.aval, "dtype")]
        if equation.primitive.name == "dot_general" and kinds[0] in (jnp.bfloat16, jnp.float32):
            narrow[kinds[0] == jnp.bfloat16] += 1
        assert equation.primitive.name not in WIDE or jnp.bfloat16 not in kinds, equation
    mels, levels = 6, 2 * 2  # of both voices at once; the embedding of levels in the solver and in the clean pass
    user = 2  # running statistics
    assert narrow[False] == mels + levels + user < narrow[True]
    state = live_step.init_live(*(model("bfloat16")[0], MelFeatures(), 1)).stream
    kinds = {
        name: getattr(state, name).dtype
        for name in ("cache_k", "cache_v", "condition", "refed_motion", "reference_motion")
    }
    assert kinds == dict.fromkeys(("cache_k", "cache_v", "condition"), jnp.bfloat16) | dict.fromkeys(
        ("refed_motion", "reference_motion"), jnp.float32
    )
    assert [x.dtype for x in state.recent_conditions] == [*[jnp.bfloat16] * 2, *[jnp.float32] * 2]


def test_float32_asks_for_whole_products_and_tf32_leaves_them_to_jax():
    """Those of mel features are whole in any precision."""
    whole, default = (lowered(precision).lower().as_text() for precision in ("float32", "tf32"))
    assert "[DEFAULT" not in whole
    assert 0 < default.count("[HIGHEST") < default.count("[DEFAULT")


def test_weights_are_cast_once_to_the_same_bits():
    config, params = model("bfloat16")
    once = params._replace(model=cast_params(params.model, "bfloat16"))
    sizes = [sum(leaf.nbytes for leaf in jax.tree.leaves(each.model)) for each in (params, once)]
    assert sizes[1] < 0.8 * sizes[0]
    inputs = given(config, 6)
    np.testing.assert_array_equal(played(config, params, inputs)[0], played(config, once, inputs)[0])
    assert cast_params(params.model, "tf32") is params.model


def test_bfloat16_stays_near_float32_in_a_block_and_as_a_distribution_in_a_stream():
    (wide, params), (narrow, _) = model("float32"), model("bfloat16")
    inputs = given(wide)
    exact, states = played(wide, params, inputs)
    block = played(narrow, params, inputs, follow=states)[0]
    far = np.sqrt(np.mean((block - exact) ** 2)) / exact.std()
    assert 1e-5 < far < 1.5e-2, far
    free = played(narrow, params, inputs)[0]
    np.testing.assert_allclose(free.std(axis=0), exact.std(axis=0), rtol=0.1)
    other = played(wide, params._replace(model=scrambled(wide, 0.15)), inputs)[0]  # the bound can fail
    assert np.sqrt(np.mean((other - exact) ** 2)) / exact.std() > 1.5e-2


def test_a_session_in_bfloat16_goes_on_from_a_snapshot_to_the_same_bits():
    config, params = model("bfloat16")
    engine, inputs = Engine(config, params, MelFeatures(), 2), given(config, 4)
    slot = engine.join(5)

    def step(block):
        return np.asarray(engine.step(live_step.Inputs(*(np.repeat(x, 2, axis=0) for x in block))))[slot]

    step(inputs[0])
    kept = engine.snapshot(slot)
    once = [step(block) for block in inputs[1:]]
    engine.leave(slot)
    slot = engine.restore(kept)
    np.testing.assert_array_equal([step(block) for block in inputs[1:]], once)


def test_what_was_trained_in_bfloat16_generates_in_tf32_unless_asked():
    config, params = model("bfloat16")
    assert (
        generation_config(config).compute.precision == "tf32"
        and generation_config(model("float32")[0]) == model("float32")[0]
    )
    normalizer = Normalizer(*(np.asarray(x) for x in params[2:]))
    avatar = Avatar(
        generation_config(config), Generator(config, params.model, normalizer), MelFeatures, lambda *_: None
    )
    kinds = [
        {leaf.dtype for leaf in jax.tree.leaves(each.live_params[0].model)}
        for each in (avatar, avatar.with_precision("bfloat16"))
    ]
    assert kinds == [{np.dtype("float32")}, {np.dtype("float32"), np.dtype(jnp.bfloat16)}]


def test_an_unknown_precision_is_refused_and_an_earlier_name_understood():
    with pytest.raises(InputError, match="compute.precision"):
        ComputeConfig(precision="float16")
    values = to_dict(model("tf32")[0])
    old = values | {"compute": {k: v for k, v in values["compute"].items() if k != "precision"}}
    for name, precision in (("float32", "tf32"), ("bfloat16", "bfloat16")):
        found = stored_config(old | {"compute": old["compute"] | {"dtype": name}})
        assert found.compute.precision == precision
    with pytest.raises(InputError, match="dtype"):
        from_dict(old | {"compute": old["compute"] | {"dtype": "float32"}})
