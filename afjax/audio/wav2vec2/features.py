"""`wav2vec2`: all hidden layers side by side, one row per 25 fps frame.

Whole clips (`features`) are computed as the released network does: the wave is standardised over the whole clip, its
last sample is repeated up to whole frames, and one pass of the network sees everything. Row n depends on all sound,
also on what comes after frame n.

A stream (`latest`) computes the rows of the last frames from a window of sound that ends where the last frame ends:
nothing later is read. The network standardises the wave and each channel of its first convolution over the whole clip.
The stream does so over all that it has heard, which `extend_past` keeps as a few numbers; over the window alone, a
pause would be turned up to speech. Sound before the stream's first sample is silence.

`streamed` computes the rows that a stream would have of recorded sound; models are trained on and measured with them.
Each block has a window of its own and waits for no other: window / block times the work of the whole clip.

A stream's rows differ from those of the whole clip. The weights and the window decide by how much; measure it with

    python -m experiments.audio_window --weights DIR --sound FILE --out DIR
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from afjax.audio import framing
from afjax.audio.wav2vec2.config import Wav2Vec2Config
from afjax.audio.wav2vec2.network import Statistics, Wav2Vec2, pool
from afjax.errors import InputError
from afjax.nn.precision import activation_dtype, matmul_precision

__all__ = [
    "WINDOW", "Past", "encode", "features", "fill", "extend_past", "init_params", "interpolate", "latest", "narrowed",
    "recent", "standardise", "streamed", "init_past", "whole",
]  # fmt: skip

WINDOW = 50
"""Frames of sound that a stream's rows are computed from."""
_AT_ONCE = 8
"""Blocks that `streamed` computes together."""


def init_params(config: Wav2Vec2Config, key) -> dict:
    """Random parameters, the tree below "params"."""
    return jax.jit(Wav2Vec2(config).init)(key, jnp.zeros((1, framing.FRAME)))["params"]


def narrowed(params, precision: str):
    """Parameters cast once as the network of a precision casts them at each use.

    Norms stay as they are, and so do the first convolution, whose output `statistics` measures, and the positional one,
    whose kernel is normalised at use.
    """
    if precision != "bfloat16":
        return params
    wide = ("convs_0", "group_", "norm", "positional")

    def one(path, leaf):
        names = [step.key for step in path if isinstance(step, jax.tree_util.DictKey)]
        return leaf if any(part in name for name in names for part in wide) else jnp.asarray(leaf, jnp.bfloat16)

    return jax.tree_util.tree_map_with_path(one, params)


def standardise(wave: np.ndarray) -> np.ndarray:
    """`[s]` -> zero mean and unit variance, with 1e-7 added to the variance."""
    return (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)


def fill(wave: np.ndarray, frames: int | None = None) -> np.ndarray:
    """`[s]` -> `[frames * 640]` by repeating the last sample; without `frames` up to the next whole frame.

    Raises InputError for sound longer than `frames`.
    """
    needed = framing.count(len(wave))
    if frames is not None and frames < needed:
        raise InputError(f"sound of {needed} frames does not fit {frames}", do="cut it")
    return np.pad(wave, (0, (needed if frames is None else frames) * framing.FRAME - len(wave)), mode="edge")


def interpolate(rows, frames: int):
    """Linear interpolation over time with aligned corners, `[b, t, c]` -> `[b, frames, c]`."""
    place = np.arange(frames) * ((rows.shape[1] - 1) / max(frames - 1, 1))
    left = np.minimum(place.astype(int), rows.shape[1] - 1)
    right = np.minimum(left + 1, rows.shape[1] - 1)
    share = jnp.asarray((place - left)[:, None], rows.dtype)
    return rows[:, left] * (1 - share) + rows[:, right] * share


@partial(jax.jit, static_argnums=(1, 3))
def encode(params, config: Wav2Vec2Config, waves, precision: str = "float32"):
    """Standardised sound `[b, t * 640]` -> float32 `[b, t, config.dim]`; layer l has the channels from l * width on.

    The memory needed grows with t by every layer's output, the result, and 1000 rows of attention for each head.
    """
    return _rows(params, config, waves, None, precision)


def _rows(params, config: Wav2Vec2Config, waves, statistics: Statistics | None, precision: str):
    """Rows of the network, by the waves' own statistics where none are given. Statistics have full float32 products."""
    network = Wav2Vec2(config)
    with matmul_precision("float32"):
        if statistics is None:
            statistics = network.apply({"params": params}, waves, method="statistics")
    with matmul_precision(precision):
        narrow = waves.astype(activation_dtype(precision, waves.dtype))
        return network.apply({"params": params}, narrow, statistics).astype(waves.dtype)


def features(params, config: Wav2Vec2Config, wave, frames: int | None = None) -> np.ndarray:
    """16 kHz mono samples `[s]` -> float32 `[frames, config.dim]`, by default `ceil(s / 640)` frames."""
    return np.asarray(encode(params, config, whole(wave, frames)[None])[0])


def whole(wave, frames: int | None = None) -> np.ndarray:
    """16 kHz mono samples `[s]` as `encode` takes them, `[frames * 640]`.

    They are standardised over all of them, then cut, or filled up by repeating the last one. Raises InputError for
    sound that is empty, not one channel or not finite.
    """
    standard = standardise(framing.check(wave))
    return fill(standard if frames is None else standard[: frames * framing.FRAME], frames)


