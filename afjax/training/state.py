"""What training carries from step to step."""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from afjax.config import Config
from afjax.nn.condition_encoder import Conditions
from afjax.nn.passes import TokenLayout, frame_layout, pass_layout
from afjax.nn.transformer import ForcingTransformer
from afjax.training.optimizer import make_optimizer


@flax.struct.dataclass
class TrainState:
    step: jax.Array  # int32
    params: dict
    ema_params: dict
    opt_state: tuple


def token_layout(config: Config) -> TokenLayout:
    """The layout of tokens that a training window runs on."""
    make = pass_layout if config.layout.tokens == "passes" else frame_layout
    return make(config.layout, config.data.window)


def init_params(config: Config, key) -> dict:
    """Parameters of the forcing transformer."""
    model, block = ForcingTransformer(config.model), config.layout.block
    layout = frame_layout(config.layout, block)
    audio_dim = config.model.audio_dim or config.model.condition_width
    motion, audio = (jnp.zeros((1, block, dim)) for dim in (config.model.motion_dim, audio_dim))
    conditions = Conditions(audio, audio, motion)

    def init(key):
        return model.init(
            key, motion, motion[..., 0], motion[:, 0], conditions, jnp.ones((1, 3)), layout, method="forward"
        )

    return jax.jit(init)(key)


def init_state(config: Config, start=None) -> TrainState:
    """State before the first step, from the parameters `start`, or from the config's seed alone."""
    if start is None:
        params = init_params(config, jax.random.fold_in(jax.random.key(config.train.seed), 0))
    else:
        params = jax.tree.map(jnp.array, start)
    optimizer = make_optimizer(config.optimizer, config.train.steps)
    return TrainState(jnp.int32(0), params, jax.tree.map(jnp.copy, params), optimizer.init(params))


def count(params) -> int:
    """Number of parameters."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params))
