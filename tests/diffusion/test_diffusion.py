"""Path, levels, guidance and solver against known answers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from afjax.config import CONDITION_MASKS, ObjectiveConfig, SamplerConfig
from afjax.diffusion import guidance, noise_levels, path, solver
from afjax.errors import InputError
from afjax.losses import flow


def test_path_ends_and_velocity():
    motion, noise = jnp.full((1, 2, 3), 5.0), jnp.full((1, 2, 3), -1.0)
    level = jnp.array([[[0.0], [1.0]]])
    x = path.interpolate(motion, noise, level)
    np.testing.assert_array_equal(x[0, :, 0], [5.0, -1.0])
    np.testing.assert_allclose(x - level * path.velocity(motion, noise), motion)


@pytest.mark.parametrize("nfe", [1, 3, 8])
@pytest.mark.parametrize("kind", ["euler", "dpm_solver_pp"])
def test_solvers_are_exact_on_straight_paths(kind, nfe):
    motion, noise = jnp.arange(6.0).reshape(1, 2, 3), jnp.ones((1, 2, 3))
    seen = []

    def velocity(x, level):
        jax.debug.callback(lambda v: seen.append(float(v)), level)
        return path.velocity(motion, noise)

    np.testing.assert_allclose(solver.solve(velocity, noise, SamplerConfig(nfe=nfe, solver=kind)), motion, atol=1e-6)
    jax.effects_barrier()
    np.testing.assert_allclose(sorted(seen, reverse=True), np.linspace(1, 0, nfe + 1)[:-1], atol=1e-6)


@pytest.mark.parametrize("kind", ["euler", "dpm_solver_pp"])
def test_a_temperature_scales_the_noise(kind):
    """The velocity is that of a Gaussian of deviation .3, linear in x."""

    def velocity(x, level):
        return x * (level - 0.09 * (1 - level)) / (level**2 + 0.09 * (1 - level) ** 2)

    noise, sampler = jnp.linspace(-2.0, 2.0, 7), SamplerConfig(nfe=6, solver=kind)
    warm = dataclasses.replace(sampler, temperature=1.25)
    plain = solver.solve(velocity, noise, sampler)
    np.testing.assert_allclose(solver.solve(velocity, noise, warm), 1.25 * plain, rtol=1e-5)
    states = solver.states(velocity, noise, warm)
    np.testing.assert_allclose(states[0], 1.25 * noise, rtol=1e-6)
    np.testing.assert_allclose(states[-1], 1.25 * plain, rtol=1e-5)


def test_a_solver_written_out_for_gpus_is_the_loop(monkeypatch):
    """And what the network is given in place of a level comes at its evaluation."""
    noise, sampler = jnp.linspace(-1.0, 1.0, 6), SamplerConfig(nfe=5, solver="dpm_solver_pp", grid="power")
    levels = jnp.asarray(solver.make_grid(sampler).network_levels, jnp.float32)

    def run(**more):
        return solver.solve(lambda x, level: jnp.sin(x) * level, noise, sampler, **more)

    looped, program = run(), jax.jit(lambda: run(written_out=True))
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *given, cuda, **others: cuda(*given))
    np.testing.assert_allclose(run(written_out=True), looped, atol=1e-6)
    assert "while" not in program.lower().as_text()
    np.testing.assert_array_equal(run(network_inputs=levels), looped)
    assert np.abs(run(network_inputs=levels[::-1]) - looped).max() > 1e-3
    many = SamplerConfig(nfe=solver.WRITTEN_OUT + 1)
    long = jax.jit(lambda: solver.solve(lambda x, level: x, noise, many, written_out=True))
    assert "while" in long.lower().as_text()


@pytest.mark.parametrize(
    "kind, grid, least, most", [("euler", "uniform", 0.9, 1.1), ("dpm_solver_pp", "power", 1.5, 2)]
)
def test_solvers_converge_with_their_order(kind, grid, least, most):
    """dx/dlevel = x has x(0) = x(1) / e; halving the step divides the error by 2 to the order.

    Of the second, first and last steps are of first order: it is reached slowly.
    """
    samplers = (SamplerConfig(nfe=n, solver=kind, grid=grid) for n in (50, 200))
    errors = [abs(float(solver.solve(lambda x, level: x, jnp.ones(()), sampler)) - np.exp(-1)) for sampler in samplers]
    assert least < np.log2(errors[0] / errors[1]) / 2 < most


def test_ten_evaluations_keep_the_deviation_of_motion_that_is_nearly_known():
    """The table of `solver`: motion of deviation s, whose exact velocity is known, from the noise's 1."""
    s = np.array([0.05, 0.1, 0.2, 0.5, 1])

    def velocity(x, level):
        seen = x * (1 - level) * s**2 / ((1 - level) ** 2 * s**2 + level**2)
        return (x - seen) / level

    def left(kind, grid):
        return np.asarray(solver.solve(velocity, jnp.ones(5), SamplerConfig(nfe=10, solver=kind, grid=grid))) / s

    np.testing.assert_allclose(left("euler", "uniform"), [0.40, 0.62, 0.77, 0.86, 0.88], atol=0.006)
    np.testing.assert_allclose(left("dpm_solver_pp", "uniform"), [0.40, 0.65, 0.86, 0.99, 1.00], atol=0.006)
    np.testing.assert_allclose(left("dpm_solver_pp", "power"), [0.91, 1.03, 1.06, 1.03, 0.98], atol=0.006)


