"""Down a grid of levels: Euler's method, or Adams and Bashforth's of second order.

    euler             x <- x + h[i] v[i]                                        h[i] = sigma[i + 1] - sigma[i]
    adams_bashforth   x <- x + h[i] ((1 + r / 2) v[i] - r / 2 v[i - 1])         r = h[i] / h[i - 1], at first 0

v[i] is the velocity at x and level[i]. Both evaluate the network once a step; the second uses the evaluation before, so
that it is exact where the velocity is linear in the level.

`uniform` takes `nfe` steps of one size and tells the network the level at which it is. `released` is the grid of the
released sampler: times linspace(1000, 0, nfe - 1) of which the last needs no evaluation, because nothing is left to
integrate; with the clean pass that fills the caches a block takes nfe - 1 forwards. There the network is told the
nominal time t / 1000, and the state moves by entries of a table of 1000 noise levels, the nearest to t (the first of
two equally near ones), but for sigma = 0 at t = 0.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from afjax.config import SamplerConfig

TABLE = 1000


class Grid(NamedTuple):
    """`levels` [n]: what the network is told at each evaluation; `sigmas` [n + 1]: the state's levels, 1 to 0."""

    levels: np.ndarray
    sigmas: np.ndarray


def sigma_table() -> np.ndarray:
    """The released scheduler's levels, float32 [1000], 1 to 0: rounded once, from the nearer end, to the same bits."""
    step, index = np.float64(np.float32(-1 / (TABLE - 1))), np.arange(TABLE)
    return np.where(index < TABLE // 2, 1 + step * index, -step * (TABLE - 1 - index)).astype(np.float32)


def nearest_entry(times) -> np.ndarray:
    """Index of the table's entry nearest to each time [n] in 0 .. 1000."""
    entries = np.float32(1000) * sigma_table()
    return np.abs(entries - np.asarray(times, np.float32)[:, None]).argmin(axis=1)


def make_grid(sampler: SamplerConfig) -> Grid:
    """Grid of a sampler's settings."""
    if sampler.grid == "uniform":
        sigmas = np.linspace(1.0, 0.0, sampler.nfe + 1)
        return Grid(sigmas[:-1], sigmas)
    times = np.linspace(1000.0, 0.0, sampler.nfe - 1)[:-1]
    return Grid(times / 1000, np.append(sigma_table()[nearest_entry(times)], 0.0).astype(np.float64))


def solve(velocity_fn, noise, sampler: SamplerConfig):
    """Integrates `velocity_fn(x, level)` from noise (level 1) to motion (level 0)."""
    grid = make_grid(sampler)
    h = np.diff(grid.sigmas)
    ratio = np.append(0.0, h[1:] / h[:-1]) if sampler.solver == "adams_bashforth" else np.zeros(len(h))
    levels, h, half = (jnp.asarray(values, noise.dtype) for values in (grid.levels, h, ratio / 2))

    def step(carry, entry):
        (x, before), (level, h, half) = carry, entry
        velocity = velocity_fn(x, level)
        return (x + h * ((1 + half) * velocity - half * before), velocity), None

    return jax.lax.scan(step, (noise, jnp.zeros_like(noise)), (levels, h, half))[0][0]
