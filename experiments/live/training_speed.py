"""Cost of a training step on this machine: frames per second, share of the device's peak, memory.

Batches are noise of the right shapes, placed before the clock starts, so that only the step is timed.
"""

import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import jax
import numpy as np

from afjax.config import ComputeConfig, Config
from afjax.nn import vgg
from afjax.training.generator.state import init_state, token_layout
from afjax.training.generator.step import make_random_inputs, make_train_step
from afjax.training.generator.train import step_flops
from afjax.training.latent_codec import step as latent_codec
from afjax.training.latent_codec.config import LatentTrainingConfig
from afjax.training.throughput import peak, peak_memory
from experiments.live.device import device
from experiments.live.feature_cost import noise_batch

__all__ = ["codec", "generator", "measured"]

FIRST = 2
"""Steps before the timed ones; the first of them compiles."""


def generator(config: Config, batch: int, precision: str, steps: int) -> dict[str, Any]:
    """Figures of the generator, `batch` windows per step."""
    config = replace(config, data=replace(config.data, batch=batch), compute=ComputeConfig(precision=precision))
    train, draw, layout = make_train_step(config), make_random_inputs(config), token_layout(config)
    given = jax.device_put(noise_batch(config))
    state = init_state(config)

    def step(state, number):
        return train(state, given, draw(number), layout)[0]

    return _timed(step, state, steps, batch * config.data.window) | _work(step_flops(config))


def codec(config: LatentTrainingConfig, batch: int, precision: str, steps: int) -> dict[str, Any]:
    """Figures of the latent codec, `batch` pairs of pictures per step, with a perceptual network of drawn weights."""
    config = replace(
        config, pictures=replace(config.pictures, batch=batch), compute=ComputeConfig(precision=precision)
    )  # fmt: skip
    side, rng = config.codec.size, np.random.default_rng(0)
    pictures = rng.integers(0, 256, (batch, 2, side, side, 3), np.uint8)
    boxes = np.tile(np.array([0.3, 0.3, 0.6, 0.6], np.float32), (batch, 2, 3, 1))
    given = jax.device_put({"pictures": pictures, "boxes": boxes})
    perceptual = config.loss.perceptual or config.loss.part_perceptual
    train = latent_codec.make_step(config, _drawn_vgg(rng) if perceptual else None)
    work = train.func.lower(*train.args, jax.eval_shape(lambda: latent_codec.init_state(config)), given)
    flops = work.cost_analysis()["flops"]
    state = latent_codec.init_state(config)
    return _timed(lambda state, _: train(state, given)[0], state, steps, 2 * batch) | _work(flops)


def _drawn_vgg(rng: np.random.Generator) -> Mapping:
    widths = [3, *(width for stage in vgg.STAGES for width in stage)]
    return {
        "convolutions": [
            (rng.standard_normal((3, 3, a, b), np.float32) * np.sqrt(2 / (9 * a)), np.zeros(b, np.float32))
            for a, b in zip(widths, widths[1:], strict=False)
        ],
        "heads": [np.full(stage[-1], 1 / stage[-1], np.float32) for stage in vgg.STAGES],
    }


def _timed(step, state, steps: int, frames: int) -> dict[str, float]:
    started = time.perf_counter()
    for number in range(FIRST):
        state = step(state, number)
    jax.block_until_ready(state)
    first, started = time.perf_counter() - started, time.perf_counter()
    for number in range(FIRST, FIRST + steps):
        state = step(state, number)
    jax.block_until_ready(state)
    seconds = (time.perf_counter() - started) / steps
    return {"first_steps_seconds": first, "step_ms": 1000 * seconds, "frames_per_second": frames / seconds}


def _work(flops: float) -> dict[str, float]:
    return {"step_gflop": flops / 1e9}


def measured(call, *arguments) -> dict[str, Any]:
    """Figures of `generator` or `codec`, measured in a process of its own, so that no other memory is counted.

    `error` where the device, or the machine, has too little memory.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_apart, call, arguments).result()
        except BrokenProcessPool:
            return {"device": "", "error": "the process was killed"}


def _apart(call, arguments) -> dict[str, Any]:
    where = {"device": device(), "jax": jax.__version__}
    try:
        found = call(*arguments)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return where | {"error": "out of memory"}
    most = peak(jax.devices()[0].device_kind)
    share = {"mfu": found["step_gflop"] * 1e12 / found["step_ms"] / most} if most else {}
    return where | found | share | peak_memory()
