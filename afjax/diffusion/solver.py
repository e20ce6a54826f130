"""Noise schedules and ODE solvers from noise to motion: Euler's method, and second-order DPM-Solver++ (Lu et al., arXiv
2211.01095, alg. 2).

    euler            x <- x + (s' - s) v
    dpm_solver_pp    x <- s'/s x + (1 - s' - s'/s (1 - s)) (D + q (D - D_before))        D = x - s v

A step goes from sigma s to the next, s', with v the velocity at x and its level. Both methods evaluate the network once
per step. D is the motion that the network sees in x. The second method moves on the line between D and the noise
without error, so that it is exact for known motion of any size. q = h / (2 h_before) extrapolates the change of D by
steps h of lambda = log((1 - s) / s). It is 0 where one of these steps is infinite: in the first two steps and the last.

`uniform` takes `nfe` steps of one size and `power` those of (1 - i / nfe)^POWER. Both tell the network its level. The
past nearly determines a block's frame: most directions of motion have a conditional deviation s of .05 to .2, and a
step that ends far below level s loses what is random in them. The table has the share of a Gaussian direction's
deviation that is left after ten evaluations of its exact velocity (equal losses in every block add up in a stream):

    s                       .05   .1    .2    .5    1
    euler, uniform          .40   .62   .77   .86   .88
    dpm_solver_pp, uniform  .40   .65   .86   .99  1.00
    dpm_solver_pp, power    .91  1.03  1.06  1.03   .98

`released` is the grid of the released sampler: times linspace(1000, 0, nfe - 1). The last needs no evaluation, because
nothing is left to integrate. A block thus takes nfe - 1 forwards, one of them the clean pass that fills the caches.
The network is told the nominal time t / 1000. The state moves by entries of a table of 1000 noise levels, the nearest
to t (the first of two equally near ones); only at t = 0 sigma is 0.

The noise has a deviation of `temperature`, as in other flows (Kingma and Dhariwal, arXiv 1807.03039). A network's
velocity, a mean over all that it can't tell apart, keeps in each block a share r < 1 of the deviation of what is
random in it. With a correlation a of blocks, a stream then loses the same share of its variance as a block does,

    x_b = a x_(b-1) + r e_b        var x = r^2 var e / (1 - a^2)

and some hundredths more of noise make up for it. They gain more where a livelier past makes the next block livelier.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from afjax.config import SamplerConfig
from afjax.types import HostOrDevice, typed

State = Float[HostOrDevice, "*any"]
Evaluate = Callable[[Array, Any], Array]
"""`velocity_fn(x, level)`: the velocity at a state x `[...]`, in the shape of x."""

TABLE = 1000

POWER = 1.75
"""Exponent of the grid `power`; it minimises, for ten steps, the largest error of deviations from .05 to 1."""


WRITTEN_OUT = 16
"""The most evaluations of a grid that `written_out` unrolls."""


class Grid(NamedTuple):
    """What the network is told at each of `nfe` evaluations, and the state's levels `[nfe + 1]` from 1 to 0."""

    network_levels: Float[np.ndarray, " nfe"]
    sigmas: Float[np.ndarray, " nfe+1"]


