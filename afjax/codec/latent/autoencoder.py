"""The latent codec's network: its parameters, and encoding and decoding as pure functions of prepared ones.

Parameters keep the released layout of every tensor (linear [out, in], convolution [out, in, k, k]), so that converting
weights is renaming. `prepare` folds the equalised scales, turns the kernels and factorises the directions, once per
parameter set; inside a training step it is part of the step.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from afjax.codec.latent import decoder, encoder
from afjax.codec.latent.config import LatentConfig
from afjax.codec.latent.directions import motion_of, orthonormal

__all__ = ["LatentAutoencoder", "decode", "encode", "init_params", "motion", "prepare", "shapes"]

Tree = Mapping[str, Any]


def shapes(config: LatentConfig) -> dict:
    """Tree of every parameter's shape."""
    return {
        "encoder": encoder.shapes(config),
        "directions": {"weight": (config.dim, config.directions)},
        "decoder": decoder.shapes(config),
    }


def _initializer(path: tuple[str, ...]):
    """Equalised weights start with unit variance, styles at 1, biases and the noise's strength at 0."""
    if path[-2:] == ("modulation", "bias"):
        return nn.initializers.ones
    if path[-1] in ("bias", "activation_bias") or path[-2:] == ("noise", "weight"):
        return nn.initializers.zeros
    return nn.initializers.normal(1.0)


class _Tensors(nn.Module):
    """Declares a tree of parameters and returns it."""

    tree: Tree
    above: tuple[str, ...] = ()

    @nn.compact
    def __call__(self) -> dict:
        declared = {}
        for name, entry in self.tree.items():
            path = (*self.above, name)
            if isinstance(entry, Mapping):
                declared[name] = _Tensors(entry, path, name=name)()
            else:
                declared[name] = self.param(name, _initializer(path), tuple(entry), jnp.float32)
        return declared


class LatentAutoencoder(nn.Module):
    """Source and driving pictures `[n, h, w, 3]` in [-1, 1] to the source, moved like the driving ones."""

    config: LatentConfig

    @nn.compact
    def __call__(self, source: jax.Array, driving: jax.Array) -> jax.Array:
        tree = shapes(self.config)
        prepared = prepare({name: _Tensors(entry, (name,), name=name)() for name, entry in tree.items()})
        identity, _, features = encode(prepared, source)
        return decode(prepared, identity + motion(prepared, encode(prepared, driving)[1]), features)


def init_params(config: LatentConfig, key: jax.Array) -> dict:
    """A tree of fresh float32 parameters."""
    picture = jax.ShapeDtypeStruct((1, config.size, config.size, 3), jnp.float32)
    network = LatentAutoencoder(config)
    return jax.jit(lambda key: network.lazy_init(key, picture, picture)["params"])(key)


def prepare(params: Tree) -> dict:
    """What `encode` and `decode` use of a parameter tree; its arrays have the parameters' dtype."""
    return {
        "encoder": encoder.prepare_encoder(params["encoder"]),
        "directions": orthonormal(params["directions"]["weight"]),
        "decoder": decoder.prepare_decoder(params["decoder"]),
    }


def encode(prepared: Tree, images: jax.Array) -> encoder.Encoding:
    """Identity `[n, dim]`, coefficients `[n, K]` and features of pictures `[n, size, size, 3]` in [-1, 1]."""
    return encoder.encode(prepared["encoder"], images)[0]


def motion(prepared: Tree, coefficients: jax.Array) -> jax.Array:
    """Motion latents `[n, dim]` of coefficients `[n, K]`."""
    return motion_of(prepared["directions"], coefficients)


def decode(prepared: Tree, latents: jax.Array, features) -> jax.Array:
    """Pictures `[n, size, size, 3]`, about [-1, 1], not clamped.

    Args:
      latents: `[n, dim]`, identity + motion.
      features: those of `encode`, `[1, ...]` (one portrait for all n) or `[n, ...]`.
    """
    return decoder.decode(prepared["decoder"], latents, features)
