"""The released network's stages, each alone, at full size with synthetic weights (`experiments.benchmark --stages`).

    encode_frame      one face crop of 512 px -> identity, coefficients, features
    generator_block   ten frames of motion: 9 forwards of 3 guidance branches over 12 tokens and 38 cached ones
    decode_block      ten frames of motion -> ten pictures of 512 px

Each stage is called once to compile, then `--repeats` times. GFLOP/s count the network's multiplications and additions
as XLA does. Those of a large matrix product in the same run say what the machine can do, so that figures of different
machines can be compared. Memory is the process's highest so far.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from afjax.codec.latent import network
from afjax.codec.latent.config import LatentConfig
from afjax.config import ModelConfig, released
from afjax.diffusion.solver import make_grid
from afjax.nn.condition_encoder import Conditions
from afjax.nn.transformer import ForcingTransformer
from afjax.streaming.state import init_stream
from afjax.streaming.step import make_step
from afjax.training.generator.state import init_params
from afjax.weights import flow_names, latent_names, names, synthetic
from experiments import cli
from experiments.live.device import Stage, device, gflop, matrix_product, measure

FRAMES = 10


SIZES = LatentConfig()


def benchmark(stages: Mapping[str, Callable[[], Stage]], repeats: int) -> dict[str, Any]:
    """The summary of stages, measured one after the other in full float32."""
    results = {}
    with cli.Progress(len(stages), "measure", "stages") as progress, jax.default_matmul_precision("highest"):
        for name, make in stages.items():
            results[name] = measure(make(), repeats)
            progress.update(note=name)
    return {"device": device(), "jax": jax.__version__, "repeats": repeats, "stages": results}


def report(summary: Mapping[str, Any]):
    """Prints a line for each stage."""
    rows = [
        (name, r["seconds"]["p50"], r["seconds"]["min"], r["compile_seconds"], round(r["gflop_per_second"], 1),
         round(r["peak_gigabytes"], 2))
        for name, r in summary["stages"].items()
    ]  # fmt: skip
    cli.print_table(rows, ("stage", "p50, s", "min, s", "compile, s", "GFLOP/s", "peak, GB"))


def _prepared(config: LatentConfig) -> dict:
    """The latent codec's synthetic parameters, prepared."""
    shapes = jax.eval_shape(lambda: network.init_params(config, jax.random.key(0)))
    return jax.jit(network.prepare)(_synthetic(shapes, latent_names.names(config)))


def _synthetic(tree, table) -> dict:
    return names.to_tree(synthetic.state_dict(names.tree_shapes(tree, table), 0), table)


def encode_frame(config: LatentConfig = SIZES) -> Stage:
    prepared, picture = _prepared(config), _picture(config)
    encode = jax.jit(network.encode)
    return Stage(lambda: encode(prepared, picture), gflop(network.encode, prepared, picture))


def decode_block(config: LatentConfig = SIZES) -> Stage:
    prepared = _prepared(config)
    _, _, features = jax.jit(network.encode)(prepared, _picture(config))
    latents = jax.random.normal(jax.random.key(2), (FRAMES, config.dim))
    decode = jax.jit(network.decode)
    one = gflop(network.decode, prepared, latents[:1], features)
    return Stage(lambda: decode(prepared, latents, features), FRAMES * one)


def _picture(config: LatentConfig) -> jax.Array:
    return jax.random.uniform(jax.random.key(1), (1, config.size, config.size, 3), minval=-1)


def generator_block(sizes: ModelConfig | None = None) -> Stage:
    """One block of a stream, in a state that goes on from call to call; `sizes`: None for the preset's."""
    config = released.config()
    config = replace(config, model=sizes or config.model)
    sizes, layout, sampler = config.model, config.layout, config.sampler
    tree = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))["params"]
    params = jax.device_put({"params": _synthetic(tree, flow_names.names(sizes))})
    model = ForcingTransformer(sizes)
    shapes = (sizes.audio_dim, sizes.audio_dim, sizes.motion_dim)
    block = Conditions(*(jnp.ones((1, layout.block, width)) for width in shapes))
    keys = jax.random.split(jax.random.key(0), 1)
    state = [init_stream(keys, jnp.zeros((1, sizes.motion_dim)), sizes, layout, sampler)]
    step = make_step(model, layout, sampler)

    def call():
        state[0], motion = step(params, state[0], block)
        return motion

    branches, tokens = 3, layout.look_ahead + layout.block
    forwards = len(make_grid(sampler).network_levels) + 1
    return Stage(call, forwards * forward_gflop(model, params, layout, branches, tokens))


def forward_gflop(model, params, layout, branches: int, tokens: int) -> float:
    """GFLOP of one forward of a pass's tokens against the cache, with given modulations."""
    sizes = model.config
    motion = jnp.zeros((branches, tokens, sizes.motion_dim))
    told = model.apply(params, jnp.zeros((1, tokens)), method="modulations")
    head = sizes.width // sizes.heads

    def pairs(count):
        return [(jnp.zeros((branches, count, sizes.heads, head)),) * 2] * sizes.depth

    near = np.ones((tokens, tokens + layout.alignment), bool)
    rows = np.ones((tokens, tokens + layout.cache), bool)

    def forward(params, motion, told, cross, past):
        return model.apply(params, motion, told, motion[:, 0], cross, (rows, near), np.arange(tokens), past)[0]

    return gflop(forward, params, motion, told, pairs(tokens + layout.alignment), pairs(layout.cache))


STAGES = {stage.__name__: stage for stage in (matrix_product, encode_frame, decode_block, generator_block)}
