"""The latent codec's network: its parameters, and encoding and decoding as pure functions of prepared ones.

Parameters keep the released layout of every tensor (linear [out, in], convolution [out, in, k, k]), so that converting
weights is renaming. `prepare` folds the equalised scales, turns the kernels and factorises the directions, once per
parameter set; inside a training step it is part of the step.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from afjax.codec.latent import decoder, encoder
from afjax.codec.latent.config import LatentConfig
from afjax.codec.latent.directions import motion_of, orthonormal

__all__ = [
    "LatentAutoencoder",
    "decode",
    "sample_params",
    "encode",
    "init_params",
    "motion",
    "narrowed",
    "prepare",
    "shapes",
]

Tree = Mapping[str, Any]


def shapes(config: LatentConfig) -> dict:
    """Tree of every parameter's shape."""
    return {
        "encoder": encoder.shapes(config),
        "directions": {"weight": (config.dim, config.directions)},
        "decoder": decoder.shapes(config),
    }


def _start(path: tuple[str, ...], normal: jax.Array) -> jax.Array:
    """A parameter's initial value: weights are the standard normal numbers, styles 1, biases and noise strength 0."""
    if path[-2:] == ("modulation", "bias"):
        return jnp.ones_like(normal)
    if path[-1] in ("bias", "activation_bias") or path[-2:] == ("noise", "weight"):
        return jnp.zeros_like(normal)
    return normal


def _sample_leaf(path: tuple[str, ...], key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return _start(path, jax.random.normal(key, shape, jnp.float32))


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
                declared[name] = self.param(name, functools.partial(_sample_leaf, path), tuple(entry))
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
    """A tree of fresh float32 parameters with the shapes and distributions of `LatentAutoencoder`."""
    return sample_params(shapes(config), key)


def sample_params(tree: Tree, key: jax.Array) -> dict:
    """Fresh float32 parameters of a tree of shapes.

    All numbers come from one draw: a hundred draws of their own would take a minute to compile.
    """
    leaves, treedef = jax.tree.flatten_with_path(tree, is_leaf=lambda entry: isinstance(entry, tuple))
    ends = np.cumsum([math.prod(shape) for _, shape in leaves])
    pieces = jnp.split(jax.random.normal(key, (int(ends[-1]),), jnp.float32), ends[:-1].tolist())
    made = [
        _start(tuple(step.key for step in path), piece.reshape(shape))
        for (path, shape), piece in zip(leaves, pieces, strict=True)
    ]
    return jax.tree.unflatten(treedef, made)


def prepare(params: Tree) -> dict:
    """What `encode` and `decode` use of a parameter tree; its arrays have the parameters' dtype."""
    return {
        "encoder": encoder.prepare_encoder(params["encoder"]),
        "directions": orthonormal(params["directions"]["weight"]),
        "decoder": decoder.prepare_decoder(params["decoder"]),
    }


def narrowed(prepared: Tree, dtype) -> dict:
    """Prepared parameters, those of convolutions from map to map in another dtype, say bfloat16. Maps then have it.

    Latents, coefficients, styles, flow and the picture so far stay as they are: a place among 512 pixels has more
    digits than bfloat16, and the picture is a sum over levels. Pictures to encode must have `dtype` as well.
    """
    wide = ("output", "head", "modulation", "energy", "flow", "rgb", "directions")

    def one(path, leaf):
        names = {step.key for step in path if isinstance(step, jax.tree_util.DictKey)}
        return leaf if names & set(wide) else leaf.astype(dtype)

    return jax.tree_util.tree_map_with_path(one, prepared)


def encode(prepared: Tree, images: jax.Array) -> encoder.Encoding:
    """Identity `[n, dim]`, coefficients `[n, k]` and features of pictures `[n, size, size, 3]` in [-1, 1]."""
    return encoder.encode(prepared["encoder"], images)[0]


def motion(prepared: Tree, coefficients: jax.Array) -> jax.Array:
    """Motion latents `[n, dim]` of coefficients `[n, k]`."""
    return motion_of(prepared["directions"], coefficients)


def decode(prepared: Tree, latents: jax.Array, features, together: int | None = None) -> jax.Array:
    """Pictures `[n, size, size, 3]`, about [-1, 1], not clamped.

    Args:
      latents: `[n, dim]`, identity + motion.
      features: those of `encode`, `[1, ...]` (one portrait for all n) or `[n, ...]`.
      together: largest side of maps that are computed for all n at once; None: as it suits the device.
    """
    return decoder.decode(prepared["decoder"], latents, features, together)
