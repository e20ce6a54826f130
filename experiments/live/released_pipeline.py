"""The released network live, with synthetic weights: a block from the user's pictures to the avatar's, every stage.

    python -m experiments.benchmark --preset released --out out/benchmark            # full size, 512 px
    python -m experiments.benchmark --preset released --small --out out/benchmark    # shows that it runs, anywhere

Three programs hand over on the device:

    see     face crops uint8 [s, B, size, size, 3] -> the user's motion latents [s, B, dim]
    step    both voices [s, B * 640] and the motion -> the avatar's motion [s, B, dim]; wav2vec2 on a rolling window
    show    the motion and each session's portrait -> pictures uint8 [s, B, size, size, 3]

A block is timed from arrays on the host to pictures on the host, then each program alone, all synchronised with the
device, after one call that compiles. `floor_ms` is each program's work over the fastest of some large matrix products
in the same run, of the same precision: no figure can be below it. Sessions are doubled while the 99th percentile of
the block is below its length.
"""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from afjax.audio.framing import FPS, FRAME
from afjax.audio.wav2vec2 import features
from afjax.audio.wav2vec2.config import Wav2Vec2Config
from afjax.audio.wav2vec2.extractor import Wav2Vec2Features
from afjax.codec.latent import autoencoder, codec
from afjax.codec.latent.config import LatentConfig
from afjax.config import Config, ModelConfig, released
from afjax.diffusion import guidance
from afjax.diffusion.solver import make_grid
from afjax.nn.precision import activations, products
from afjax.nn.transformer import ForcingTransformer, narrowed
from afjax.normalizer import Normalizer
from afjax.streaming import live_step
from afjax.streaming.latency import algorithmic, percentiles
from afjax.training.generator.state import init_params
from experiments import cli
from experiments.live.device import device
from experiments.live.released_stages import forward_gflop

__all__ = ["SMALL", "Sizes", "measure"]


@dataclass(frozen=True)
class Sizes:
    """Of the three networks; the defaults are the released ones."""

    flow: ModelConfig = released.MODEL
    codec: LatentConfig = LatentConfig()
    speech: Wav2Vec2Config = Wav2Vec2Config()


_SPEECH = Wav2Vec2Config(
    width=8, depth=2, heads=2, feed_forward=16, conv_dim=(4,) * 7, positional_kernel=4, positional_groups=2
)
SMALL = Sizes(
    replace(Sizes.flow, motion_dim=16, audio_dim=16, width=16, depth=3, heads=2, condition_width=24),
    LatentConfig(64, 16, 4, (8, 8, 8, 4, 4)),
    _SPEECH,
)


class Pipeline:
    """The three programs for a number of sessions, in a state that goes on from block to block."""

    def __init__(self, config: Config, sizes: Sizes, sessions: int):
        key, block, precision = jax.random.key(0), config.layout.block, config.compute.precision
        self.config = config
        extractor = Wav2Vec2Features(sizes.speech, features.init_params(sizes.speech, key), precision=precision)
        self._codec = codec.ready_at(
            codec.ready(jax.jit(partial(autoencoder.init_params, sizes.codec))(key)), precision
        )
        dim, wide = config.model.motion_dim, config.model.audio_dim
        plain = Normalizer(*(np.full(n, v, np.float32) for n in (dim, wide) for v in (0, 1)))
        params = narrowed(init_params(config, key), precision)
        self._params = jax.device_put(live_step.LiveParams.of(params, extractor.params, plain))
        self._state = live_step.init_live(config, extractor, sessions)
        self.step = live_step.make_live_step(config, extractor)
        self.see = jax.jit(lambda weights, frames: jax.vmap(partial(codec.seen, weights, precision=precision))(frames))
        self.show = jax.jit(
            lambda weights, people, motion: jax.vmap(partial(codec.shown, weights, precision=precision))(people, motion)
        )
        side = sizes.codec.size
        rng = np.random.default_rng(0)
        portraits = rng.integers(0, 256, (sessions, side, side, 3), np.uint8)
        self._people = jax.vmap(partial(codec.identified, self._codec, precision=precision))(portraits)
        self._frames = rng.integers(0, 256, (sessions, block, side, side, 3), np.uint8)
        self._sound = 0.1 * rng.standard_normal((2, sessions, block * FRAME)).astype(np.float32)

    def whole(self) -> np.ndarray:
        """A block from the host to the host."""
        return np.asarray(self.shown(self.stepped(self.seen())))

    def seen(self):
        return self.see(self._codec, jax.device_put(self._frames))

    def stepped(self, motion):
        inputs = live_step.Inputs(*jax.device_put(tuple(self._sound)), motion)
        self._state, made = self.step(self._params, self._state, inputs)
        return made

    def shown(self, motion):
        return self.show(self._codec, self._people, motion)

    def gflop(self) -> dict[str, float]:
        """Work of each program as XLA counts it, and as often as the solver calls the transformer."""
        motion, sound = self.seen(), live_step.Inputs(*jax.device_put(tuple(self._sound)), self.seen())
        calls = {
            "see": (self.see, self._codec, self._frames),
            "step": (self.step, self._params, self._state, sound),
            "show": (self.show, self._codec, self._people, motion),
        }
        found = {name: f.lower(*given).cost_analysis()["flops"] / 1e9 for name, (f, *given) in calls.items()}
        c, sessions = self.config, len(motion)
        tokens, again = c.layout.look_ahead + c.layout.block, len(make_grid(c.sampler).levels) - 1
        branches = len(guidance.branches(c.sampler)[0])
        once = forward_gflop(ForcingTransformer(c.model), self._params.model, c.layout, branches, tokens)
        found["step"] += again * sessions * once  # the loop's body is counted once
        return found


