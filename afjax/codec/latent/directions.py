"""Motion as a combination of orthonormal directions.

    r = sum_k lambda_k q_k,    Q R = weight + 1e-8

Q `[dim, k]` is that of LAPACK's Householder factorisation. The diagonal of its R has mixed signs: turning them positive
would turn motion of released weights around.
"""

import jax
import jax.numpy as jnp

from afjax.codec.latent.layers import linear

__all__ = ["motion_of", "orthonormal"]


def orthonormal(weight: jax.Array) -> jax.Array:
    """Directions Q `[dim, k]` of the stored weight `[dim, k]`."""
    return jnp.linalg.qr(weight + 1e-8)[0]


def motion_of(directions: jax.Array, coefficients: jax.Array) -> jax.Array:
    """Motion latents `[..., dim]` of coefficients `[..., k]`."""
    return linear(coefficients, directions)
