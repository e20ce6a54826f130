"""Distillation: the teacher's way is the stream's, who goes the same way has no loss, a student comes nearer to it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.config import LayoutConfig, ObjectiveConfig, OptimizerConfig, SamplerConfig
from afjax.errors import InputError
from afjax.nn.condition_encoder import Conditions
from afjax.nn.transformer import ForcingTransformer
from afjax.streaming.state import init_stream
from afjax.streaming.step import make_step
from afjax.training.generator import distillation
from afjax.training.generator.state import init_state, token_layout
from afjax.training.generator.step import make_random_inputs, make_train_step, token_level
from afjax.training.generator.train import step_flops
from tests.small_model import scrambled, small_config

GUIDED = SamplerConfig(nfe=4, solver="dpm_solver_pp", grid="power", guidance_joint=1.5)
ALONE = SamplerConfig(nfe=4, grid="power")


@pytest.fixture(scope="module")
def setting():
    """A config whose student takes two steps, weights, a batch of windows, a draw and the layout."""
    base = small_config(depth=1, convolutions=1, relative_frames=4, look_ahead=0)
    config = dataclasses.replace(
        base,
        layout=dataclasses.replace(base.layout, tokens="stream"),
        objective=ObjectiveConfig(clean_prefix=0.0, kept_conditions={"joint": 0.9, "avatar": 0.1}, norm="l2"),
        optimizer=OptimizerConfig(kind="adamw", learning_rate=3e-3, warmup_steps=1),
        sampler=SamplerConfig(nfe=2, grid="power"),
        data=dataclasses.replace(base.data, batch=4),
    )
    rng, c = np.random.default_rng(0), config.model
    widths = {"avatar_motion": c.motion_dim, "user_motion": c.motion_dim}
    widths |= {"avatar_features": c.audio_dim, "user_features": c.audio_dim}
    batch = {name: rng.standard_normal((4, config.data.window, n)).astype(np.float32) for name, n in widths.items()}
    batch["reference_motion"] = rng.standard_normal((4, c.motion_dim)).astype(np.float32)
    batch["earlier_user_motion"] = np.full((4, c.earlier_frames, c.motion_dim), np.nan, np.float32)
    draw = make_random_inputs(config)(0)._replace(
        condition_mask=jnp.ones((4, 3)), history=jnp.zeros((4, 1)), reference_mask=jnp.ones((4, 1))
    )
    return config, scrambled(config, 0.1), batch, draw, token_layout(config)


def loss(setting, teacher, student, part=slice(None)):
    """Loss and endpoint of the weights that both have, of a part of the batch as its share of the whole."""
    config, params, batch, draw, layout = setting
    whole = token_level(draw, layout) if part != slice(None) else None

    @jax.jit
    def find(params, batch, draw):
        model = ForcingTransformer(config.model)
        return distillation.loss(teacher, student, "l2", params, model, params, batch, draw, layout, whole)

    found = find(params, *jax.tree.map(lambda x: x[part], (batch, draw)))
    return float(found[0]), float(found[1]["endpoint"])


def test_who_goes_the_same_way_has_no_loss_and_guidance_is_another_way(setting):
    assert max(loss(setting, ALONE, ALONE)) < 1e-10
    assert min(loss(setting, dataclasses.replace(ALONE, guidance_joint=1.5), ALONE)) > 1e-4


def test_temperatures_are_left_out_of_training(setting):
    warm, student = dataclasses.replace(ALONE, temperature=1.5), setting[0].sampler
    assert loss(setting, warm, dataclasses.replace(student, temperature=1.5)) == loss(setting, ALONE, student)


def test_the_teacher_s_way_is_that_of_the_stream(setting):
    """Two blocks: the second after what the first has become."""
    config, params, batch, draw, layout = setting
    model, block = ForcingTransformer(config.model), config.layout.block
    step = make_step(model, config.layout, GUIDED)
    keys = jax.random.split(jax.random.key(0), 4)
    state = init_stream(keys, jnp.asarray(batch["reference_motion"]), config.model, config.layout, GUIDED)
    streamed = []
    for start in (0, block):
        now = slice(start, start + block)
        voices = (batch[name][:, now] for name in ("avatar_features", "user_features", "user_motion"))
        state, motion = step(params, state, Conditions(*voices), draw.noise[:, now])
        streamed.append(motion)
    finished = batch["avatar_motion"].copy()
    finished[:, :block] = streamed[0]
    states = distillation.teacher_states(GUIDED, model, params, batch | {"avatar_motion": finished}, draw, layout)
    noisy = np.flatnonzero(~layout.is_clean)[: 2 * block]
    assert layout.frame[noisy].tolist() == list(range(2 * block))
    np.testing.assert_allclose(states[-1][:, noisy], np.concatenate(streamed, axis=1), atol=2e-5)
    np.testing.assert_array_equal(states[0][:, noisy], draw.noise[:, : 2 * block])


def test_the_student_comes_nearer_and_the_teacher_stays(setting):
    config, params, batch, draw, layout = setting
    kept = jax.device_get(params)
    step, state, ends = make_train_step(config, params, teacher=GUIDED), init_state(config, params), []
    for _ in range(30):
        state, metrics = step(state, batch, draw, layout)
        ends.append(float(metrics["endpoint"]))
    assert ends[-1] < 0.6 * ends[0]
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(params), kept)


def test_parts_of_a_batch_add_up(setting):
    halves = np.add(*(loss(setting, ALONE, setting[0].sampler, part) for part in (slice(0, 2), slice(2, 4))))
    np.testing.assert_allclose(halves, loss(setting, ALONE, setting[0].sampler), rtol=1e-5)


def test_flops_grow_by_the_teacher_s_forwards(setting):
    """Two branches cost twice one, twelve steps three times four, but for the conditions, which are encoded once."""
    config = setting[0]
    one, two, twelve = (
        step_flops(config, teacher=dataclasses.replace(ALONE, **changes))
        for changes in ({}, {"guidance_joint": 1.5}, {"nfe": 12})
    )
    forward = (twelve - one) / 8
    assert 4 * forward < two - one < 8 * forward < step_flops(config) * 8 / 3
    assert step_flops(dataclasses.replace(config, sampler=ALONE), teacher=ALONE) - one == pytest.approx(6 * forward)


@pytest.mark.parametrize(
    ("teacher", "student", "message"),
    [
        (GUIDED, {"nfe": 3}, "nfe 3, but the teacher's is power with 4"),
        (GUIDED, {"grid": "uniform"}, "grid uniform"),
        (GUIDED, {"guidance_joint": 1.5}, "without guidance"),
        (GUIDED, {"solver": "dpm_solver_pp"}, "without guidance"),
        (dataclasses.replace(GUIDED, grid="released"), {"grid": "released"}, "can't be `released`"),
    ],
)
def test_students_that_can_not_be(teacher, student, message):
    with pytest.raises(InputError, match=message):
        distillation.check(teacher, SamplerConfig(**{"nfe": 2, "grid": "power"} | student))


def test_a_teacher_needs_blocks_with_a_finished_past(setting):
    config = setting[0]
    taught = dataclasses.replace(config.distillation, model="listener")
    with pytest.raises(InputError, match="needs layout.tokens stream"):
        dataclasses.replace(config, distillation=taught, layout=LayoutConfig(block=5, tokens="passes"))
