"""Every preset: a valid config that survives JSON, differs where it says so, and learns when made tiny."""

import dataclasses
import json

import jax
import numpy as np
import pytest

import afjax
from afjax.config import Config, from_dict, to_dict
from afjax.errors import InputError
from afjax.training.generator.state import count, init_params, init_state, token_layout
from afjax.training.generator.step import make_random_inputs, make_train_step
from experiments.configs import distill, dpo, infp, listener, paper, quickstart, released, sharded, smoke, talking_only
from experiments.configs.ablations import objectives
from experiments.evaluation.demo import mask_plots
from experiments.runs.data import training_data

PRESETS = {
    quickstart: ("", "stream", "passes", "frames", "listening"),
    listener: ("",),
    smoke: ("",),
    released: ("", "start", "empty"),
    paper: ("", "full", "quickstart"),
    talking_only: ("", "quickstart", "paper"),
    infp: ("", "quickstart", "voice", "paper"),
    objectives: ("", *objectives.OBJECTIVES),
    sharded: ("", "data", "mesh", "paper"),
}


def read(module, variant="") -> Config:
    return from_dict(module.get_config(variant).to_dict())


@pytest.mark.parametrize("module, variant", [(m, v) for m, variants in PRESETS.items() for v in variants])
def test_presets_are_valid_and_survive_json(module, variant):
    config = read(module, variant)
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config
    assert token_layout(config).frame.max() == config.data.window - 1


@pytest.mark.parametrize("module", [paper, talking_only, infp, released, objectives, sharded])
def test_unknown_variants_are_refused(module):
    with pytest.raises(ValueError, match="no variant 'huge': choose"):
        module.get_config("huge")


@pytest.mark.parametrize("module", [distill, dpo])
def test_what_starts_from_the_listener_fits_it(module):
    config = module.get_config("listener")
    start = (config.distillation if module is distill else config.preference).model
    assert start == ("listener" if module is distill else "listener_base")
    shipped = afjax.load(start).config
    config.preference.path = "losing" if module is dpo else ""
    found = from_dict(config.to_dict())
    assert (found.model, found.layout) == (shipped.model, shipped.layout)


def test_paper_is_as_written():
    config = read(paper)
    m, c, o = config.model, config.layout, config.objective
    assert (m.width, m.depth, m.heads, m.mlp_ratio, m.condition_width, m.condition_heads) == (1024, 8, 8, 4, 512, 4)
    assert (m.motion_dim, m.audio_dim, m.condition_encoder) == (512, 9216, "released")
    assert (c.mask, c.block, c.look_ahead, c.cache, c.alignment) == ("blockwise_lookahead", 10, 2, 38, 2)
    assert (c.tokens, config.data.window, config.data.batch) == ("frames", 50, 8)
    assert (o.noise_level_per, o.clean_prefix, o.norm, o.condition_dropout, o.kept_conditions) == (
        "block",
        0.0,
        "l1",
        0.1,
        {},
    )
    s, adam = config.sampler, config.optimizer
    assert (s.nfe, s.guidance_avatar, s.guidance_user, s.guidance_joint) == (10, 2.0, 1.0, 0.0)
    assert (adam.kind, adam.learning_rate, adam.weight_decay) == ("adamw", 1e-4, 0.0)
    assert config.training.num_steps == 2_000_000
    shapes = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
    assert count(shapes) == 153_484_288  # 613.9 MB in float32, the released checkpoint's size
    small = read(paper, "quickstart")
    assert o.reference_dropout == 0.1
    assert (small.layout, small.objective, small.sampler) == (c, dataclasses.replace(o, reference_dropout=0.0), s)


def test_paper_sizes_need_data_that_fit(tmp_path):
    with pytest.raises(InputError, match="15 motion channels and .* the model 512 and 9216"):
        training_data(read(paper), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module, frames", [(talking_only, 50), (infp, 75)])
@pytest.mark.parametrize("variant", ["quickstart", "paper"])
def test_windowed_presets(module, frames, variant):
    config = read(module, variant)
    c = config.layout
    assert (c.mask, c.tokens, c.block, c.look_ahead, c.cache) == ("bidirectional", "passes", frames, 10, 0)
    assert len(token_layout(config).frame) == 2 * frames + 10
    assert config.objective.ever_kept == ((1, 0, 0) if module is talking_only else (1, 1, 1))
    assert config.model.memory_size == (64 if module is infp else 0)
    assert all(len(mask) >= 2 * frames for mask in mask_plots(c).values())


def test_infp_with_a_voice_alone_never_sees_its_user():
    assert read(infp, "voice").objective.ever_kept == (1, 1, 0)


def test_objectives_change_nothing_but_how_levels_are_drawn():
    plain = to_dict(read(quickstart, "passes"))
    drawn = set()
    for name in objectives.OBJECTIVES:
        config = to_dict(read(objectives, name))
        drawn.add((config["objective"].pop("noise_level_per"), config["objective"].pop("clean_prefix")))
        rest = {**plain, "name": name, "objective": {k: plain["objective"][k] for k in config["objective"]}}
        assert config == rest
    assert drawn == {("block", 0.0), ("token", 0.0), ("block", 0.5), ("clip", 0.0), ("clip", 1.0)}


def tiny(module, variant="") -> Config:
    """A preset with its layout and objective and next to no width."""
    config = module.get_config(variant)
    config.model.update(motion_dim=2, audio_dim=3, width=16, depth=1, heads=2, mlp_ratio=2)
    config.model.update(condition_width=16, condition_heads=2)
    config.data.batch = 8
    config.optimizer.update(kind="adamw", learning_rate=2e-2, warmup_steps=1)
    config.training.num_steps = 20
    return from_dict(config.to_dict())


HARDER = ("forcing_token", "shared_level", "teacher_forcing")


@pytest.mark.parametrize(
    "module, variant",
    [
        pytest.param(paper, "quickstart", marks=pytest.mark.slow),
        pytest.param(talking_only, "", marks=pytest.mark.slow),
        pytest.param(infp, "", marks=pytest.mark.slow),
        *(pytest.param(objectives, name, marks=pytest.mark.slow) for name in HARDER),
    ],
)
def test_presets_learn(module, variant):
    """One finite step and, on a motion that never changes, a loss well below that of the zero network."""
    config = tiny(module, variant)
    state, step, draw, layout = (
        init_state(config),
        make_train_step(config),
        make_random_inputs(config),
        token_layout(config),
    )
    rng = np.random.default_rng(0)
    shape, losses = (config.data.batch, config.data.window), []
    batch = {
        **{name: np.full((*shape, 2), 3, np.float32) for name in ("avatar_motion", "user_motion")},
        **{name: rng.standard_normal((*shape, 3), np.float32) for name in ("avatar_features", "user_features")},
        "reference_motion": np.zeros((shape[0], 2), np.float32),
    }
    for i in range(20):
        state, metrics = step(state, batch, draw(i), layout)
        losses.append(float(metrics["loss"]))
    assert np.isfinite(losses).all() and np.mean(losses[-5:]) < 0.7 * losses[0]
