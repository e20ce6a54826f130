"""Cost of a training step, and of features computed in it: counted work and bytes, measured milliseconds."""

import statistics
import time
from collections.abc import Callable

import jax
import numpy as np

from afjax.audio import mel
from afjax.audio.framing import FPS, FRAME
from afjax.audio.wav2vec2 import features
from afjax.audio.wav2vec2.config import Wav2Vec2Config
from afjax.config import Config
from afjax.training.generator.inputs import batch_shapes
from afjax.training.generator.state import init_state, token_layout
from afjax.training.generator.step import make_random_inputs, make_train_step
from afjax.training.generator.train import step_flops
from experiments.live.device import gflop


def milliseconds(call: Callable[[], object], repeats: int) -> float:
    """Median time of a call until its result is there, without the first call."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        jax.block_until_ready(call())
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times[1:])


def noise_batch(config: Config) -> dict[str, np.ndarray]:
    """A batch of noise, in which the user never gave a cause."""
    rng = np.random.default_rng(0)
    noise = {name: rng.standard_normal(shape, np.float32) for name, shape in batch_shapes(config).items()}
    return noise | {"cause_age": np.full_like(noise["cause_age"], np.inf)}


def train_step(config: Config) -> Callable[[], object]:
    """A call that makes one step with noise for data."""
    batch = noise_batch(config)
    step, draw, layout = make_train_step(config), make_random_inputs(config), token_layout(config)
    state = init_state(config)

    def call():
        nonlocal state
        state, metrics = step(state, batch, draw(0), layout)
        return metrics

    return call


def counted(config: Config, wav2vec2: Wav2Vec2Config) -> list[dict[str, str | float]]:
    """Per way to have wav2vec2's features: GFLOP per step beside the model's, MB read per step, GB per hour of data.

    The model's work is its matrix products, as `afjax.training.throughput` counts them; XLA counts wav2vec2's. Rows of
    a stream are computed in one window per block, those of whole clips in a window with the two seconds before it.
    """
    c, past = config, features.WINDOW
    windows, second = 2 * c.data.batch, jax.ShapeDtypeStruct((1, past * FRAME), "float32")
    params = jax.eval_shape(lambda: features.init_params(wav2vec2, jax.random.key(0)))
    one = gflop(lambda params, wave: features.encode(params, wav2vec2, wave), params, second)
    blocks, hour = -(-c.data.window // c.layout.block), 2 * 3600 * FPS
    stored, sound = 2 * wav2vec2.dim, 2 * FRAME

    def row(what: str, work: float, frames: int, size: int) -> dict[str, str | float]:
        megabytes, gigabytes = windows * frames * size / 1e6, hour * size / 1e9
        return {"features": what, "gflop_a_step": work, "mb_a_step": megabytes, "gb_an_hour": gigabytes}

    return [
        row("the model's own step", step_flops(c) / 1e9, 0, 0),
        row("stored rows, float16", 0.0, c.data.window, stored),
        row("computed of sound, a stream's rows", windows * blocks * one, past + c.data.window, sound),
        row("computed of sound, one pass", windows * one * (past + c.data.window) / past, past + c.data.window, sound),
        row("stored projection to 512, float16", 0.0, c.data.window, 2 * 512),
    ]


def measure(config: Config, wav2vec2: Wav2Vec2Config, voices: int, repeats: int) -> dict[str, float]:
    """Milliseconds of the step, of mel and of wav2vec2 for one batch; `voices`: voices timed at a time, 0: all."""
    total, window = 2 * config.data.batch, config.data.window
    voices = voices or total
    sound = np.random.default_rng(0).standard_normal((voices, (mel.WINDOW + window) * FRAME), np.float32) / 10
    heard = jax.jit(jax.vmap(lambda wave: mel.rows(wave, window)))
    shapes = jax.eval_shape(lambda: features.init_params(wav2vec2, jax.random.key(0)))
    params = jax.tree.map(lambda leaf: jax.numpy.full(leaf.shape, 0.01, leaf.dtype), shapes)
    share = total / voices
    return {
        "step, features stored": milliseconds(train_step(config), repeats),
        "mel on the device": share * milliseconds(lambda: heard(sound), repeats),
        "wav2vec2 on the device": share
        * milliseconds(lambda: features.encode(params, wav2vec2, sound[:, -window * FRAME :]), repeats),
    }
