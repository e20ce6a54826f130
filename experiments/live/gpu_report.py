"""The released network on a GPU, measured in one run (`experiments.benchmark --preset released --gpu_report`).

Phases follow one another, the most important first. Each has its time, and is left out if less than half of that is
left of LIMIT seconds. Figures are written as they come, so that a run that is cut off leaves what it has:

    bfloat16      compiling, 2000 blocks of ten frames, its programs alone, memory
    kernels       where the device's time goes in ten such blocks, and how kernels were launched
    attention     the generator's, by XLA, by jax.nn.dot_product_attention and by cuDNN
    tf32, float32 as bfloat16, fewer blocks
    block_5       blocks of five frames
    sessions      more and more at once, until the 99th percentile of a block is longer than the block
    evaluations   the step alone with four, two and one evaluation per block (of this network, which is not distilled)

A CPU only tries the program, with `--small`; figures then stand under the CPU's name.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from afjax import files
from afjax.audio.framing import FPS
from afjax.errors import InputError
from afjax.nn.attention import attend
from afjax.streaming.latency import percentiles
from afjax.training.throughput import peak_memory
from experiments.live.device import device
from experiments.live.kernels import top
from experiments.live.released_pipeline import SMALL, Pipeline, Sizes, milliseconds, peak
from experiments.live.released_programs import live_config
from experiments.report import gpu_report as pages

__all__ = ["LIMIT", "run"]

LIMIT = 460.0
"""Seconds after which the program ends, whatever its phase."""
TRIED = replace(SMALL, flow=replace(SMALL.flow, depth=1, audio_dim=8), speech=replace(SMALL.speech, depth=1))
"""Sizes of `--small`: nearly all of its time goes into compiling."""
TRACED = 10
"""Blocks of the profile."""


class Setup(NamedTuple):
    """What all phases share: number of timed `blocks`, `most` sessions, `folder` of the profile."""

    sizes: Sizes
    blocks: int
    most: int
    folder: Path


class Phase(NamedTuple):
    """A phase: `call` yields parts of its entry as they come, within about `seconds`."""

    name: str
    call: Callable[[Setup, float], Iterator[dict[str, Any]]]
    seconds: float


def run(out: Path, small: bool, limit: float = LIMIT, leave: Callable[[int], Any] = os._exit) -> dict[str, Any]:
    """The report, which `out`/gpu.json always holds as far as it is, with tables and pictures beside it.

    `leave` ends the process when `limit` seconds are over. Raises InputError on a CPU at full size.
    """
    found = jax.devices()[0]
    if found.platform == "cpu" and not small:
        raise InputError(
            "there is no GPU here", "--gpu_report", "install jax[cuda13], or add --small to try the program"
        )
    start, sizes = time.monotonic(), TRIED if small else Sizes()
    setup = Setup(sizes, 12 if small else 2000, 2 if small else 256, out / "profile")
    summary = {
        "device": device(), "gpu": found.platform != "cpu", "small": small, "jax": jax.__version__,
        "platform": found.client.platform_version, "preset": "released, synthetic weights",
        "products_gflop_per_second": {}, "phases": {}, "left_out": {},
    }  # fmt: skip

    def write():
        summary["seconds"] = time.monotonic() - start
        files.write_json(out / "gpu.json", summary)

    def cut():
        print(f"cut off after {limit:.0f} s; written: {out / 'gpu.json'}", flush=True)
        leave(0)

    watch = threading.Timer(limit, cut)
    watch.daemon = True
    watch.start()
    for phase in PHASES:
        left = limit - (time.monotonic() - start)
        if left < phase.seconds / 2:
            summary["left_out"][phase.name] = f"{left:.0f} s were left"
            continue
        print(f"{phase.name} ({time.monotonic() - start:.0f} s)", flush=True)
        entry = summary["phases"].setdefault(phase.name, {})
        try:
            for part in phase.call(setup, min(phase.seconds, left)):
                entry.update(part)
                write()
        except jax.errors.JaxRuntimeError as error:  # such as too little memory: the other phases go on
            entry["error"] = str(error).partition("\n")[0][:300]
        write()
        pages.write(out, summary)
    watch.cancel()
    return summary


def _timed(precision: str, block: int, share: float) -> Callable:
    """A phase of one session; it times the share `share` of the blocks."""

    def phase(setup: Setup, seconds: float):
        end = time.monotonic() + seconds
        line = Pipeline(live_config(setup.sizes, block, precision), setup.sizes, 1)
        yield {"block": block, "length_ms": 1000 * block / FPS}
        first = {}
        first["see"], motion = milliseconds(line.seen)
        first["step"], motion = milliseconds(line.stepped, motion)
        first["show"], _ = milliseconds(line.shown, motion)
        yield {"first_call_s": {name: took / 1000 for name, took in first.items()}}
        count = max(5, int(share * setup.blocks))
        for _ in range(3):
            line.whole()
        yield {"block_ms": percentiles(_repeat(line.whole, count, end))} | peak_memory()
        seen, stages = line.seen(), {}
        made = line.stepped(seen)
        calls = {"see": line.seen, "step": partial(line.stepped, seen), "show": partial(line.shown, made)}
        for name, call in calls.items():
            stages[name] = percentiles(_repeat(call, max(5, count // 4), end))
            yield {"stage_ms": dict(stages)}
        rate = peak(precision)
        yield {"products_gflop_per_second": rate, "gflop": line.gflop()}

    return phase


def _repeat(call: Callable, count: int, end: float) -> list[float]:
    """Milliseconds of `count` calls, or of as many as fit in before `end`, five at least."""
    took = []
    while len(took) < count and (len(took) < 5 or time.monotonic() < end):
        took.append(milliseconds(call)[0])
    return took


def _kernels(setup: Setup, seconds: float):
    line = Pipeline(live_config(setup.sizes, precision="bfloat16"), setup.sizes, 1)
    line.whole()
    with jax.profiler.trace(str(setup.folder)):
        for _ in range(TRACED):
            line.whole()
    yield top(setup.folder, TRACED)


def _attention(setup: Setup, seconds: float):
    """Milliseconds of one attention of the generator in a chain of 16."""
    flow = setup.sizes.flow
    rows, keys, heads, size = 12, 50, flow.heads, flow.width // flow.heads
    query, key = (jax.random.normal(jax.random.key(n), (3, n, heads, size), jnp.bfloat16) for n in (rows, keys))
    mask, end = jnp.ones((rows, keys), bool), time.monotonic() + seconds

    def ours(query):
        return attend(query, key, key, mask).reshape(query.shape)

    def library(implementation):
        wide = jnp.broadcast_to(mask, (3, 1, rows, keys))
        return lambda query: jax.nn.dot_product_attention(query, key, key, mask=wide, implementation=implementation)

    for name, one in (("attend", ours), ("xla", library("xla")), ("cudnn", library("cudnn"))):

        def many(query, one=one):
            for _ in range(16):
                query = one(query)
            return query

        call = jax.jit(many)
        try:
            jax.block_until_ready(call(query))
        except (jax.errors.JaxRuntimeError, RuntimeError, NotImplementedError, ValueError) as error:
            yield {name: {"error": str(error).partition("\n")[0][:300]}}
            continue
        yield {name: percentiles([took / 16 for took in _repeat(lambda call=call: call(query), 200, end)])}


def _sessions(setup: Setup, seconds: float):
    end, config = time.monotonic() + seconds, live_config(setup.sizes, precision="bfloat16")
    length, tried, sessions = 1000 * config.layout.block / FPS, {}, 1
    while sessions <= setup.most and (not tried or time.monotonic() + seconds / 4 < end):
        line = Pipeline(config, setup.sizes, sessions)
        line.whole()
        times = percentiles(_repeat(line.whole, min(setup.blocks, 100), min(end, time.monotonic() + seconds / 5)))
        tried[str(sessions)] = {"block_ms": times, **peak_memory()}
        held = max((int(name) for name, entry in tried.items() if entry["block_ms"]["p99"] < length), default=0)
        yield {"length_ms": length, "tried": dict(tried), "at_real_time": held}
        if times["p99"] >= length:
            break
        guess = length / times["p50"] * sessions  # each size is compiled, so few are tried
        sessions = max(2 * sessions, 2 ** int(guess / 1.5).bit_length() // 2)


def _evaluations(setup: Setup, seconds: float):
    end, found = time.monotonic() + seconds, {}
    for count in (4, 2, 1):
        config = live_config(setup.sizes, precision="bfloat16")
        sampler = replace(config.sampler, grid="uniform", nfe=count)
        line = Pipeline(replace(config, sampler=sampler), setup.sizes, 1)
        seen = line.seen()
        jax.block_until_ready(line.stepped(seen))
        found[str(count)] = percentiles(_repeat(lambda line=line, seen=seen: line.stepped(seen), 200, end))
        yield {"step_ms": dict(found)}
        if time.monotonic() > end:
            return


PHASES = (
    Phase("bfloat16", _timed("bfloat16", 10, 1.0), 150),
    Phase("kernels", _kernels, 30),
    Phase("attention", _attention, 20),
    Phase("tf32", _timed("tf32", 10, 0.2), 90),
    Phase("float32", _timed("float32", 10, 0.1), 90),
    Phase("block_5", _timed("bfloat16", 5, 0.2), 80),
    Phase("sessions", _sessions, 100),
    Phase("evaluations", _evaluations, 60),
)
