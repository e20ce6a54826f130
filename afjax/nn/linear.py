"""Affine layer with its kernel stored as (out, in).

XLA's CPU product of few rows is about 1.8 times faster as x @ kernel.T, and released checkpoints use this layout.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Float

from afjax.types import HostOrDevice, typed

fan_in = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal", in_axis=-1, out_axis=-2)
zeros = nn.initializers.zeros_init()


class Linear(nn.Module):
    """y = x @ kernel.T + bias, `[..., in]` -> `[..., features]`; parameters are float32, the product has x's dtype."""

    features: int
    kernel_init: Callable = fan_in

    @nn.compact
    @typed
    def __call__(self, x: Float[HostOrDevice, "*any in"]) -> Float[HostOrDevice, "*any features"]:
        kernel = self.param("kernel", self.kernel_init, (self.features, x.shape[-1]), jnp.float32)
        bias = self.param("bias", zeros, (self.features,), jnp.float32)
        y = jax.lax.dot_general(x, kernel.astype(x.dtype), (((x.ndim - 1,), (1,)), ((), ())))
        return y + bias.astype(x.dtype)
