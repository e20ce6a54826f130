"""A tiny model with random weights everywhere, for tests."""

import jax
import jax.numpy as jnp
import numpy as np

from afjax.config import Config, DataConfig, LayoutConfig, ModelConfig
from afjax.nn.condition_encoder import Conditions
from afjax.training.generator.state import init_params


def small_config(
    encoder="windowed",
    mask="blockwise_lookahead",
    block=5,
    look_ahead=2,
    cache=12,
    window=4,
    width=16,
    depth=2,
    convolutions=0,
    relative_frames=0,
    answer_head=False,
    cause_kinds=0,
) -> Config:
    return Config(
        model=ModelConfig(
            motion_dim=3,
            audio_dim=4,
            width=width,
            depth=depth,
            heads=2,
            mlp_ratio=2,
            condition_width=16,
            condition_heads=2,
            condition_encoder=encoder,
            memory_size=6 if encoder == "memory" else 0,
            condition_convolutions=convolutions,
            relative_frames=relative_frames,
            answer_head=answer_head,
            cause_kinds=cause_kinds,
        ),
        layout=LayoutConfig(
            block=block,
            look_ahead=look_ahead,
            mask=mask,
            cache=cache,
            condition_window=window if encoder == "windowed" else 0,
        ),
        data=DataConfig(window=4 * block),
    )


def scrambled(config: Config, scale: float = 0.3, dtype=jnp.float32):
    """Weights as large as a new model's, plus noise, so that no gate or head is zero. Nothing is compiled for them."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
    fresh = jax.tree_util.tree_map_with_path(lambda path, leaf: _fresh([p.key for p in path], leaf.shape, rng), shapes)
    return jax.tree.map(lambda p: jnp.asarray(p + scale * rng.standard_normal(p.shape), dtype), fresh)


def _fresh(path: list[str], shape: tuple[int, ...], rng):
    """Gates and heads begin at zero, other kernels with the deviation of their inputs' number."""
    if path[-1] in ("bias", "scale"):
        return np.full(shape, float(path[-1] == "scale"))
    if any(name.endswith(("head", "modulation")) for name in path):
        return np.zeros(shape)
    return rng.standard_normal(shape) / (np.sqrt(shape[-1]) if path[-1] == "kernel" else 1.0)


def conditions(config: Config, sessions: int, frames: int, dtype=jnp.float32, seed: int = 0) -> Conditions:
    rng = np.random.default_rng(seed)
    dims = (config.model.audio_dim, config.model.audio_dim, config.model.motion_dim)
    return Conditions(*(jnp.asarray(rng.standard_normal((sessions, frames, dim)), dtype) for dim in dims))
