"""Losses of the latent codec's training (after FLOAT, Ki et al. 2025, and GFPGAN, Wang et al. 2021).

With p pictures, t targets, phi the maps of a fixed network, psi those of a discriminator D, M masks:

    distance       mean |p - t|, and mean |phi(p) - phi(t)| summed over maps; with masks  sum M |..| / sum M
    adversarial    of the generator softplus(-D(p)), of the discriminator softplus(-D(t)) + softplus(D(p))
    r1             |grad D(t)|^2 / 2, mean over pictures (Mescheder et al. 2018)
    known_motion   mean (c - k)^2 of coefficients c and known motion k
    style          mean |G(psi(p)) - G(psi(t))|, summed over maps, with Gram matrices G = psi^T psi / (h w c)
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from afjax.types import Scalar

__all__ = ["adversarial", "discriminator", "distance", "gram", "known_motion", "r1", "style"]


def distance(found: jax.Array, wanted: jax.Array, mask: jax.Array | None = None) -> Scalar:
    """Mean absolute difference of maps `[n, h, w, c]`, or of what a mask `[n, h, w]` leaves of them."""
    error = jnp.abs(found - wanted).mean(-1)
    if mask is None:
        return error.mean()
    return (mask * error).sum() / jnp.maximum(mask.sum(), 1e-6)


def gram(maps: jax.Array) -> jax.Array:
    """Products of channels `[n, c, c]` of maps `[n, h, w, c]`, mean over pixels and divided by c."""
    _, height, width, channels = maps.shape
    return jnp.einsum("nhwc,nhwd->ncd", maps, maps) / (height * width * channels)


def style(found: Sequence[jax.Array], wanted: Sequence[jax.Array]) -> Scalar:
    """Mean absolute difference of Gram matrices, summed over maps."""
    return sum(jnp.abs(gram(f) - gram(w)).mean() for f, w in zip(found, wanted, strict=True))


def known_motion(coefficients: jax.Array, known: jax.Array) -> Scalar:
    """Mean squared error of coefficients `[..., K]`, of which the first D are to be the known ones `[..., D]`."""
    return ((coefficients[..., : known.shape[-1]] - known) ** 2).mean()


def adversarial(logits: jax.Array) -> Scalar:
    """The generator's loss of logits `[n]` of its pictures."""
    return jax.nn.softplus(-logits).mean()


def discriminator(real: jax.Array, made: jax.Array) -> Scalar:
    """The discriminator's loss of logits `[n]` of real and of made pictures."""
    return jax.nn.softplus(-real).mean() + jax.nn.softplus(made).mean()


def r1(logits_of: Callable[[jax.Array], jax.Array], images: jax.Array) -> Scalar:
    """Half of the squared gradient of logits `[n]` by real pictures `[n, h, w, c]`."""
    gradient = jax.grad(lambda each: logits_of(each).sum())(images)
    return 0.5 * (gradient**2).sum((1, 2, 3)).mean()
