"""Distillation of a generator into few evaluations per block, its guidance folded in.

The guided teacher goes down its grid from noise to motion in all blocks of a window at once, each after its finished
past (`stream_layout`). The student takes n steps of Euler's method to the same motion, without guidance. Its levels
s_0 = 1 > s_1 > .. > s_n = 0 are every k-th of the teacher's; X_i is the teacher's state there. From the same noise,

    x_0 = X_0 = noise        x_(i+1) = x_i + (s_(i+1) - s_i) v(x_i, s_i)

    loss = mean_i || v(x_i, s_i) - (x_i - X_(i+1)) / (s_i - s_(i+1)) ||        without a gradient through x_i

so that v becomes the mean velocity from where the student is to where the teacher goes. That is a deterministic
function of noise, past and conditions, to be learned at n levels only. The student starts from the teacher's weights.
Progressive distillation (Salimans and Ho, arXiv 2202.00512) halves the steps again and again on data; guidance is
folded in as by Meng et al., arXiv 2210.03142. Here all steps are taken at once, from states that the student itself
has come to, as it will in a stream.

For a teacher of 12 steps and n = 2:

    teacher  X_0 . . . . . X_1 . . . . . X_2        24 forwards with two branches, no gradient
    student  x_0 ────────► x_1 ────────► x_2         2 forwards
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from afjax.config import SamplerConfig
from afjax.config.checks import require
from afjax.diffusion import guidance, solver
from afjax.losses import flow
from afjax.nn.token_layout import TokenLayout
from afjax.nn.transformer import ForcingTransformer
from afjax.training.generator.inputs import Batch, RandomInputs, conditions_of
from afjax.types import BatchNoiseLevel, Params, Scalar, typed


def check(teacher: SamplerConfig, student: SamplerConfig) -> None:
    """Raises InputError unless the student's levels are some of the teacher's, taken without guidance."""
    plain = student.solver == "euler" and guidance.guidance_branches(student)[1].tolist() == [[1, 1, 1]]
    require(plain, "sampler: a student takes Euler's steps without guidance: solver euler, guidance_joint 1, others 0")
    require(
        teacher.grid == student.grid != "released" and teacher.nfe % student.nfe == 0,
        f"sampler: grid {student.grid} with nfe {student.nfe}, but the teacher's is {teacher.grid} with {teacher.nfe}",
        "take its grid, which can't be `released`, and a divisor of its nfe",
    )


@typed
def loss(
    teacher: SamplerConfig, sampler: SamplerConfig, norm: str, frozen: Params, model: ForcingTransformer,
    params: Params, batch: Batch, random: RandomInputs, layout: TokenLayout,
    batch_noise_level: BatchNoiseLevel | None = None,
) -> tuple[Scalar, dict[str, Scalar]]:  # fmt: skip
    """Loss of a batch of windows by a `norm` (`l1` or `l2`), and other numbers to log.

    `frozen`: the teacher's parameters; `random.condition_mask` drops conditions for teacher and student. Logged:
    `endpoint`, the mean squared distance between their final motions. `batch_noise_level` is as in
    `step.generator_loss`.
    """
    finished, noise = _tokens(batch, random, layout)
    teacher_path = jax.lax.stop_gradient(teacher_states(teacher, model, frozen, batch, random, layout))
    teacher_path = teacher_path[:: teacher.nfe // sampler.nfe]
    velocity = _velocity(model, params, batch, random, layout, finished, np.ones((1, 3), np.float32))
    weight = jnp.broadcast_to(jnp.where(layout.is_clean, 0.0, 1.0), noise.shape[:2])
    share = 1.0 if batch_noise_level is None else len(noise) / len(batch_noise_level)

    def size(error, norm):
        return share * flow.masked_mean(flow.per_token(error, norm), weight)

    total, x, grid = 0.0, noise, solver.make_grid(sampler)
    for noise_level, step, wanted in zip(grid.network_levels, np.diff(grid.sigmas), teacher_path[1:], strict=True):
        v = velocity(x, noise_level)[0]
        total += size(v - (wanted - x) / step, norm)
        x = jax.lax.stop_gradient(x + step * v)
    return total / sampler.nfe, {"endpoint": size(x - teacher_path[-1], "l2")}


@typed
def teacher_states(
    sampler: SamplerConfig,
    model: ForcingTransformer,
    params: Params,
    batch: Batch,
    random: RandomInputs,
    layout: TokenLayout,
) -> Float[Array, "_ b n d"]:
    """States `[nfe + 1, b, n, d]` of the tokens on the teacher's way down from a batch's noise, at temperature 1.

    A temperature makes up for a sampler's own loss of variance. The student has another, chosen after its training.
    """
    sampler = dataclasses.replace(sampler, temperature=1.0)
    finished, noise = _tokens(batch, random, layout)
    weights, branch_masks = guidance.guidance_branches(sampler)
    velocity = _velocity(model, params, batch, random, layout, finished, branch_masks)
    return solver.states(lambda x, noise_level: guidance.combine(velocity(x, noise_level), weights), noise, sampler)


def _tokens(batch, random, layout: TokenLayout):
    """Finished motion with the noise of `random.history`, and the noise of all tokens, both `[b, n, d]`."""
    noise = random.noise[:, layout.frame]
    return batch["avatar_motion"][:, layout.frame] + random.history[..., None] * noise, noise


def _velocity(model, params, batch, random, layout: TokenLayout, finished, branch_masks):
    """`velocity(x, level)` of noisy tokens `[b, n, d]` -> `[k, b, n, d]`; the k branches keep `branch_masks` `[k, 3]`.

    Conditions are encoded once. A window's branches lie side by side, so that a divided batch stays where it lies.
    """
    count = len(branch_masks)
    repeat = partial(jnp.repeat, repeats=count, axis=0)
    conditions = conditions_of(batch, model.config)
    condition_mask = (random.condition_mask[:, None] * branch_masks).reshape(-1, 3)
    given = model.apply(params, jax.tree.map(repeat, conditions), condition_mask, layout, method="prepare")
    reference_motion, masks = (
        repeat(batch["reference_motion"] * random.reference_mask),
        (layout.attention_mask, layout.cross_mask),
    )

    def velocity(x, noise_level):
        tokens = jnp.where(layout.is_clean[:, None], finished, x)
        levels = jnp.broadcast_to(jnp.where(layout.is_clean, 0.0, noise_level), tokens.shape[:2])
        v = model.apply(params, repeat(tokens), repeat(levels), reference_motion, given, masks, layout.frame)[0]
        return jnp.moveaxis(v.reshape(-1, count, *v.shape[1:]), 1, 0)

    return velocity