class Past(NamedTuple):
    """What a stream has heard: statistics of its samples and of the first convolution's rows."""

    samples: Statistics
    rows: Statistics


def init_past(config: Wav2Vec2Config, clips: int = 1) -> Past:
    """The past of `clips` streams before their first sample."""
    zero = jnp.zeros(())
    return Past(*(Statistics(zero, *jnp.zeros((2, clips, width))) for width in (1, config.conv_dim[0])))


@partial(jax.jit, static_argnums=1)
def extend_past(params, config: Wav2Vec2Config, past: Past, waves) -> Past:
    """The past after the next samples `[b, n * 640]`, as they come: not standardised."""
    mean = waves.mean(1, keepdims=True)
    count = jnp.asarray(waves.shape[1], waves.dtype)
    samples = Statistics(count, mean, jnp.square(waves - mean).mean(1, keepdims=True))
    with matmul_precision("float32"):
        rows = Wav2Vec2(config).apply({"params": params}, waves, method="statistics")
    both = jax.tree.map(lambda *y: jnp.stack(y), past, Past(samples, rows))
    return Past(pool(both.samples), pool(both.rows))


@partial(jax.jit, static_argnums=(1, 4))
def recent(params, config: Wav2Vec2Config, waves, past: Past, precision: str = "float32"):
    """Rows `[b, t, config.dim]` of sound `[b, t * 640]`, not standardised; `past` is of all heard up to its end."""
    # only the scale: the group norm takes every offset away
    scale = 1 / jnp.sqrt(past.samples.variance + 1e-7)
    rows = Statistics(past.rows.count, past.rows.mean * scale, past.rows.variance * jnp.square(scale))
    return _rows(params, config, waves * scale, rows, precision)


def latest(params, config: Wav2Vec2Config, buffer, rows: int, past: Past | None = None, window: int = WINDOW):
    """The last `rows` rows, from the last `window` frames of sound that end with `buffer`'s last sample.

    Args:
      buffer: a stream's last samples at 16 kHz, whole frames of them; silence is taken to have come before it.
      past: the past of all samples up to the buffer's last; by default that of the buffer alone.

    One program is compiled per `window`. Returns float32 `[rows, config.dim]`. Raises InputError for samples that are
    not whole frames, and for more rows than the window has.
    """
    wave = framing.check(buffer)
    if len(wave) % framing.FRAME:
        raise InputError(f"{len(wave)} samples are not whole frames of {framing.FRAME}")
    if not 0 < rows <= window:
        raise InputError(f"{rows} rows can't come from a window of {window} frames")
    past = extend_past(params, config, init_past(config), wave[None]) if past is None else past
    wave = wave[-window * framing.FRAME :]
    wave = np.pad(wave, (window * framing.FRAME - len(wave), 0))
    return np.asarray(recent(params, config, wave[None], past)[0, -rows:])


def streamed(
    params, config: Wav2Vec2Config, wave, block: int, window: int = WINDOW, precision: str = "float32"
) -> np.ndarray:
    """Rows of sound `[k * block * 640]`, not standardised, as a stream has them when their block ends.

    Silence is taken to have come before. No row reads a sample after its block. Returns float32
    `[k * block, config.dim]`. Raises InputError for other lengths and for blocks longer than the window.
    """
    wave = framing.check(wave)
    if len(wave) % (block * framing.FRAME) or block > window:
        raise InputError(f"{len(wave)} samples in blocks of {block} frames, windows of {window}")
    blocks = wave.reshape(-1, block * framing.FRAME)
    past = _pasts(params, config, blocks)
    padded = np.concatenate([np.zeros(window * framing.FRAME, wave.dtype), wave])
    found = []
    for numbers in _together(len(blocks)):
        starts = (numbers + 1) * block * framing.FRAME
        waves = np.stack([padded[start : start + window * framing.FRAME] for start in starts])
        so_far = jax.tree.map(lambda x, numbers=numbers: x[numbers] if x.ndim else x, past)
        found.append(np.asarray(recent(params, config, waves, so_far, precision))[:, -block:])
    return np.concatenate(found)[: len(blocks)].reshape(-1, config.dim)


def _together(count: int) -> list[np.ndarray]:
    """Numbers below `count`, _AT_ONCE at a time; the last ones are filled up by the last number."""
    return [np.minimum(np.arange(first, first + _AT_ONCE), count - 1) for first in range(0, count, _AT_ONCE)]


def _pasts(params, config: Wav2Vec2Config, blocks: np.ndarray) -> Past:
    """What was heard up to the end of each block of `[k, n]`: statistics `[k, channels]`, row i of i + 1 blocks."""
    none, found = init_past(config, _AT_ONCE), []
    for numbers in _together(len(blocks)):
        found.append(jax.device_get(extend_past(params, config, none, blocks[numbers])))
    number = np.arange(1, len(blocks) + 1)[:, None]

    def pooled(parts: list[Statistics]) -> Statistics:
        mean, variance = (
            np.concatenate([getattr(part, name) for part in parts])[: len(blocks)].astype(np.float64)
            for name in ("mean", "variance")
        )
        so_far = np.cumsum(mean, 0) / number
        spread = np.cumsum(variance + np.square(mean), 0) / number - np.square(so_far)
        return Statistics(parts[0].count, *(x.astype(np.float32) for x in (so_far, np.maximum(spread, 0))))

    return Past(pooled([past.samples for past in found]), pooled([past.rows for past in found]))
