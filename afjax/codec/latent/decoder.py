"""Decoder of the latent codec: latent and skip features to a picture.

The levels start from a learned 4x4 map. Each doubles the size by two convolutions modulated by the latent. Then it
predicts three raw channels, added to the upsampled ones of the level below: tanh of the first two displaces the grid,
the sigmoid of the third is a mask:

    warped = sample(feature, grid + tanh(raw_0:2)) mask,    x <- warped + x (1 - mask)
    image  <- leaky(rgb(warped)) + bias + upsample(image)

Small maps are computed for all frames at once, because their weights are larger than they are; large ones frame by
frame, which keeps memory flat and the maps in cache. On GPUs all maps are computed at once: a frame alone does not fill
one, and a loop's iterations are launched one by one. Ten frames of 512 px and 32 channels in float32 are 336 MB.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from afjax.codec.latent.config import LatentConfig
from afjax.codec.latent.layers import (
    activate,
    demodulation,
    equalise,
    grid,
    linear,
    modulated,
    modulated_up,
    pad_feature,
    phases,
    upsample,
    warp,
)

__all__ = [
    "Level", "Warped", "decode", "level", "prepare_decoder", "prepare_flow", "prepare_rgb", "prepare_styled", "shapes",
    "start", "styled", "to_flow", "to_rgb",
]  # fmt: skip

TOGETHER = 32
"""Largest side of maps that are computed for all frames at once, on devices other than GPUs."""


class Warped(NamedTuple):
    """What a flow head gives: `warped` and next `x` `[n, h, w, c]`, `raw` `[n, h, w, 3]`, `flow` `[n, h, w, 2]`."""

    warped: jax.Array
    x: jax.Array
    raw: jax.Array
    flow: jax.Array


class Level(NamedTuple):
    """One level's maps: after each convolution, of the flow head, and the picture so far `[n, h, w, 3]`."""

    up: jax.Array
    conv: jax.Array
    flow: Warped
    image: jax.Array


def shapes(config: LatentConfig) -> dict:
    """Tree of parameter shapes, each in the released layout."""
    channels = config.widths

    def conv(fan_in, out, size):
        return {
            "weight": (1, out, fan_in, size, size),
            "modulation": {"weight": (fan_in, config.dim), "bias": (fan_in,)},
        }

    def styled_conv(fan_in, out):
        return {"conv": conv(fan_in, out, 3), "noise": {"weight": (1,)}, "bias": (1, out, 1, 1)}

    def rgb(width):
        return {"weight": (3, width, 1, 1), "activation_bias": (1, 3, 1, 1), "bias": (1, 3, 1, 1)}

    tree = {
        "constant": {"value": (1, channels[0], 4, 4)},
        "start": {"styled": styled_conv(channels[0], channels[0]), "rgb": rgb(channels[0])},
    }
    for n, (fan_in, out) in enumerate(zip(channels[:-1], channels[1:], strict=True)):
        tree[f"level{n}"] = {
            "up": styled_conv(fan_in, out),
            "styled": styled_conv(out, out),
            "flow": {"conv": conv(out, 3, 1), "bias": (1, 3, 1, 1)},
            "rgb": rgb(out),
        }
    return tree


def _modulation(params: dict) -> dict:
    return {"weight": equalise(params["weight"]), "bias": params["bias"]}


def prepare_styled(params: dict, up: bool = False) -> dict:
    """A modulated convolution's parameters, ready to be used. The noise's strength is left out: it is never added."""
    weight = equalise(params["conv"]["weight"][0])
    kernel = jnp.transpose(weight, (2, 3, 1, 0))
    return {
        "kernel": phases(kernel) if up else kernel,
        "energy": jnp.sum(weight * weight, (2, 3)),
        "modulation": _modulation(params["conv"]["modulation"]),
        "bias": params["bias"].reshape(-1),
    }


def prepare_flow(params: dict) -> dict:
    """A flow head's parameters, ready to be used."""
    return {
        "weight": equalise(params["conv"]["weight"][0])[:, :, 0, 0],
        "modulation": _modulation(params["conv"]["modulation"]),
        "bias": params["bias"].reshape(-1),
    }


def prepare_rgb(params: dict) -> dict:
    """A picture head's parameters, ready to be used."""
    return {
        "weight": equalise(params["weight"])[:, :, 0, 0],
        "activation_bias": params["activation_bias"].reshape(-1),
        "bias": params["bias"].reshape(-1),
    }


def prepare_decoder(params: dict) -> dict:
    """The decoder's parameters, ready to be used. The picture head of the 4x4 map is left out: it has no output."""
    levels = [params[f"level{n}"] for n in range(sum(name.startswith("level") for name in params))]
    return {
        "constant": jnp.transpose(params["constant"]["value"], (0, 2, 3, 1)),
        "start": prepare_styled(params["start"]["styled"]),
        "levels": [
            {
                "up": prepare_styled(each["up"], up=True),
                "styled": prepare_styled(each["styled"]),
                "flow": prepare_flow(each["flow"]),
                "rgb": prepare_rgb(each["rgb"]),
            }
            for each in levels
        ],
    }


