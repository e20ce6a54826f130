"""LayerNorm with learned scale and bias."""

from flax import linen as nn


class LayerNorm(nn.LayerNorm):
    """LayerNorm, at least in float32, with a result of its input's dtype."""

    epsilon: float = 1e-5

    def __call__(self, x):
        return super().__call__(x).astype(x.dtype)
