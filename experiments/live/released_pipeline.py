"""The released network live, with synthetic weights: every stage of a block from the user's pictures to the avatar's.

    python -m experiments.benchmark --preset released --out out/benchmark            # full size, 512 px
    python -m experiments.benchmark --preset released --small --out out/benchmark    # shows that it runs, anywhere

Three programs hand over on the device, those that the product runs (`experiments.live.released_programs`):

    see     face crops uint8 [B, size, size, 3] -> the user's motion latents [B, dim], session after session
    step    both voices [s, B * 640] and the motion -> the avatar's motion [s, B, dim]; wav2vec2 on a rolling window
    show    the motion and a portrait -> pictures uint8 [B, size, size, 3], session after session

A block is timed from arrays on the host to pictures on the host, then each program alone, all synchronised with the
device, after one call that compiles. `floor_ms` is a program's work at the speed of the fastest of some large matrix
products in the same run, of the same precision: no figure can be below it. Sessions are doubled while the 99th
percentile of the block is below its length.
"""

import resource
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from afjax.audio.framing import FPS, FRAME
from afjax.audio.wav2vec2 import features
from afjax.audio.wav2vec2.extractor import Wav2Vec2Features
from afjax.codec.latent import codec, network
from afjax.config import Config
from afjax.nn.precision import activation_dtype, matmul_precision
from afjax.nn.transformer import cast_params
from afjax.normalizer import Normalizer
from afjax.streaming import live_step
from afjax.streaming.latency import algorithmic, percentiles
from afjax.training.generator.state import init_params
from experiments import cli
from experiments.live.device import device
from experiments.live.lowered import counts, lower, operations
from experiments.live.released_programs import SMALL, Sizes, live_config

__all__ = ["SMALL", "Pipeline", "Sizes", "measure", "milliseconds", "peak", "session_times"]


class Pipeline:
    """The three programs for a number of sessions, in a state that goes on from block to block."""

    def __init__(self, config: Config, sizes: Sizes, sessions: int):
        key, block, precision = jax.random.key(0), config.layout.block, config.compute.precision
        self.config = config
        extractor = Wav2Vec2Features(sizes.speech, features.init_params(sizes.speech, key), precision=precision)
        self._codec = codec.ready_at(codec.ready(jax.jit(partial(network.init_params, sizes.codec))(key)), precision)
        dim, wide = config.model.motion_dim, config.model.audio_dim
        plain = Normalizer(*(np.full(n, v, np.float32) for n in (dim, wide) for v in (0, 1)))
        params = cast_params(init_params(config, key), precision)
        self._params = jax.device_put(live_step.LiveParams.of(params, extractor.live_params, plain))
        self._state = live_step.init_live(config, extractor, sessions)
        self._step = live_step.make_live_step(config, extractor)
        self._see, self._show = (partial(each, self._codec, precision=precision) for each in (codec.seen, codec.shown))
        side = sizes.codec.size
        rng = np.random.default_rng(0)
        portraits = rng.integers(0, 256, (sessions, side, side, 3), np.uint8)
        self._people = [codec.identified(self._codec, each, precision) for each in portraits]
        self._frames = rng.integers(0, 256, (sessions, block, side, side, 3), np.uint8)
        self._sound = 0.1 * rng.standard_normal((2, sessions, block * FRAME)).astype(np.float32)

    def whole(self) -> list[np.ndarray]:
        """Runs a block from the host to the host: pictures of each session."""
        return jax.device_get(self.shown(self.stepped(self.seen())))

    def seen(self):
        return jnp.stack([self._see(jax.device_put(frames)) for frames in self._frames])

    def stepped(self, motion):
        inputs = live_step.Inputs(*jax.device_put(tuple(self._sound)), motion)
        self._state, made = self._step(self._params, self._state, inputs)
        return made

    def shown(self, motion):
        return [self._show(person, each) for person, each in zip(self._people, motion, strict=True)]

    def gflop(self) -> dict[str, float]:
        """Work of a block in each program's products."""
        sessions, precision, motion = len(self._people), self.config.compute.precision, self.seen()
        inputs = live_step.Inputs(*self._sound, motion)
        bound = [jax.jit(partial(each, precision=precision)) for each in (codec.seen, codec.shown)]
        calls = {
            "see": (sessions, bound[0], self._codec, self._frames[0]),
            "step": (1, self._step, self._params, self._state, inputs),
            "show": (sessions, bound[1], self._codec, self._people[0], motion[0]),
        }
        return {
            name: times
            * sum(each["gflop"] for each in counts(operations(lower(*call, platform=None)))["products"].values())
            for name, (times, *call) in calls.items()
        }


def measure(
    sizes: Sizes, block: int, blocks: int, most: int, profile: Path | None = None, precision: str = "tf32"
) -> dict[str, Any]:
    """The summary for blocks of `block` frames: times over `blocks` calls, and of up to `most` sessions.

    `profile`: a folder for the profiler's trace of some blocks.
    """
    config = live_config(sizes, block, precision)
    length, sessions, tried, first = 1000 * block / FPS, 1, {}, None
    while sessions <= most:
        with cli.Progress(blocks, f"{sessions} sessions", "blocks") as progress:
            entry = session_times(Pipeline(config, sizes, sessions), blocks, progress)
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
        "algorithmic_ms": algorithmic(config.layout),
        **first,
        "sessions_at_real_time": max((s for s, t in tried.items() if t["p99"] < length), default=0),
        "block_ms_by_sessions": tried,
    }


def session_times(line: Pipeline, blocks: int, progress: cli.Progress) -> dict[str, Any]:
    """Times of a pipeline that has not been called: seconds of the first block, then times over `blocks` blocks."""
    start = time.perf_counter()
    line.whole()
    compiled = time.perf_counter() - start
    whole = []
    for _ in range(blocks):
        whole.append(milliseconds(line.whole)[0])
        progress.update()
    stages = {"see": [], "step": [], "show": []}
    for _ in range(min(blocks, 50)):
        took, motion = milliseconds(line.seen)
        stages["see"].append(took)
        took, motion = milliseconds(line.stepped, motion)
        stages["step"].append(took)
        stages["show"].append(milliseconds(line.shown, motion)[0])
    rate, gflop = peak(line.config.compute.precision), line.gflop()
    return {
        "compile_seconds": compiled,
        "block_ms": percentiles(whole),
        "stage_ms": {name: percentiles(times) for name, times in stages.items()},
        "gflop": gflop,
        "gflop_per_second_of_a_matrix_product": rate,
        "floor_ms": {name: 1000 * work / rate for name, work in gflop.items()},
        "memory_gigabytes": _memory(),
    }


def milliseconds(call: Callable, *arguments) -> tuple[float, Any]:
    """Milliseconds of a call until its result is there, and the result."""
    start = time.perf_counter()
    result = jax.block_until_ready(call(*arguments))
    return 1000 * (time.perf_counter() - start), result


def peak(precision: str) -> float:
    """GFLOP/s of the fastest of ten products of large matrices."""
    size = 2048 if jax.default_backend() == "cpu" else 8192
    a = jax.random.normal(jax.random.key(0), (size, size), activation_dtype(precision))
    product = jax.jit(matmul_precision(precision)(jnp.matmul))
    jax.block_until_ready(product(a, a))
    return 2 * size**3 / 1e6 / min(milliseconds(product, a, a)[0] for _ in range(10))


def _memory() -> float:
    """Highest memory so far: the device's, or the process's where the device doesn't say."""
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
