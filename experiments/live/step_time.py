"""Time of a model's step: sound and the user's motion in, a block of the avatar's motion out.

The model may have any codec, since nothing is tracked or rendered. Its inputs are noise, which makes no difference to
the time.
"""

import time
from typing import Any

import jax
import numpy as np

from afjax.avatar.avatar import Avatar
from afjax.streaming import latency, live_step
from afjax.streaming.latency import percentiles
from experiments.live import device

__all__ = ["measure"]


def measure(run: Avatar, blocks: int) -> dict[str, Any]:
    """`step_ms`: percentiles over `blocks` steps of one session; `latency_s`: a block's length plus their median."""
    engine, rng = run.engine(1), np.random.default_rng(0)
    engine.join(reference_motion=run.normalizer.motion_mean)
    quiet = live_step.silence(run.config, 1)
    taken, before = [], engine.compilations
    for _ in range(blocks):
        inputs = jax.tree.map(lambda x: rng.normal(0, 0.05, x.shape).astype(x.dtype), quiet)
        started = time.perf_counter()
        jax.block_until_ready(engine.step(inputs))
        taken.append(1000 * (time.perf_counter() - started))
    waits = latency.algorithmic(run.config.layout)
    return {
        "device": device.device(), "precision": run.config.compute.precision, "blocks": blocks, "algorithmic_ms": waits,
        "step_ms": percentiles(taken), "latency_s": (waits["collected"] + float(np.median(taken))) / 1000,
        "compiled": engine.compilations - before,
    }  # fmt: skip
