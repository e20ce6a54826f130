"""The held-out probe: known slopes, and conditional means that are the stream's."""

import json
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.config import CONDITION_MASKS, SamplerConfig
from afjax.nn.condition_encoder import Conditions
from afjax.nn.token_layout import stream_layout
from afjax.nn.transformer import ForcingTransformer
from afjax.streaming import step as stream
from afjax.streaming.state import init_stream
from afjax.training.generator import probe
from afjax.training.generator.state import token_layout
from afjax.training.generator.train import train
from tests.small_model import conditions, scrambled, small_config
from tests.training.test_training import Batches, quick

FRAMES, BLOCK = 50, 10


def planted(count=40, noise=0.0, seed=0):
    """Windows in which channel 0 answers 8 frames after the event; windows, places, answers alone `[w, t]`."""
    rng = np.random.default_rng(seed)
    place, _ = probe.places(FRAMES, BLOCK, count)
    since = np.arange(FRAMES) - place[:, None]
    answer = np.where(since > 8, np.sin(np.clip((since - 8) / 12, 0, 1) * np.pi), 0.0)
    motion = rng.standard_normal((count, FRAMES, 3)) * noise
    motion[..., 0] += answer
    return {"avatar_motion": motion.astype(np.float32)}, place, answer


@pytest.mark.parametrize("tokens", ["frames", "passes"])
def test_a_function_that_answers_by_half_has_slope_one_half(tokens):
    """In place of a network: the velocity's error that such a conditional mean has."""
    config = small_config(block=BLOCK, look_ahead=2)
    data, layout = replace(config.data, window=FRAMES), replace(config.layout, tokens=tokens)
    config = replace(config, data=data, layout=layout)
    layout, (windows, place, _) = token_layout(config), planted()

    def error_of(share, windows, level, condition_mask):
        return (1 - share) * windows["avatar_motion"][:, layout.frame]

    for share in (1.0, 0.5, 0.0, -0.5):
        mean = probe.conditional_mean(partial(error_of, share), config, layout, windows, None)
        np.testing.assert_allclose(mean, share * windows["avatar_motion"], atol=1e-6)
        recorded = windows["avatar_motion"][..., 0]
        assert probe.slope(mean[..., 0], recorded, place) == pytest.approx(share, abs=1e-6)
        assert probe.slope(mean[..., 0] + 3.0, recorded, place) == pytest.approx(share, abs=1e-6)
    late = np.roll(windows["avatar_motion"][..., 0], 5, axis=1)
    assert 0.1 < probe.slope(late, windows["avatar_motion"][..., 0], place) < 0.9


def test_noise_of_few_events_does_not_bias_the_slope():
    """With two deviations of noise 32 recorded events still give 1 for the answer itself, on average."""
    found, unrelated = [], []
    for seed in range(60):
        windows, place, answer = planted(32, 2.0, seed)
        found.append(probe.slope(answer, windows["avatar_motion"][..., 0], place))
        unrelated.append(probe.slope(windows["avatar_motion"][..., 1], windows["avatar_motion"][..., 0], place))
    assert np.median(found) == pytest.approx(1.0, abs=0.12) and abs(np.median(unrelated)) < 0.12


def test_events_lie_at_all_frames_of_a_block_with_their_answer_in_the_window():
    place, after = probe.places(FRAMES, BLOCK, 25)
    assert after == 25 and set(place) == set(range(15, 25)) and (place + after < FRAMES).all()
    place, after = probe.places(20, 5, 3)
    assert after == 14 and (place >= 5).all() and (place + after < 20).all()


def windows_of(config, count=3, seed=0):
    rng, frames = np.random.default_rng(seed), config.data.window
    given = conditions(config, count, frames)
    return {
        "avatar_motion": rng.standard_normal((count, frames, config.model.motion_dim)).astype(np.float32),
        "user_motion": given.user_motion,
        "avatar_features": given.avatar_features,
        "user_features": given.user_features,
        "reference_motion": rng.standard_normal((count, config.model.motion_dim)).astype(np.float32),
    }


def means(config, params, windows, layout=None, condition_mask=CONDITION_MASKS["joint"]):
    layout = token_layout(config) if layout is None else layout
    error_of = partial(partial(probe.velocity_errors, config, layout), params)
    return probe.conditional_mean(error_of, config, layout, windows, condition_mask)