def styled(prepared: dict, x: jax.Array, latents: jax.Array) -> jax.Array:
    """Modulated convolution and activation of maps `[n, h, w, in]`; twice the size where prepared with `up`."""
    style = linear(latents, prepared["modulation"]["weight"], prepared["modulation"]["bias"])
    kernel, scale = prepared["kernel"], demodulation(style, prepared["energy"])
    apply = modulated_up if isinstance(kernel, tuple) else modulated
    return activate(apply(x, style.astype(x.dtype), kernel, scale.astype(x.dtype)), prepared["bias"])


def to_flow(prepared: dict, x: jax.Array, latents: jax.Array, feature: jax.Array, raw: jax.Array | None) -> Warped:
    """Warps `feature` (of `pad_feature`, one for all or one per frame); `raw` `[n, h / 2, w / 2, 3]` is from below."""
    style = linear(latents, prepared["modulation"]["weight"], prepared["modulation"]["bias"])
    weight = prepared["weight"] * style[:, None]  # `[n, 3, in]`: no demodulation here
    head = jnp.einsum("nhwc,noc->nhwo", x, weight.astype(x.dtype), preferred_element_type=weight.dtype)
    head = head + prepared["bias"]
    if raw is not None:
        head = head + upsample(raw)
    flow = jnp.tanh(head[..., :2]) + grid(x.shape[1], head.dtype)
    mask = jax.nn.sigmoid(head[..., 2:]).astype(x.dtype)
    warped = warp(feature, flow) * mask
    return Warped(warped, warped + x * (1 - mask), head, flow)


def to_rgb(prepared: dict, warped: jax.Array, image: jax.Array | None) -> jax.Array:
    """The picture `[n, h, w, 3]`; `image` `[n, h / 2, w / 2, 3]` is that of the level below."""
    warped = warped.astype(prepared["weight"].dtype)
    rgb = activate(linear(warped, prepared["weight"]), prepared["activation_bias"]) + prepared["bias"]
    return rgb if image is None else rgb + upsample(image)


def start(prepared: dict, latents: jax.Array) -> jax.Array:
    """The 4x4 map `[n, 4, 4, c]`."""
    constant = prepared["constant"]
    return styled(prepared["start"], jnp.broadcast_to(constant, (latents.shape[0], *constant.shape[1:])), latents)


def level(prepared: dict, x: jax.Array, latents: jax.Array, feature: jax.Array, raw, image) -> Level:
    """One level; raw and image are None at the first."""
    up = styled(prepared["up"], x, latents)
    conv = styled(prepared["styled"], up, latents)
    flow = to_flow(prepared["flow"], conv, latents, feature, raw)
    return Level(up, conv, flow, to_rgb(prepared["rgb"], flow.warped, image))


def decode(prepared: dict, latents: jax.Array, features, together: int | None = None) -> jax.Array:
    """Pictures of latents, not clamped.

    Args:
      prepared: from `prepare_decoder`.
      latents: `[n, dim]`, identity + motion.
      features: maps `[m, h, w, c]`, coarse first; m is n, or 1 where all frames show one portrait.
      together: largest side of maps that are computed for all frames at once; None: TOGETHER, and all of them on GPUs.

    Returns:
      `[n, size, size, 3]`.
    """
    padded = [pad_feature(feature) for feature in features]
    most = TOGETHER if together is None else together
    small = sum(feature.shape[1] <= most for feature in features)
    state = _levels(prepared["levels"][:small], padded[:small], latents, (start(prepared, latents), None, None))
    if small == len(features):
        return state[2]
    shared, levels = features[0].shape[0] == 1, prepared["levels"][small:]

    def frame_by_frame(latents, state, rest):
        def frame(inputs):
            latent, state, *own = jax.tree.map(lambda each: each[None], inputs)
            return _levels(levels, rest if shared else own, latent, state)[2][0]

        return lax.map(frame, (latents, state, *(() if shared else rest)))

    def at_once(latents, state, rest):
        return _levels(levels, rest, latents, state)[2]

    given = (latents, state, padded[small:])
    if together is not None:
        return frame_by_frame(*given)
    return lax.platform_dependent(*given, cuda=at_once, rocm=at_once, default=frame_by_frame)


def _levels(levels, features, latents, state):
    """The state (x, raw, image) after `levels`, from the state before them."""
    x, raw, image = state
    for each, feature in zip(levels, features, strict=True):
        done = level(each, x, latents, feature, raw, image)
        x, raw, image = done.flow.x, done.flow.raw, done.image
    return x, raw, image