def measure(
    sizes: Sizes, block: int, blocks: int, most: int, profile: Path | None = None, precision: str = "tf32"
) -> dict[str, Any]:
    """The summary for blocks of `block` frames: times over `blocks` calls, and of up to `most` sessions.

    `profile`: a folder for the profiler's trace of some blocks.
    """
    config = released.config(start=0)
    cache = config.layout.cache + config.layout.block - block
    layout = replace(config.layout, block=block, cache=cache)
    compute = replace(config.compute, precision=precision)
    config = replace(config, model=sizes.flow, layout=layout, data=replace(config.data, window=block), compute=compute)
    length, sessions, tried, first = 1000 * block / FPS, 1, {}, None
    while sessions <= most:
        with cli.Progress(blocks, f"{sessions} sessions", "blocks") as progress:
            entry = _session_times(Pipeline(config, sizes, sessions), blocks, progress)
        tried[sessions], first = entry["block_ms"], first or entry
        if entry["block_ms"]["p99"] >= length:
            break
        sessions *= 2
    if profile:
        line = Pipeline(config, sizes, 1)
        line.whole()
        with jax.profiler.trace(str(profile)):
            for _ in range(5):
                line.whole()
    return {
        "preset": "released, synthetic weights",
        "device": device(),
        "jax": jax.__version__,
        "setting": {
            "block": block,
            "size": sizes.codec.size,
            "nfe": config.sampler.nfe,
            "precision": precision,
        },  # fmt: skip
        "algorithmic_ms": algorithmic(layout),
        **first,
        "sessions_at_real_time": max((s for s, t in tried.items() if t["p99"] < length), default=0),
        "block_ms_by_sessions": tried,
    }


def _session_times(line: Pipeline, blocks: int, progress: cli.Progress) -> dict[str, Any]:
    start = time.perf_counter()
    line.whole()
    compiled = time.perf_counter() - start
    whole = []
    for _ in range(blocks):
        whole.append(_milliseconds(line.whole)[0])
        progress.update()
    stages = {"see": [], "step": [], "show": []}
    for _ in range(min(blocks, 50)):
        took, motion = _milliseconds(line.seen)
        stages["see"].append(took)
        took, motion = _milliseconds(line.stepped, motion)
        stages["step"].append(took)
        stages["show"].append(_milliseconds(line.shown, motion)[0])
    rate, gflop = _peak(line.config.compute.precision), line.gflop()
    return {
        "compile_seconds": compiled,
        "block_ms": percentiles(whole),
        "stage_ms": {name: percentiles(times) for name, times in stages.items()},
        "gflop": gflop,
        "gflop_per_second_of_a_matrix_product": rate,
        "floor_ms": {name: 1000 * work / rate for name, work in gflop.items()},
        "memory_gigabytes": _memory(),
    }


def _milliseconds(call: Callable, *arguments):
    start = time.perf_counter()
    result = jax.block_until_ready(call(*arguments))
    return 1000 * (time.perf_counter() - start), result


def _peak(precision: str, size: int = 2048) -> float:
    """GFLOP/s of the fastest of ten products of large matrices."""
    a = jax.random.normal(jax.random.key(0), (size, size), activations(precision))
    product = jax.jit(products(precision)(jnp.matmul))
    jax.block_until_ready(product(a, a))
    return 2 * size**3 / 1e6 / min(_milliseconds(product, a, a)[0] for _ in range(10))


def _memory() -> float:
    """Highest so far: the device's, or the process's where the device doesn't say."""
    found = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in found:
        return found["peak_bytes_in_use"] / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def report(summary: dict[str, Any]):
    """Prints a line for each stage."""
    floor = summary["floor_ms"]
    rows = [("block", summary["block_ms"]["p50"], summary["block_ms"]["p99"], "")]
    rows += [(name, t["p50"], t["p99"], floor[name]) for name, t in summary["stage_ms"].items()]
    cli.print_table(rows, ("ms", "p50", "p99", "floor"))
    print(
        f"{summary['sessions_at_real_time']} sessions at real time, peak memory {summary['memory_gigabytes']:.2f} GB, "
        f"compiled in {summary['compile_seconds']:.1f} s"
    )