def from_stream(config, params, windows):
    """What a stream of one solver step makes of each block, whose memory then gets the recorded motion."""
    model, sampler, block = ForcingTransformer(config.model), SamplerConfig(nfe=1), config.layout.block
    motion, count = windows["avatar_motion"], len(windows["avatar_motion"])
    keys = jax.random.split(jax.random.key(0), count)
    reference_motion = jnp.asarray(windows["reference_motion"])
    state = init_stream(keys, reference_motion, config.model, config.layout, sampler, jnp.ones((count, 3)))
    noise = np.random.default_rng(0).standard_normal(motion.shape).astype(np.float32)
    given, made = Conditions(*(windows[name] for name in ("avatar_features", "user_features", "user_motion"))), []

    @jax.jit
    def forced(state, heard, noise, recorded):
        one = stream._block_pass(model, config.layout, sampler, params, state, heard)
        predicted = stream.solve(model, params, one, noise, sampler)
        return stream.advance(model, config.layout, params, state, one, recorded), predicted

    for start in range(0, motion.shape[1], block):
        heard, *tracks = jax.tree.map(lambda x, s=start: jnp.asarray(x[:, s : s + block]), (given, noise, motion))
        state, predicted = forced(state, heard, *tracks)
        made.append(predicted)
    return np.concatenate(made, axis=1)


@pytest.mark.parametrize("look_ahead", [0, 2])
def test_conditional_means_are_those_of_a_stream_with_a_recorded_past(look_ahead):
    config = small_config(look_ahead=look_ahead, depth=1 + (look_ahead > 0))
    params, windows = scrambled(config), windows_of(config)
    found = means(config, params, windows)
    np.testing.assert_allclose(found, from_stream(config, params, windows), atol=2e-4 * np.abs(found).max())


def test_a_layout_with_a_clean_past_needs_one_forward_and_gives_the_same():
    config = small_config(look_ahead=0)
    params, windows, layout = scrambled(config), windows_of(config), stream_layout(config.layout, config.data.window)
    assert not probe.has_clean_past(token_layout(config), config.data.window, config.layout.block)
    assert probe.has_clean_past(layout, config.data.window, config.layout.block)
    one, many = means(config, params, windows, layout), means(config, params, windows)
    np.testing.assert_allclose(one, many, atol=2e-4 * np.abs(many).max())


def test_every_figure_has_its_name_and_the_past_alone_is_no_answer():
    config = small_config(look_ahead=0)
    windows, place = windows_of(config, 20), probe.places(20, 5, 20)[0]
    measure = probe.make_probe(
        config,
        windows,
        {"nod": probe.EventWindows(windows, place, 1)},
        {"pose": np.array([0, 1]), "other": np.array([2])},
    )
    params = scrambled(config)
    figures, again = measure(params), measure(params)
    assert figures == again and all(np.isfinite(value) for value in figures.values())
    named = {"loss", "loss_pose", "loss_other", "slope_nod", "slope_nod_user"}
    assert set(figures) == {f"held_out/{n}" for n in named | {f"loss_level_{level}" for level in probe.LEVELS}}
    parts = figures["held_out/loss_pose"], figures["held_out/loss_other"]
    assert figures["held_out/loss"] == pytest.approx((2 * parts[0] + parts[1]) / 3, rel=1e-5)
    deaf = replace(config, objective=replace(config.objective, kept_conditions={"avatar": 1.0}))
    figures = probe.make_probe(deaf, windows, {"nod": probe.EventWindows(windows, place, 1)}, {})(params)
    assert "held_out/slope_nod" in figures and "held_out/slope_nod_user" not in figures


def test_records_hold_what_the_probe_says_on_time(tmp_path):
    config = quick(num_steps=20, probe_every=8, log_every=10)
    calls = []

    def measure(params):
        calls.append(len(jax.tree.leaves(params)))
        return {"held_out/loss": float(len(calls))}

    train(config, tmp_path, Batches(config), {}, probe=measure)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [8, 10, 16, 20]
    assert [line.get("held_out/loss") for line in lines] == [1.0, None, 2.0, 3.0]
    assert all("loss" in line and "seconds" in line for line in lines)
