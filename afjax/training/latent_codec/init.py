"""Initial weights of the latent codec, changed so that training can begin with motion.

`copying`: every picture made is its source. Motion, not pictures, is then left to learn.

`reading`: coefficients pass through. Five random linear layers, multiplied, let a few directions of the identity latent
through and next to nothing of the others. Identities and a last layer of orthonormal rows let all through alike.

`centred`: the encoder is rid of what faces have in common. Pictures of faces are much alike. The maps of fresh weights
are therefore nearly the same for all of them, and their differences move no unit across its bend. Weights and biases
are set from some pictures, layer by layer: every channel of every convolution gets mean 0 and deviation 1 over pictures
and places (Mishkin and Matas 2016), and the coefficients become uncorrelated over pictures.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Float

from afjax.codec.latent import encoder
from afjax.codec.latent.layers import activate, blur, conv, downsample, linear
from afjax.types import HostOrDevice, typed

__all__ = ["centred", "copying", "reading"]

OPEN = 2.0
"""Initial logit of the finest mask."""
_SMALLEST = 1e-3  # added to the deviation by which a channel is divided


def copying(params: dict) -> dict:
    """Changes parameters in place so that every picture made is its source, whatever the latent.

    All flow is zero, so that only its own magnification stays (half a pixel at the edges, `layers.grid`). Three
    channels of the finest map hold the picture. The finest picture head alone shows them; the mask lets most of them
    pass:

        feature = sqrt(2) (x + 1),    image = sqrt(2) weight mask feature - 1,    weight = 1 / (2 mask)
    """
    levels = [level for name, level in sorted(params["decoder"].items()) if name.startswith("level")]
    for level in levels:
        level["flow"]["conv"]["weight"] *= 0
        level["rgb"]["weight"] *= 0
    entry, finest = params["encoder"]["input"], levels[-1]
    # stored weights are divided by the root of their fan-in when used
    colours = jnp.eye(3)[:, :, None, None]
    entry["weight"] = entry["weight"].at[:3].set(math.sqrt(3) * colours)
    entry["bias"] = entry["bias"].at[:, :3].set(1.0)
    finest["flow"]["bias"] = finest["flow"]["bias"].at[:, 2].set(OPEN)
    width = finest["rgb"]["weight"].shape[1]
    weight = math.sqrt(width) / (2 * jax.nn.sigmoid(OPEN))
    finest["rgb"]["weight"] = finest["rgb"]["weight"].at[:, :3].set(weight * colours)
    finest["rgb"]["bias"] -= 1.0
    return params


def reading(params: dict) -> dict:
    """Changes parameters in place so that the coefficients are orthonormal projections of the identity latent."""
    for n in range(encoder.HEAD):
        layer = params["encoder"][f"head{n}"]
        out, width = layer["weight"].shape
        rows = jnp.eye(width) if n < encoder.HEAD - 1 else jnp.linalg.qr(layer["weight"].T)[0].T
        layer["weight"] = math.sqrt(width) * rows[:out]
    return params


@typed
def centred(params: dict, pictures: Float[HostOrDevice, "n h w 3"]) -> dict:
    """Parameters whose encoder tells n pictures `[n, h, w, 3]` in [-1, 1] apart; n is at least that of coefficients."""
    old, made = params["encoder"], dict(params["encoder"])
    blocks = sum(name.startswith("block") for name in old)
    ready = encoder.prepare_encoder(old)
    x = activate(linear(pictures, ready["input"]["weight"]), ready["input"]["bias"])
    for n in range(blocks):
        block = ready["blocks"][n]
        main, first = _unit(conv(x, block["conv1"]["kernel"]), old[f"block{n}"]["conv1"])
        main = conv(blur(main, (2, 2)), block["conv2"]["kernel"], stride=2, padding="VALID")
        main, second = _unit(main, old[f"block{n}"]["conv2"])
        made[f"block{n}"] = {**old[f"block{n}"], "conv1": first, "conv2": second}
        x = (main + linear(downsample(x), block["skip"])) / math.sqrt(2)
    coefficients = encoder.coefficients_of(ready, conv(x, ready["output"], padding="VALID")[:, 0, 0])
    mean, last = coefficients.mean(0), f"head{encoder.HEAD - 1}"
    covariance = jnp.cov(coefficients, rowvar=False)
    floor = 1e-4 * jnp.trace(covariance) / len(covariance)
    whiten = jnp.linalg.inv(jnp.linalg.cholesky(covariance + floor * jnp.eye(len(covariance))))
    made[last] = {"weight": whiten @ old[last]["weight"], "bias": whiten @ (old[last]["bias"] - mean)}
    return {**params, "encoder": made}


def _unit(x: jax.Array, layer: dict) -> tuple[jax.Array, dict]:
    """A convolution's activated map, and the weight and bias that give it mean 0 and deviation 1 before activation."""
    mean, deviation = x.mean((0, 1, 2)), x.std((0, 1, 2)) + _SMALLEST
    changed = {"weight": layer["weight"] / deviation[:, None, None, None], "bias": -(mean / deviation)[:, None, None]}
    return activate(x / deviation, -mean / deviation), {**changed, "bias": changed["bias"][None]}
