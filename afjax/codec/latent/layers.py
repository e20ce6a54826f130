"""Layers of the latent codec (after StyleGAN2, Karras et al. 2020, and LIA, Wang et al. 2022), channels last.

Products have the precision of whoever traces them (`afjax.nn.precision`).

Equalised weights are stored with unit variance and divided by sqrt(fan in); `equalise` does it once per parameter set.

Blur and resampling use the separable kernel [1, 3, 3, 1] / 8 on each axis, written as shifted additions: XLA's CPU
depthwise convolution takes about 24 times as long.

Modulated convolution. With style s [in] and weight w [out, in, k, k]

    y_o = d_o sum_i conv(s_i x_i, w_oi),    d_o = (sum_i s_i^2 sum_k w_oik^2 + eps)^-1/2

so that one convolution is shared by all frames: styles scale its input, demodulation scales its output.

Upsampling by two is a transposed convolution of stride 2, t[2i + k] += x[i] w[k] for k = 0, 1, 2, and then a blur of
gain 2 per axis. Even and odd positions of t are convolutions of x with 2 and 1 taps, E and O; the blur mixes them
before they are interleaved, so that no zeros are multiplied and the large map is written once:

    y[2i]     = (O[i-1] + 3 E[i] + 3 O[i] + E[i+1]) / 4
    y[2i + 1] = (E[i] + 3 O[i] + 3 E[i+1] + O[i+1]) / 4
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = [
    "BLUR", "activate", "blur", "conv", "demodulation", "downsample", "equalise", "grid", "linear", "modulated",
    "modulated_up", "pad_feature", "phases", "upsample", "warp",
]  # fmt: skip

BLUR = (0.125, 0.375, 0.375, 0.125)
DEMODULATION_EPS = 1e-8
_LAYOUT = ("NHWC", "HWIO", "NHWC")


def equalise(weight: jax.Array) -> jax.Array:
    """A stored weight `[out, in, ...]` divided by sqrt(fan in)."""
    return weight / math.sqrt(math.prod(weight.shape[1:]))


def linear(x: jax.Array, weight: jax.Array, bias: jax.Array | float = 0.0) -> jax.Array:
    """x `[..., in]` times weight `[out, in]`, plus bias."""
    return lax.dot_general(x, weight, (((x.ndim - 1,), (1,)), ((), ()))) + bias


def conv(x: jax.Array, kernel: jax.Array, stride: int = 1, padding=((1, 1), (1, 1))) -> jax.Array:
    """x `[n, h, w, in]` with kernel `[k, k, in, out]`."""
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=_LAYOUT)


def activate(x: jax.Array, bias: jax.Array) -> jax.Array:
    """Leaky ReLU 0.2 of x + bias, times sqrt(2)."""
    x = x + bias
    return jnp.maximum(x, 0.2 * x) * math.sqrt(2)


def _taps(x: jax.Array, axis: int, pad: tuple[int, int], taps, stride: int = 1) -> jax.Array:
    """Convolution of one axis with 4 taps (a true one: the taps are mirrored) after zero padding."""
    widths = [(0, 0)] * x.ndim
    widths[axis] = pad
    x = jnp.pad(x, widths)
    last = x.shape[axis] - len(taps) + 1
    cut = (lax.slice_in_dim(x, j, j + last, stride, axis) * tap for j, tap in enumerate(reversed(taps)))
    return sum(cut)


def blur(x: jax.Array, pad: tuple[int, int], taps=BLUR, stride: int = 1) -> jax.Array:
    """x `[n, h, w, c]`, zero-padded by `pad` before and after on both axes, blurred by the outer product of `taps`."""
    return _taps(_taps(x, 1, pad, taps, stride), 2, pad, taps, stride)


def downsample(x: jax.Array) -> jax.Array:
    """Every second pixel of the blurred map: `[n, h, w, c]` to `[n, h / 2, w / 2, c]`."""
    return blur(x, (1, 1), stride=2)


def _interleave(even: jax.Array, odd: jax.Array, axis: int) -> jax.Array:
    shape = list(even.shape)
    shape[axis] *= 2
    return jnp.stack([even, odd], axis + 1).reshape(shape)


def _double(x: jax.Array, axis: int) -> jax.Array:
    """Zero insertion and blur of gain 2 on one axis, which is linear interpolation by quarters."""
    size = x.shape[axis]
    widths = [(0, 0)] * x.ndim
    widths[axis] = (1, 1)
    padded = jnp.pad(x, widths)
    before, after = (lax.slice_in_dim(padded, start, start + size, axis=axis) for start in (0, 2))
    return _interleave(0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after, axis)


def upsample(x: jax.Array) -> jax.Array:
    """A map `[n, h, w, c]` at twice the size."""
    return _double(_double(x, 1), 2)


def demodulation(style: jax.Array, energy: jax.Array) -> jax.Array:
    """d `[n, out]` of styles `[n, in]`; energy `[out, in]` = sum of the squared taps."""
    return lax.rsqrt(linear(style * style, energy) + DEMODULATION_EPS)


def modulated(x: jax.Array, style: jax.Array, kernel: jax.Array, demodulate: jax.Array) -> jax.Array:
    """x `[n, h, w, in]`, style `[n, in]`, kernel `[3, 3, in, out]`, demodulate `[n, out]`."""
    return conv(x * style[:, None, None], kernel) * demodulate[:, None, None]


def phases(kernel: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The kernel `[3, 3, in, out]` of a stride-2 transposed convolution by output parity: rows, then columns."""
    even, odd = slice(None, None, -2), slice(1, 2)  # taps 2, 0 and tap 1
    return kernel[even, even], kernel[even, odd], kernel[odd, even], kernel[odd, odd]


