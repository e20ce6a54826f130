"""Discriminator after StyleGAN2 (Karras et al. 2020): a picture to one number, high for real ones.

A 1x1 convolution, the encoder's residual blocks down to 4x4, the batch's deviation as one more channel, a 3x3
convolution and two linear layers. The deviation is that of groups of up to 4 pictures, averaged over pixels and
channels: a generator whose pictures are all alike is seen through.
"""

import math

import jax
import jax.numpy as jnp

from afjax.codec.latent import encoder
from afjax.codec.latent.layers import activate, conv, equalise, linear
from afjax.codec.latent.network import sample_params

__all__ = ["GROUP", "discriminate", "init_discriminator", "prepare_discriminator", "shapes"]

GROUP = 4


def shapes(size: int, channels: tuple[int, ...]) -> dict:
    """Tree of parameter shapes for pictures of a size; `channels` of the maps of side 4, 8, 16 and so on."""
    widths = channels[: size.bit_length() - 2][::-1]
    tree = {"input": encoder.layer_shapes(3, widths[0], 1)}
    for n, (fan_in, out) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
        tree[f"block{n}"] = encoder.block_shapes(fan_in, out)
    last = widths[-1]
    tree["last"] = encoder.layer_shapes(last + 1, last, 3)
    tree["hidden"] = {"weight": (last, 16 * last), "bias": (last,)}
    tree["output"] = {"weight": (1, last), "bias": (1,)}
    return tree


def init_discriminator(size: int, channels: tuple[int, ...], key: jax.Array) -> dict:
    """Fresh parameters."""
    return sample_params(shapes(size, channels), key)


def prepare_discriminator(params: dict) -> dict:
    """Parameters ready to be used."""
    blocks = sum(name.startswith("block") for name in params)

    def kernel(layer):
        weight = jnp.transpose(equalise(layer["weight"]), (2, 3, 1, 0))
        return {"kernel": weight, "bias": layer["bias"].reshape(-1)}

    def matrix(layer):
        return {"weight": equalise(layer["weight"]), "bias": layer["bias"]}

    return {
        "input": kernel(params["input"]),
        "blocks": [encoder.prepare_block(params[f"block{n}"]) for n in range(blocks)],
        "last": kernel(params["last"]),
        "hidden": matrix(params["hidden"]),
        "output": matrix(params["output"]),
    }


def discriminate(prepared: dict, images: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """Logits `[n]` of pictures `[n, size, size, 3]` in [-1, 1], and the maps behind each residual block."""
    x = activate(linear(images, prepared["input"]["kernel"][0, 0].T), prepared["input"]["bias"])
    maps = []
    for each in prepared["blocks"]:
        x = encoder.residual_block(each, x)
        maps.append(x)
    x = conv(jnp.concatenate([x, _deviation(x)], -1), prepared["last"]["kernel"])
    x = activate(x, prepared["last"]["bias"]).reshape(len(x), -1)
    x = activate(linear(x, prepared["hidden"]["weight"]), prepared["hidden"]["bias"])
    return linear(x, prepared["output"]["weight"], prepared["output"]["bias"])[:, 0], tuple(maps)


def _deviation(x: jax.Array) -> jax.Array:
    """Mean deviation `[n, h, w, 1]` of each picture's group."""
    group = math.gcd(len(x), GROUP)
    groups = x.reshape(group, -1, *x.shape[1:])
    spread = jnp.sqrt(groups.var(0) + 1e-8).mean((1, 2, 3))
    return jnp.broadcast_to(jnp.tile(spread, group)[:, None, None, None], (*x.shape[:3], 1))
