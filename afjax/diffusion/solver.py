"""Euler's method down a grid of levels."""

import jax
import jax.numpy as jnp


def level_grid(nfe: int):
    """Levels from 1 to 0, [nfe + 1]: `nfe` evaluations, the last one lands on clean motion."""
    return jnp.linspace(1.0, 0.0, nfe + 1)


def euler(velocity_fn, noise, nfe: int):
    """Integrates `velocity_fn(x, level)` from noise (level 1) to motion (level 0)."""
    grid = level_grid(nfe).astype(noise.dtype)

    def step(x, levels):
        level, following = levels
        return x + (following - level) * velocity_fn(x, level), None

    return jax.lax.scan(step, noise, (grid[:-1], grid[1:]))[0]