@typed
def sigma_table() -> Float[np.ndarray, "1000"]:
    """The released levels from 1 to 0, float32 `[1000]`, equal to the bit: rounded once, from the near end."""
    step, index = np.float64(np.float32(-1 / (TABLE - 1))), np.arange(TABLE)
    return np.where(index < TABLE // 2, 1 + step * index, -step * (TABLE - 1 - index)).astype(np.float32)


@typed
def nearest_entry(times: Float[np.ndarray, " i"]) -> Int[np.ndarray, " i"]:
    """Index of the table's entry nearest to each time `[i]` in 0 .. 1000."""
    entries = np.float32(1000) * sigma_table()
    return np.abs(entries - np.asarray(times, np.float32)[:, None]).argmin(axis=1)


@typed
def make_grid(sampler: SamplerConfig) -> Grid:
    """Grid of a sampler's settings; a `released` one has nfe - 2 evaluations."""
    if sampler.grid != "released":
        sigmas = np.linspace(1.0, 0.0, sampler.nfe + 1) ** (POWER if sampler.grid == "power" else 1.0)
        return Grid(sigmas[:-1], sigmas)
    times = np.linspace(1000.0, 0.0, sampler.nfe - 1)[:-1]
    return Grid(times / 1000, np.append(sigma_table()[nearest_entry(times)], 0.0).astype(np.float64))


@typed
def solve(
    velocity_fn: Evaluate, noise: State, sampler: SamplerConfig, network_inputs: Any = None, written_out: bool = False
) -> State:
    """Integrates `velocity_fn(x, level)` from standard noise (level 1) to motion (level 0), both of one shape.

    `network_inputs`: arrays `[nfe, ...]`, whose entries take the place of the level in `velocity_fn`. `written_out`: a
    grid of up to WRITTEN_OUT evaluations is unrolled on GPUs, so that one graph can hold its kernels; it compiles
    longer.
    """
    step, entries = _stepping(velocity_fn, noise, sampler)
    noise = _tempered(noise, sampler)
    entries = [entries[0] if network_inputs is None else network_inputs, *entries[1:]]

    def run(noise, entries, unroll=1):
        return jax.lax.scan(step, (noise, jnp.zeros_like(noise)), entries, unroll=unroll)[0][0]

    if not written_out or sampler.nfe > WRITTEN_OUT:
        return run(noise, entries)
    line = partial(run, unroll=len(entries[1]))
    return jax.lax.platform_dependent(noise, entries, cuda=line, rocm=line, default=run)


@typed
def states(velocity_fn: Evaluate, noise: State, sampler: SamplerConfig) -> Float[Array, " _ *any"]:
    """States of `solve`, `[nfe + 1, ...]`: the noise at its temperature, and the state after each evaluation."""
    step, entries = _stepping(velocity_fn, noise, sampler)
    noise = _tempered(noise, sampler)

    def kept(carry, entry):
        carry = step(carry, entry)[0]
        return carry, carry[0]

    return jnp.concatenate([noise[None], jax.lax.scan(kept, (noise, jnp.zeros_like(noise)), entries)[1]])


def _tempered(noise, sampler: SamplerConfig):
    return noise if sampler.temperature == 1 else sampler.temperature * noise  # 1: the same program as without


def _stepping(velocity_fn, noise, sampler: SamplerConfig):
    """The body of a scan over (state, what the method carries), and its entries."""
    grid, method = make_grid(sampler), _dpm_solver_pp if sampler.solver == "dpm_solver_pp" else _euler
    step, coefficients = method(velocity_fn, grid.sigmas)
    return step, [jnp.asarray(values, noise.dtype) for values in (grid.network_levels, *coefficients)]


def _euler(velocity_fn, sigmas):
    def step(carry, entry):
        (x, nothing), (level, h) = carry, entry
        return (x + h * velocity_fn(x, level), nothing), None

    return step, [np.diff(sigmas)]


def _dpm_solver_pp(velocity_fn, sigmas):
    s, end = sigmas[:-1], sigmas[1:]
    with np.errstate(divide="ignore"):
        h = np.diff(np.log1p(-sigmas) - np.log(sigmas))
    finite = np.isfinite(h[1:]) & np.isfinite(h[:-1])
    q = np.append(0.0, np.where(finite, h[1:], 0.0) / np.where(finite, 2 * h[:-1], 1.0))
    kept = end / s

    def step(carry, entry):
        (x, before), (level, s, kept, gained, q) = carry, entry
        clean = x - s * velocity_fn(x, level)
        return (kept * x + gained * (clean + q * (clean - before)), clean), None

    return step, [s, kept, 1 - end - kept * (1 - s), q]
