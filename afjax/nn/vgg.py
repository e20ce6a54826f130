"""VGG-16 (Simonyan and Zisserman 2015) as a fixed feature network, and LPIPS on its maps (Zhang et al. 2018).

    LPIPS(p, t) = sum_l mean_xy sum_c w_lc (n(phi_l(p)) - n(phi_l(t)))_xyc^2,    n(x) = x / |x| over channels

phi_l are the maps after the last rectifier before each pooling, and after the last rectifier of all. Weights:
`afjax.weights.lpips`.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from afjax.types import HostOrDevice, typed

__all__ = ["STAGES", "lpips", "vgg_features"]

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of the convolutions between poolings."""
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
Pictures = Float[HostOrDevice, "n h w 3"]


@typed
def vgg_features(weights: Mapping, images: Pictures) -> tuple[Float[jax.Array, "n _ _ _"], ...]:
    """The five maps of pictures `[n, h, w, 3]` in [-1, 1]; weights: `convolutions`, pairs of kernel (HWIO) and bias."""
    x = (images - jnp.array(_SHIFT, images.dtype)) / jnp.array(_SCALE, images.dtype)
    layers, maps = iter(weights["convolutions"]), []
    for stage, channels in enumerate(STAGES):
        if stage:
            x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        for _ in channels:
            kernel, bias = next(layers)
            x = lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            x = jax.nn.relu(x + bias)
        maps.append(x)
    return tuple(maps)


@typed
def lpips(weights: Mapping, images: Pictures, others: Pictures) -> Float[jax.Array, " n"]:
    """Distances `[n]` of pictures `[n, h, w, 3]` in [-1, 1]; weights also hold `heads`, `[c]` per map."""

    def unit(x):
        return x / (jnp.sqrt((x**2).sum(-1, keepdims=True)) + 1e-10)

    pairs = zip(vgg_features(weights, images), vgg_features(weights, others), weights["heads"], strict=True)
    return sum((((unit(a) - unit(b)) ** 2) @ head).mean((1, 2)) for a, b, head in pairs)