def _mix(even: jax.Array, odd: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """The blur along one axis of even `[.., h + 1, ..]` and odd `[.., h, ..]` positions: both parities of the map."""
    size = odd.shape[axis]
    widths = [(0, 0)] * odd.ndim
    widths[axis] = (1, 1)
    padded = jnp.pad(odd, widths)
    e0, e1 = (lax.slice_in_dim(even, start, start + size, axis=axis) for start in (0, 1))
    before, after = (lax.slice_in_dim(padded, start, start + size, axis=axis) for start in (0, 2))
    return 0.25 * (before + e1) + 0.75 * (e0 + odd), 0.25 * (e0 + after) + 0.75 * (odd + e1)


def modulated_up(x: jax.Array, style: jax.Array, kernels, demodulate: jax.Array) -> jax.Array:
    """`modulated` at twice the size; kernels as `phases` gives them."""
    x = x * style[:, None, None]
    edge, none = (1, 1), (0, 0)
    pads = ((edge, edge), (edge, none), (none, edge), (none, none))
    ee, eo, oe, oo = (conv(x, kernel, padding=pad) for kernel, pad in zip(kernels, pads, strict=True))
    upper, lower = zip(_mix(ee, oe, 1), _mix(eo, oo, 1), strict=True)
    rows = (_interleave(*_mix(even, odd, 2), 2) for even, odd in (upper, lower))
    return _interleave(*rows, 1) * demodulate[:, None, None]


def grid(size: int, dtype) -> np.ndarray:
    """The coordinates `[size, size, 2]`, x then y, that zero flow stands for: from -1 to 1, both ends included.

    Sampling takes -1 and 1 for the outer edges of the border pixels instead, as released: zero flow magnifies a
    little, by size / (size - 1).
    """
    line = np.linspace(-1, 1, size)
    return np.stack(np.meshgrid(line, line), -1).astype(dtype)


def pad_feature(feature: jax.Array) -> jax.Array:
    """`[n, h, w, c]` in a ring of zeros, as `warp` reads it."""
    return jnp.pad(feature, ((0, 0), (1, 1), (1, 1), (0, 0)))


def warp(feature: jax.Array, flow: jax.Array) -> jax.Array:
    """Bilinear samples of a feature map; zero outside.

    Args:
      feature: `[m, h + 2, w + 2, c]` from `pad_feature`; m is n, or 1 to be read for every frame.
      flow: `[n, h, w, 2]` x and y, -1 and 1 at the map's outer edges.

    Returns:
      `[n, h, w, c]`.
    """
    if feature.shape[0] == 1:
        return jax.vmap(_warp, (None, 0))(feature[0], flow)
    return jax.vmap(_warp)(feature, flow)


def _warp(feature: jax.Array, flow: jax.Array) -> jax.Array:
    height, width, channels = feature.shape
    inner = np.array([width - 2, height - 2])
    # Pixel 0 is the ring; far outside is as good as on it.
    place = jnp.clip(((flow + 1) * inner.astype(flow.dtype) - 1) / 2, -1, inner.astype(flow.dtype)) + 1
    corner = jnp.minimum(jnp.floor(place), inner.astype(flow.dtype))
    share = place - corner
    corner = corner.astype(jnp.int32)
    start = corner[..., 1] * width + corner[..., 0]
    rows = feature.reshape(-1, channels)
    x, y = share[..., :1], share[..., 1:]

    def read(offset):
        return rows.at[start + offset].get(mode="promise_in_bounds")

    top = read(0) * (1 - x) + read(1) * x
    return (top * (1 - y) + (read(width) * (1 - x) + read(width + 1) * x) * y).astype(feature.dtype)
