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
from jaxtyping import Array, Float

from afjax.types import HostOrDevice, Scalar, typed

__all__ = ["adversarial", "discriminator", "distance", "gram", "known_motion", "r1", "style"]

Maps = Float[HostOrDevice, "n h w c"]
Logits = Float[HostOrDevice, " n"]


@typed
def distance(found: Maps, wanted: Maps, mask: Float[HostOrDevice, "n h w"] | None = None) -> Scalar:
    """Mean absolute difference of maps `[n, h, w, c]`; a mask `[n, h, w]` weighs their pixels."""
    error = jnp.abs(found - wanted).mean(-1)
    if mask is None:
        return error.mean()
    return (mask * error).sum() / jnp.maximum(mask.sum(), 1e-6)


@typed
def gram(maps: Maps) -> Float[Array, "n c c"]:
    """Products of channels `[n, c, c]` of maps `[n, h, w, c]`, mean over pixels and divided by c."""
    _, height, width, channels = maps.shape
    return jnp.einsum("nhwc,nhwd->ncd", maps, maps) / (height * width * channels)


@typed
def style(found: Sequence[Float[HostOrDevice, "n _ _ _"]], wanted: Sequence[Float[HostOrDevice, "n _ _ _"]]) -> Scalar:
    """Mean absolute difference of the Gram matrices of maps `[n, h, w, c]`, summed over maps."""
    return sum(jnp.abs(gram(f) - gram(w)).mean() for f, w in zip(found, wanted, strict=True))


@typed
def known_motion(coefficients: Float[HostOrDevice, "*any c"], known: Float[HostOrDevice, "*any d"]) -> Scalar:
    """Mean squared error of the first d of coefficients `[..., c]` against the known ones `[..., d]`."""
    return ((coefficients[..., : known.shape[-1]] - known) ** 2).mean()


@typed
def adversarial(logits: Logits) -> Scalar:
    """The generator's loss from the logits `[n]` of its pictures."""
    return jax.nn.softplus(-logits).mean()


@typed
def discriminator(real: Logits, made: Logits) -> Scalar:
    """The discriminator's loss from logits `[n]` of real and of made pictures, as many of each."""
    return jax.nn.softplus(-real).mean() + jax.nn.softplus(made).mean()


@typed
def r1(logits_of: Callable[[Array], Array], images: Maps) -> Scalar:
    """Half of the squared gradient of logits `[n]` by real pictures `[n, h, w, c]`."""
    gradient = jax.grad(lambda each: logits_of(each).sum())(images)
    return 0.5 * (gradient**2).sum((1, 2, 3)).mean()
