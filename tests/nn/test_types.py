"""Shapes of arguments are checked: a wrong one is refused in one line that names it, where the tests ask for it."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Float

from afjax import types
from afjax.diffusion import guidance, path
from afjax.losses import dpo, flow
from afjax.nn.attention import attend
from afjax.nn.condition_encoder import Conditions, ProjectedConditions
from afjax.nn.token_layout import TokenLayout, frame_layout
from afjax.nn.transformer import ForcingTransformer
from afjax.streaming.state import StreamState, init_stream
from afjax.streaming.step import make_step
from tests.small_model import conditions, scrambled, small_config


def ones(*shape):
    return jnp.ones(shape)


def refused(call) -> str:
    """The only line that a refused call says."""
    with pytest.raises(TypeError) as error:
        call()
    (line,) = str(error.value).splitlines()
    return line


@pytest.mark.parametrize(
    "call, said",
    [
        (
            lambda: flow.per_token(ones(2, 3), "l2"),
            "afjax.losses.flow.per_token: error is float32[2, 3], not ",
        ),
        (
            lambda: flow.masked_mean(ones(2, 3), ones(2, 4)),
            "flow.masked_mean: noise_level is float32[2, 4], not Float[b, n] (beside",
        ),
        (
            lambda: flow.masked_mean(ones(2, 3), ones(2, 3), ones(4, 5)),
            "flow.masked_mean: batch_noise_level is float32[4, 5], not Float[w, n]",
        ),
        (lambda: flow.per_token(jnp.ones((2, 3, 4), int), "l2"), "flow.per_token: error is int32[2, 3, 4], not Float"),
        (lambda: path.velocity(ones(2, 3), ones(2, 4)), "path.velocity: noise is float32[2, 4]"),
        (lambda: guidance.combine(ones(3, 2, 5), ones(2)), "guidance.combine: weights is float32[2], not Float[k] or"),
        (
            lambda: attend(ones(2, 3, 1, 4), ones(2, 5, 1, 4), ones(2, 5, 1, 4), jnp.ones((3, 4), bool)),
            "attention.attend: mask is bool[3, 4], not Bool[..., n, m]",
        ),
    ],
)
def test_a_wrong_shape_is_refused_by_the_arguments_name(call, said):
    line = refused(call)
    assert said in line


def test_fields_of_named_tuples_are_checked():
    errors = dpo.Errors(ones(2, 3), ones(2, 4))
    config = dpo.PreferenceConfig(path="losing", model="run")
    assert "dpo.loss: policy.lose is float32[2, 4]" in refused(lambda: dpo.loss(errors, errors, ones(2, 3), config))


def test_a_wrong_result_is_refused():
    @types.typed
    def halved(x: Float[jax.Array, " n"]) -> Float[jax.Array, " n"]:
        return x[::2]

    assert "the result is float32[2], not Float[n]" in refused(lambda: halved(ones(4)))


def test_the_kinds_of_conditions_are_not_exchanged():
    """Conditions that are not projected have no meaning for `encode`, even where their widths agree."""
    config = small_config(depth=1)
    model, given = ForcingTransformer(config.model), conditions(config, 2, 5)
    layout = frame_layout(config.layout, 5)
    rest = (ones(2, 3), layout.encoder_mask, layout.frame)
    assert model.config.audio_dim != model.config.condition_width

    def encode(given):
        return model.apply(scrambled(config), given, *rest, method="encode")

    assert "ForcingTransformer.encode: conditions is of type Conditions, not ProjectedConditions" in refused(
        lambda: encode(given)
    )
    listened = model.apply(scrambled(config), given, method="embed_audio")
    assert isinstance(listened, ProjectedConditions) and encode(listened).shape == (2, 5, config.model.width)


@pytest.mark.parametrize("name", Conditions._fields[:3])
def test_a_stream_refuses_conditions_of_another_shape(name):
    """Inside the jitted step, while it is traced."""
    config = small_config(depth=1)
    state = init_stream(jax.random.split(jax.random.key(0), 2), ones(2, 3), config.model, config.layout, config.sampler)
    given = conditions(config, 2, config.layout.block)
    given = given._replace(**{name: getattr(given, name)[:1]})
    step = make_step(ForcingTransformer(config.model), config.layout, config.sampler)
    assert f"conditions.{name} is float32[1, 5" in refused(lambda: step(scrambled(config), state, given))


def test_what_is_written_at_a_state_is_what_it_holds():
    config = small_config()
    state = init_stream(jax.random.split(jax.random.key(0), 2), ones(2, 3), config.model, config.layout, config.sampler)

    @types.typed
    def same(state: StreamState) -> StreamState:
        return state

    assert same(state) is state
    assert "state.running_mean is float32[1, 3]" in refused(lambda: same(state.replace(running_mean=ones(1, 3))))


def test_a_layout_of_other_tokens_is_refused():
    layout = frame_layout(small_config().layout, 6)

    @types.typed
    def same(layout: TokenLayout) -> TokenLayout:
        return layout

    wrong = layout._replace(is_clean=np.zeros(5, bool))
    assert "layout.is_clean is bool[5], not Bool[n]" in refused(lambda: same(wrong))


def test_outside_tests_functions_are_what_they_were():
    """No wrapper, so no cost and nothing that a cache of compiled programs could tell apart."""
    code = (
        "from afjax import types; from afjax.losses import flow\n"
        "def f(x): pass\n"
        "assert types.typed(f) is f and not hasattr(flow.masked_mean, '__wrapped__')\n"
        "import sys; assert 'beartype' not in sys.modules"
    )
    plain = {name: value for name, value in os.environ.items() if name != "AFJAX_CHECK_TYPES"}
    subprocess.run([sys.executable, "-c", code], env=plain, check=True)
    assert hasattr(flow.masked_mean, "__wrapped__")
