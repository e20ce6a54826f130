"""The state that training carries from step to step."""

from functools import lru_cache, partial

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from afjax.config import Config, LayoutConfig, ModelConfig
from afjax.nn.condition_encoder import Conditions
from afjax.nn.token_layout import TokenLayout, frame_layout, pass_layout, stream_layout
from afjax.nn.transformer import ForcingTransformer
from afjax.training import sharding
from afjax.training.optimizer import make_optimizer
from afjax.types import Params


@flax.struct.dataclass
class TrainState:
    """A generator in training."""

    step: Int[Array, ""]  # number of steps taken
    params: Params
    ema_params: Params  # their exponential moving average (EMA)
    opt_state: tuple


def token_layout(config: Config) -> TokenLayout:
    """The layout of tokens that a training window runs on."""
    make = {"frames": frame_layout, "passes": pass_layout, "stream": stream_layout}[config.layout.tokens]
    return make(config.layout, config.data.window)


def init_params(config: Config, key: Key[Array, ""]) -> Params:
    """Parameters of the forcing transformer, float32."""
    return _initialiser(config.model)(key)


@lru_cache(maxsize=8)
def _initialiser(config: ModelConfig):
    model, layout = ForcingTransformer(config), frame_layout(LayoutConfig(block=2, look_ahead=0), 2)
    motion, relative, audio = (
        np.zeros((1, 2, dim), np.float32)
        for dim in (config.motion_dim, 3 * config.motion_dim, config.audio_dim or config.condition_width)
    )
    conditions = Conditions(audio, audio, motion, relative if config.relative_frames else None)

    def init(key):
        return model.init(
            key, motion, motion[..., 0], motion[:, 0], conditions, jnp.ones((1, 3)), layout, method="forward"
        )

    return jax.jit(init)


def init_state(config: Config, start: Params | None = None) -> TrainState:
    """State before the first step, from the parameters `start` (whole), or from the config's seed alone.

    Arrays on a mesh are made divided as they will lie.
    """
    if start is None:
        given, make = _seed_key(config), partial(init_params, config)
    else:
        given, make = sharding.put(config.compute, start), partial(jax.tree.map, jnp.array)
    wanted = sharding.shardings(config.compute, jax.eval_shape(lambda x: _fresh(config, make(x)), given))
    if wanted is None:
        return _fresh(config, make(given))
    return jax.jit(lambda x: _fresh(config, make(x)), out_shardings=wanted)(given)


def abstract_state(config: Config) -> TrainState:
    """Shapes, dtypes and shardings of the state, without its arrays; a checkpoint is restored as this."""
    shapes = jax.eval_shape(lambda: _fresh(config, init_params(config, _seed_key(config))))
    wanted = sharding.shardings(config.compute, shapes)
    if wanted is None:
        wanted = jax.tree.map(lambda _: jax.sharding.SingleDeviceSharding(jax.devices()[0]), shapes)
    return jax.tree.map(lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), shapes, wanted)


def _fresh(config: Config, params) -> TrainState:
    optimizer = make_optimizer(config.optimizer, config.training.num_steps, config.training.listening_steps)
    return TrainState(jnp.int32(0), params, jax.tree.map(jnp.copy, params), optimizer.init(params))


def _seed_key(config: Config):
    return jax.random.fold_in(jax.random.key(config.training.seed), 0)


def count(params: Params) -> int:
    """Number of parameters."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params))
