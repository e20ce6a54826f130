"""Training: resume equals never stopped, one compiled step for all layouts, errors of run folders."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.config import Config, ObjectiveConfig, OptimizerConfig, TrainingConfig, from_dict, to_dict
from afjax.config.model import CAUSE_AGES
from afjax.errors import InputError
from afjax.training.checkpoint import load_ema
from afjax.training.generator.state import init_params, init_state, token_layout
from afjax.training.generator.step import ANSWER, CAUSES, LISTENING, make_random_inputs, make_train_step
from afjax.training.generator.train import train
from afjax.training.optimizer import in_stages, make_optimizer
from tests.small_model import small_config

LONG = 300
"""Steps of what is learnt, and 20 of a run: each number of steps is a program of its own, so tests use these two."""


class Batches:
    """Batches that depend on their place alone."""

    def __init__(self, config: Config):
        self.config, self.place, self.served = config, 0, []

    def __next__(self):
        self.served.append(self.place)
        rng = np.random.default_rng(self.place)
        self.place += 1
        c, shape = self.config.model, (self.config.data.batch, self.config.data.window)
        dims = {"avatar_motion": c.motion_dim, "user_motion": c.motion_dim}
        dims |= {"avatar_features": c.audio_dim, "user_features": c.audio_dim}
        batch = {name: rng.standard_normal((*shape, dim)).astype(np.float32) for name, dim in dims.items()}
        return batch | {"reference_motion": np.zeros((shape[0], c.motion_dim), np.float32)}

    def get_state(self):
        return {"place": self.place}

    def set_state(self, state):
        self.place = state["place"]


def quick(**changes) -> Config:
    config = small_config(depth=1)
    settings = TrainingConfig(**({"num_steps": 40, "log_every": 5, "save_every": 20, "sample_every": 20} | changes))
    return dataclasses.replace(config, training=settings, optimizer=OptimizerConfig(kind="adamw"))


@pytest.mark.slow  # tests/end_to_end shows the same with real data
def test_twenty_and_twenty_equal_forty_to_the_bit(tmp_path):
    """The first thirty of them only listen."""
    model = small_config(depth=1, answer_head=True).model
    config = dataclasses.replace(quick(), model=model)
    config = dataclasses.replace(config, training=dataclasses.replace(config.training, listening_steps=30))
    straight = train(config, tmp_path / "straight", Batches(config), {})
    train(config, tmp_path / "parts", Batches(config), {}, stop=20)
    resumed_batches = Batches(config)
    resumed = train(config, tmp_path / "parts", resumed_batches, {})
    for a, b in zip(jax.tree.leaves(straight), jax.tree.leaves(resumed), strict=True):
        np.testing.assert_array_equal(a, b)
    assert resumed_batches.served == list(range(20, 40))
    logs = [records(tmp_path / name) for name in ("straight", "parts")]
    assert logs[0] == logs[1] and [record["step"] for record in logs[0]] == list(range(5, 45, 5))


def records(workdir):
    """Logged metrics without those that depend on the clock and the machine."""
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [{name: json.loads(line)[name] for name in ("step", "loss", "grad_norm")} for line in lines]


def test_samples_and_progress_are_called_on_time(tmp_path):
    config, seen = quick(num_steps=20, save_every=10, sample_every=10), []
    train(
        config,
        tmp_path,
        Batches(config),
        {},
        progress=lambda step, metrics: seen.append(("log", step)),
        sample=lambda step, params: seen.append(("sample", step)),
    )
    assert [step for kind, step in seen if kind == "sample"] == [10]
    assert [step for kind, step in seen if kind == "log"] == list(range(5, 25, 5))


def test_one_compiled_step_serves_every_mask_level_scheme_and_drop_pattern():
    config = quick(num_steps=LONG)
    state, step, batch = init_state(config), make_train_step(config), next(Batches(config))
    state, _ = step(state, batch, make_random_inputs(config)(0), token_layout(config))
    compiled = step.func._cache_size()
    for mask in ("framewise", "blockwise_lookahead", "bidirectional"):
        for levels in ("token", "block", "clip"):
            changed = dataclasses.replace(
                config,
                layout=dataclasses.replace(config.layout, mask=mask),
                objective=dataclasses.replace(
                    config.objective, noise_level_per=levels, kept_conditions={"joint": 0.5, "none": 0.5}
                ),
            )
            state, metrics = step(state, batch, make_random_inputs(changed)(0), token_layout(changed))
            assert np.isfinite(metrics["loss"])
    assert step.func._cache_size() == compiled


def test_training_learns_a_constant_pose(tmp_path):
    """The velocity of one fixed motion is learnable: the loss falls well below that of the zero network."""
    config = quick(num_steps=LONG)
    batches = Batches(config)
    batch = next(batches)
    batch["avatar_motion"] = np.broadcast_to(np.float32(2.0), batch["avatar_motion"].shape)
    state, step, draw, layout = (
        init_state(config),
        make_train_step(config),
        make_random_inputs(config),
        token_layout(config),
    )
    losses = []
    for i in range(LONG):
        state, metrics = step(state, batch, draw(i), layout)
        losses.append(float(metrics["loss"]))
    # at level 1 the noise is seen: v = noise - motion is known exactly; the zero network has 1 + 4
    assert abs(losses[0] - 5) < 1 and np.mean(losses[-20:]) < 1


def test_weights_are_averaged(tmp_path):
    config = quick(num_steps=LONG)
    state, step, draw = init_state(config), make_train_step(config), make_random_inputs(config)
    before = jax.device_get(state.ema_params)
    state, _ = step(state, next(Batches(config)), draw(0), token_layout(config))
    after, params = jax.device_get((state.ema_params, state.params))
    for a, b, p in zip(*map(jax.tree.leaves, (before, after, params)), strict=True):
        np.testing.assert_allclose(b, 0.1 * a + 0.9 * p, atol=1e-6)


def test_run_folders_without_or_with_another_checkpoint_are_refused(tmp_path):
    config = quick(num_steps=20)
    with pytest.raises(InputError, match="no checkpoint"):
        load_ema(tmp_path, init_params(config, jax.random.key(0)))
    train(config, tmp_path, Batches(config), {"x": 1}, stop=1)
    params, meta, step = load_ema(tmp_path, init_params(config, jax.random.key(0)))
    assert meta == {"x": 1} and step == 1 and jax.tree.leaves(params)
    other = dataclasses.replace(config, model=dataclasses.replace(config.model, width=32))
    with pytest.raises(InputError, match="another config"):
        load_ema(tmp_path, init_params(other, jax.random.key(0)))


def test_configs_survive_json_and_name_the_nearest_field():
    config = quick()
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config
    with pytest.raises(InputError, match="unknown field 'look_ahed'; did you mean 'look_ahead'"):
        from_dict({"layout": {"look_ahed": 1}})
    with pytest.raises(InputError, match="not of type int"):
        from_dict({"layout": {"block": "ten"}})
    with pytest.raises(InputError, match="not a multiple of layout.block"):
        from_dict({"data": {"window": 48}})


def test_muon_steps_grow_with_outputs_over_inputs():
    """Kernels are (out, in): the orthogonal update is scaled by sqrt(out / in) where that is above 1."""
    rng = np.random.default_rng(0)
    shapes = {"tall": (64, 16), "flat": (16, 64), "square": (32, 32)}
    params, grads = ({name: jnp.asarray(rng.standard_normal(s)) for name, s in shapes.items()} for _ in range(2))
    optimizer = make_optimizer(OptimizerConfig(kind="muon", weight_decay=0.0, warmup_steps=1), 10)
    state = optimizer.init(params)
    for _ in range(2):  # the warm-up's first step has size 0
        updates, state = optimizer.update(grads, state, params)
    size = {name: float(jnp.sqrt((update**2).sum() / min(update.shape))) for name, update in updates.items()}
    assert size["tall"] / size["flat"] == pytest.approx(2, rel=0.15)
    assert size["square"] / size["flat"] == pytest.approx(1, rel=0.15)


def test_the_rate_begins_again_after_the_first_stage():
    config = OptimizerConfig(learning_rate=1.0, warmup_steps=2, final_share=0.0)
    rate = in_stages(1.0, config, 30, 20)
    assert [float(rate(n)) for n in (0, 2, 20, 22, 30)] == pytest.approx([0, 1, 0, 1, 0], abs=1e-6)
    assert float(rate(19)) < 0.02 < 0.5 < float(rate(24))


@pytest.mark.parametrize(
    ("listening", "kinds"),
    [*(pytest.param(listening, 0, marks=pytest.mark.slow) for listening in (False, True)), (True, 1)],
)
def test_the_heads_learn_what_the_condition_tells(listening, kinds):
    """Motion that is the user's three frames ago is told by the conditions alone, and by nothing without them, as is
    where the user was large; the steps that only listen change nothing else."""
    small = small_config(depth=1, convolutions=2, look_ahead=0, answer_head=True, cause_kinds=kinds)
    layout = dataclasses.replace(small.layout, tokens="stream")
    objective = ObjectiveConfig(clean_prefix=0.0, noise_level_power=2.0, kept_conditions={"joint": 0.5, "none": 0.5})
    config = dataclasses.replace(
        quick(num_steps=LONG), model=small.model, layout=layout, objective=objective,
        data=dataclasses.replace(small.data, batch=16),
    )  # fmt: skip
    state, step, draw = init_state(config), make_train_step(config, listening=listening), make_random_inputs(config)
    before = jax.device_get(state.params["params"])
    rng = np.random.default_rng(0)
    for number in range(LONG):
        user = rng.standard_normal((16, config.data.window, 3), np.float32)
        heard, said = (rng.standard_normal((*user.shape[:2], 4), np.float32) for _ in range(2))
        motion = np.pad(user, [(0, 0), (3, 0), (0, 0)])[:, : config.data.window]
        batch = {"avatar_motion": motion, "user_motion": user, "user_features": heard, "avatar_features": said}
        batch["reference_motion"] = np.zeros((16, 3), np.float32)
        batch["cause_age"] = np.where(user[..., :1] > 0, 0.0, CAUSE_AGES[-1]).astype(np.float32)
        state, metrics = step(state, batch, draw(number), token_layout(config))
    flow, answer, causes = (float(metrics.get(name, 0)) for name in ("flow", "answer", "causes"))
    assert float(metrics["loss"]) == pytest.approx(flow + ANSWER * answer + CAUSES * causes, rel=1e-4)
    same = {name for name, part in jax.device_get(state.params["params"]).items() if jax.tree.all(
        jax.tree.map(np.array_equal, part, before[name]))}  # fmt: skip
    assert same == (set(before) - set(LISTENING) if listening else set())
    if kinds:
        assert 0.2 * np.log(2) < causes < 0.75 * np.log(2), "in about half of the clips it can't be told"
    else:
        assert 0.3 < answer < 0.75, "half of the clips have no user, and a variance of 0.85"
