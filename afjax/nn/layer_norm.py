"""LayerNorm with learned scale and bias."""

from flax import linen as nn
from jaxtyping import Float

from afjax.types import HostOrDevice, typed


class LayerNorm(nn.LayerNorm):
    """LayerNorm of `[..., c]`, at least in float32; the result has the input's dtype."""

    epsilon: float = 1e-5

    @typed
    def __call__(self, x: Float[HostOrDevice, "*any c"]) -> Float[HostOrDevice, "*any c"]:
        return super().__call__(x).astype(x.dtype)