@pytest.mark.parametrize("kind, width", [("token", 1), ("block", 10), ("clip", 50)])
def test_levels_are_shared_as_named_and_uniform(kind, width):
    drawn = np.asarray(noise_levels.sample_noise_level(jax.random.key(0), 4000, 50, 10, kind, 0.0))
    groups = drawn.reshape(4000, -1, width)
    assert (groups == groups[..., :1]).all()
    assert (drawn > 0).all() and (drawn <= 1).all()
    assert abs(drawn.mean() - 0.5) < 0.02 and abs(drawn[:, 0].std() - 12**-0.5) < 0.01
    if width < 50:
        assert abs(np.corrcoef(drawn[:, 0], drawn[:, -1])[0, 1]) < 0.06


def test_clean_prefix_is_whole_blocks_in_its_share_of_clips():
    drawn = np.asarray(noise_levels.sample_noise_level(jax.random.key(1), 5000, 50, 10, "block", 0.5))
    clean = drawn == 0
    length = clean.sum(1)
    assert (clean == (np.arange(50) < length[:, None])).all()
    shares = [(length == n).mean() for n in (0, 10, 20, 30, 40)]
    np.testing.assert_allclose(shares, [0.6, 0.1, 0.1, 0.1, 0.1], atol=0.03)


def test_teacher_forcing_has_a_clean_history_in_every_clip_and_one_level_after_it():
    level = np.asarray(noise_levels.sample_noise_level(jax.random.key(0), 4000, 50, 10, "clip", 1.0))
    start = (level == 0).sum(axis=1)
    for clip, first in zip(level[:200], start[:200], strict=True):
        assert (clip[:first] == 0).all() and (clip[first:] == clip[-1]).all() and 0 < clip[-1] <= 1
    shares = [(start == n).mean() for n in (0, 10, 20, 30, 40)]
    np.testing.assert_allclose(shares, 0.2, atol=0.03)
    # the loss is the mean over all frames after the history
    losses = jnp.where(jnp.arange(50) < start[0], 100.0, jnp.arange(50.0))[None]
    np.testing.assert_allclose(
        flow.masked_mean(losses, jnp.asarray(level[:1])), np.arange(start[0], 50).mean(), rtol=1e-6
    )


def test_what_training_never_keeps_is_known():
    assert ObjectiveConfig().ever_kept == (1, 1, 1) and ObjectiveConfig(condition_dropout=1.0).ever_kept == (0, 0, 0)
    assert ObjectiveConfig(kept_conditions={"avatar": 0.9, "none": 0.1}).ever_kept == (1, 0, 0)
    assert ObjectiveConfig(kept_conditions={"avatar": 0.5, "user_audio": 0.5, "joint": 0.0}).ever_kept == (1, 1, 0)


def test_guidance_uses_the_fewest_branches_and_is_the_paper_s_sum():
    weights, kept = guidance.guidance_branches(SamplerConfig())
    np.testing.assert_array_equal(weights, [1.0])
    np.testing.assert_array_equal(kept, [[1, 1, 1]])
    weights, kept = guidance.guidance_branches(
        SamplerConfig(guidance_avatar=2.0, guidance_user=1.0, guidance_joint=0.0)
    )
    v = jnp.array([[10.0], [13.0], [11.0]])  # none, avatar, user
    np.testing.assert_allclose(guidance.combine(v, weights), [10 + 2 * 3 + 1 * 1])
    np.testing.assert_array_equal(kept, [[0, 0, 0], [1, 0, 0], [0, 1, 1]])


def test_drops_have_the_probabilities_of_their_setting():
    independent = np.asarray(guidance.sample_condition_mask(jax.random.key(0), 20000, 0.1, {}))
    np.testing.assert_allclose(independent.mean(0), 0.9, atol=0.01)
    assert abs((independent.sum(1) == 0).mean() - 0.001) < 0.001
    table = {"joint": 0.6, "avatar": 0.3, "none": 0.1}
    joint = np.asarray(guidance.sample_condition_mask(jax.random.key(0), 20000, 0.0, table))
    for name, share in table.items():
        assert abs((joint == np.array(CONDITION_MASKS[name])).all(1).mean() - share) < 0.015


@pytest.mark.parametrize("norm, expected", [("l1", 2.0), ("l2", 4.0)])
def test_loss_per_token_known_answer(norm, expected):
    level = jnp.array([[0.0, 0.5, 0.5, 1.0]])
    losses = flow.per_token(jnp.full((1, 4, 3), 2.0), norm)
    np.testing.assert_allclose(losses, expected)
    np.testing.assert_allclose(flow.masked_mean(jnp.array([[100.0, 1.0, 2.0, 3.0]]), level), 2.0)
    assert float(flow.masked_mean(losses, jnp.zeros((1, 4)))) == 0.0


@pytest.mark.parametrize(
    "values, message",
    [
        ({"noise_level_per": "frame"}, "objective.noise_level_per = 'frame'"),
        ({"kept_conditions": {"joint": 0.5}}, "sums to 0.5"),
        ({"kept_conditions": {"everything": 1.0}}, "'everything' is not known"),
    ],
)
def test_bad_objectives_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        ObjectiveConfig(**values)
