"""The network, with every parameter in the layout of the released files.

    wave ── conv, group norm, GELU ── 6 x (conv, GELU) ── LN, linear ─► h
    h + GELU(positional conv h) ── LN ── depth x (h = LN(h + attention h), h = LN(h + feed-forward h))

The group norm has one channel per group: each channel of the first convolution is standardised over the whole time
of its input, so every row depends on all of it. `statistics` computes that mean and variance apart from the rest,
so that rows can be computed a few at a time and, in a stream, with the statistics of another stretch of sound.

Row r of the convolutions reads samples r * hop .. r * hop + receptive - 1. The convolutions make k (t - 1) + 1 rows of
t * 640 samples, k = 640 / hop. Linear interpolation with aligned corners to t frames therefore lands on row k n for
frame n exactly: `frames` computes these rows alone, from the first `receptive` samples of each frame.

(Baevski et al., arXiv 2006.11477.) Dropout, time masks and the attention mask of padded batches have no place here.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from afjax.audio.framing import FRAME
from afjax.audio.wav2vec2.config import Wav2Vec2Config
from afjax.nn.layer_norm import LayerNorm
from afjax.nn.linear import Linear, fan_in, zeros

GROUP_EPSILON = 1e-5
# These bound the memory of long sound: 13 MB and 160 MB of the first convolution, 72 MB of weights for a minute.
_FRAMES_OF_STATISTICS = 50
_FRAMES_AT_ONCE = 1000
_QUERIES_AT_ONCE = 1000


class Statistics(NamedTuple):
    """Statistics over time: the number of rows, their mean and variance `[b, channels]`."""

    count: jax.Array
    mean: jax.Array
    variance: jax.Array


def pool(statistics: Statistics) -> Statistics:
    """Statistics `[m, b, channels]` and counts `[m]` of m stretches -> those of all of them together."""
    share = (statistics.count / statistics.count.sum())[:, None, None]
    mean = (share * statistics.mean).sum(0)
    variance = (share * (statistics.variance + jnp.square(statistics.mean - mean))).sum(0)
    return Statistics(statistics.count.sum(), mean, variance)


def gelu(x):
    """x times the normal distribution function of x."""
    return 0.5 * x * (1 + lax.erf(x * 0.5**0.5))


class Conv(nn.Module):
    """Convolution over time without bias, `[b, s, in]` -> `[b, t, features]`, kernel (out, in, taps)."""

    features: int
    taps: int
    stride: int

    @nn.compact
    def __call__(self, x):
        kernel = self.param("kernel", nn.initializers.he_normal(1, 0), (self.features, x.shape[-1], self.taps))
        return lax.conv_general_dilated(
            x, kernel.astype(x.dtype), (self.stride,), "VALID", dimension_numbers=("NWC", "OIW", "NWC")
        )


class PositionalConv(nn.Module):
    """Grouped convolution with weight normalisation per tap: kernel = g v / |v|, the norm over all but the taps."""

    taps: int
    groups: int

    @nn.compact
    def __call__(self, x):
        width = x.shape[-1]
        g = self.param("g", nn.initializers.ones_init(), (1, 1, self.taps))
        v = self.param("v", fan_in, (width, width // self.groups, self.taps))
        bias = self.param("bias", zeros, (width,))
        kernel = g * v / jnp.sqrt(jnp.square(v).sum((0, 1), keepdims=True))
        y = lax.conv_general_dilated(
            x,
            kernel.astype(x.dtype),
            (1,),
            [(self.taps // 2, (self.taps - 1) // 2)],
            dimension_numbers=("NWC", "OIW", "NWC"),
            feature_group_count=self.groups,
        )
        return y + bias.astype(x.dtype)


class Layer(nn.Module):
    """Post-norm transformer layer, `[b, t, width]` -> the same."""

    config: Wav2Vec2Config

    @nn.compact
    def __call__(self, x):
        c = self.config
        query, key, value = (
            Linear(c.width, name=name)(x).reshape(*x.shape[:2], c.heads, c.width // c.heads)
            for name in ("query", "key", "value")
        )
        mixed = attend(query * (c.width // c.heads) ** -0.5, key, value).reshape(x.shape)
        x = norm(c, "attention_norm")(x + Linear(c.width, name="out")(mixed))
        inner = gelu(Linear(c.feed_forward, name="up")(x))
        return norm(c, "norm")(x + Linear(c.width, name="down")(inner))


def norm(config: Wav2Vec2Config, name: str | None = None):
    return LayerNorm(epsilon=config.epsilon, use_fast_variance=False, name=name)


def attend(query, key, value):
    """Softmax attention of scaled queries, all `[b, t, h, e]`; long inputs a few queries at a time."""

    def rows(some):
        wide = jnp.promote_types(some.dtype, jnp.float32)
        scores = jnp.einsum("qbhe,bkhe->qbhk", some, key, preferred_element_type=wide)
        return jnp.einsum("qbhk,bkhe->qbhe", jax.nn.softmax(scores, axis=-1).astype(value.dtype), value)

    queries = jnp.moveaxis(query, 1, 0)
    if len(queries) <= _QUERIES_AT_ONCE:
        return jnp.moveaxis(rows(queries), 0, 1)
    # a loop: parts that are written out are all in memory at once
    mixed = lax.map(lambda one: rows(one[None])[0], queries, batch_size=_QUERIES_AT_ONCE)
    return jnp.moveaxis(mixed, 0, 1)


def _by_parts(function, rows, size: int):
    """`function` of an array `[n, ...]` whose rows are independent, at most `size` of them at a time.

    The parts are written out: inside a loop XLA's CPU convolutions take twenty times as long.
    """
    parts = [function(rows[first : first + size]) for first in range(0, len(rows), size)]
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts)


class Wav2Vec2(nn.Module):
    """Standardised wave `[b, t * 640]` -> `[b, t, depth * width]`, layer after layer side by side."""

    config: Wav2Vec2Config

    def setup(self):
        c = self.config
        self.convs = [Conv(*sizes) for sizes in zip(c.conv_dim, c.conv_kernel, c.conv_stride, strict=True)]
        self.group_scale = self.param("group_scale", nn.initializers.ones_init(), c.conv_dim[:1])
        self.group_bias = self.param("group_bias", zeros, c.conv_dim[:1])
        self.feature_norm = norm(c)
        self.feature_projection = Linear(c.width)
        self.positional = PositionalConv(c.positional_kernel, c.positional_groups)
        self.norm = norm(c)
        self.layers = [Layer(c) for _ in range(c.depth)]

    def __call__(self, wave, statistics: Statistics | None = None):
        """`statistics` are by default the wave's own."""
        statistics = self.statistics(wave) if statistics is None else statistics
        return jnp.concatenate(self.hidden(self.project(self.frames(wave, statistics)))[1:], axis=-1)

    def statistics(self, wave) -> Statistics:
        """Statistics of the first convolution over a wave `[b, s]`, one stretch of frames at a time."""
        kernel, stride = self.config.conv_kernel[0], self.config.conv_stride[0]
        samples = _FRAMES_OF_STATISTICS * FRAME // stride * stride
        rows = (wave.shape[1] - kernel) // stride + 1
        whole = max(rows * stride // samples - 1, 0)

        def stretch(part) -> Statistics:
            y = self.convs[0](part[..., None])
            mean = y.mean(1)
            return Statistics(jnp.asarray(y.shape[1], y.dtype), mean, jnp.square(y - mean[:, None]).mean(1))

        last = jax.tree.map(lambda y: y[None], stretch(wave[:, whole * samples :]))
        if not whole:
            return pool(last)
        starts = jnp.arange(whole) * samples
        length = samples + kernel - stride
        many = lax.map(lambda start: stretch(lax.dynamic_slice_in_dim(wave, start, length, 1)), starts)
        return pool(jax.tree.map(lambda *y: jnp.concatenate(y), many, last))

    def rows(self, wave, statistics: Statistics):
        """Wave `[b, s]` -> every row of the convolutions `[b, rows, channels]`."""
        mean, variance = statistics.mean[:, None], statistics.variance[:, None]
        x = self.convs[0](wave[..., None])
        x = (x - mean) / jnp.sqrt(variance + GROUP_EPSILON) * self.group_scale + self.group_bias
        x = gelu(x.astype(wave.dtype))
        for conv in self.convs[1:]:
            x = gelu(conv(x))
        return x

    def frames(self, wave, statistics: Statistics):
        """Wave `[b, t * 640]` -> the row of each frame `[b, t, channels]`."""
        clips = wave.shape[0]
        cut = wave.reshape(clips, -1, FRAME)[:, :, : self.config.receptive].swapaxes(0, 1)

        def some(part):
            repeated = jax.tree.map(lambda y: jnp.tile(y, (len(part), 1)), statistics._replace(count=None))
            return self.rows(part.reshape(-1, part.shape[-1]), repeated).reshape(*part.shape[:2], -1)

        return _by_parts(some, cut, _FRAMES_AT_ONCE).swapaxes(0, 1)

    def project(self, features):
        """Rows `[b, t, channels]` -> `[b, t, width]`."""
        return self.feature_projection(self.feature_norm(features))

    def embed(self, x):
        """Positional part of the encoder's input, `[b, t, width]` -> the same."""
        return gelu(self.positional(x))

    def hidden(self, x) -> list:
        """The encoder's input after its norm and the output of each layer, each `[b, t, width]`."""
        states = [self.norm(x + self.embed(x))]
        for layer in self.layers:
            states.append(layer(states[-1]))
        return states
