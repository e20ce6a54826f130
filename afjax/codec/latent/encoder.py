"""Encoder of the latent codec: a picture to its identity latent, skip features and motion coefficients.

A 1x1 convolution, residual blocks that halve the map down to 4x4, and a 4x4 convolution to the identity latent. Five
linear layers with nothing between them read the k motion coefficients off that latent.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from afjax.codec.latent.config import LatentConfig
from afjax.codec.latent.layers import activate, blur, conv, downsample, equalise, linear

__all__ = [
    "Encoding", "residual_block", "block_shapes", "coefficients_of", "encode", "layer_shapes", "prepare_block",
    "prepare_encoder", "shapes",
]  # fmt: skip

HEAD = 5


class Encoding(NamedTuple):
    """What the encoder reads from a picture.

    Attributes:
      identity: `[n, dim]`.
      coefficients: `[n, k]` of the motion.
      features: maps `[n, h, w, c]` from 8x8 up to the picture's size, coarse first.
    """

    identity: jax.Array
    coefficients: jax.Array
    features: tuple[jax.Array, ...]


def shapes(config: LatentConfig) -> dict:
    """Tree of parameter shapes, each in the released layout."""
    channels = config.widths[::-1]
    tree = {"input": layer_shapes(3, channels[0], 1)}
    for n, (fan_in, out) in enumerate(zip(channels[:-1], channels[1:], strict=True)):
        tree[f"block{n}"] = block_shapes(fan_in, out)
    tree["output"] = {"weight": (config.dim, channels[-1], 4, 4)}
    for n in range(HEAD):
        out = config.directions if n == HEAD - 1 else config.dim
        tree[f"head{n}"] = {"weight": (out, config.dim), "bias": (out,)}
    return tree


def block_shapes(fan_in: int, out: int) -> dict:
    """Parameter shapes of a residual block."""
    skip = {"weight": (out, fan_in, 1, 1)}
    return {"conv1": layer_shapes(fan_in, fan_in, 3), "conv2": layer_shapes(fan_in, out, 3), "skip": skip}


def layer_shapes(fan_in: int, out: int, size: int) -> dict:
    """Parameter shapes of a convolution with a bias."""
    return {"weight": (out, fan_in, size, size), "bias": (1, out, 1, 1)}


def _kernel(weight: jax.Array) -> jax.Array:
    return jnp.transpose(equalise(weight), (2, 3, 1, 0))


def _matrix(weight: jax.Array) -> jax.Array:
    return equalise(weight)[:, :, 0, 0]


def prepare_block(params: dict) -> dict:
    """A residual block's parameters, ready to be used."""
    return {
        "conv1": {"kernel": _kernel(params["conv1"]["weight"]), "bias": params["conv1"]["bias"].reshape(-1)},
        "conv2": {"kernel": _kernel(params["conv2"]["weight"]), "bias": params["conv2"]["bias"].reshape(-1)},
        "skip": _matrix(params["skip"]["weight"]),
    }


def prepare_encoder(params: dict) -> dict:
    """The encoder's parameters, ready to be used."""
    blocks = sum(name.startswith("block") for name in params)
    heads = [params[f"head{n}"] for n in range(HEAD)]
    return {
        "input": {"weight": _matrix(params["input"]["weight"]), "bias": params["input"]["bias"].reshape(-1)},
        "blocks": [prepare_block(params[f"block{n}"]) for n in range(blocks)],
        "output": _kernel(params["output"]["weight"]),
        "head": [{"weight": equalise(head["weight"]), "bias": head["bias"]} for head in heads],
    }


def residual_block(prepared: dict, x: jax.Array) -> jax.Array:
    """Residual block: `[n, h, w, in]` to `[n, h / 2, w / 2, out]`."""
    main = activate(conv(x, prepared["conv1"]["kernel"]), prepared["conv1"]["bias"])
    main = conv(blur(main, (2, 2)), prepared["conv2"]["kernel"], stride=2, padding="VALID")
    main = activate(main, prepared["conv2"]["bias"])
    return (main + linear(downsample(x), prepared["skip"])) / math.sqrt(2)


def encode(prepared: dict, images: jax.Array) -> tuple[Encoding, jax.Array]:
    """Encodes pictures `[n, h, w, 3]` in [-1, 1]; also gives the 4x4 map behind the identity latent."""
    x = activate(linear(images, prepared["input"]["weight"]), prepared["input"]["bias"])
    maps = [x]
    for each in prepared["blocks"]:
        maps.append(residual_block(each, maps[-1]))
    identity = conv(maps[-1].astype(prepared["output"].dtype), prepared["output"], padding="VALID")[:, 0, 0]
    return Encoding(identity, coefficients_of(prepared, identity), tuple(reversed(maps[:-1]))), maps[-1]


def coefficients_of(prepared: dict, identity: jax.Array) -> jax.Array:
    """Motion coefficients `[n, k]` of identity latents `[n, dim]`."""
    for layer in prepared["head"]:
        identity = linear(identity, layer["weight"], layer["bias"])
    return identity
