"""The released network's programs as the product runs them, made from shapes alone, without computing anything.

    hear      sound of both voices -> rows of wav2vec2, a window of two seconds each, in one batch
    see       a block of the user's pictures -> motion latents
    generate  a block's conditions -> the avatar's motion: condition encoder, the solver's evaluations, the clean pass
    show      motion latents and a portrait -> a block of pictures
    step      what `afjax.streaming.live_step` jits: hear, normalise, generate

`see` and `show` are one session's; the others have any number of them.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from afjax.audio.framing import FRAME
from afjax.audio.wav2vec2 import features
from afjax.audio.wav2vec2.config import Wav2Vec2Config
from afjax.audio.wav2vec2.extractor import Wav2Vec2Features
from afjax.codec.latent import codec, network
from afjax.codec.latent.config import LatentConfig
from afjax.config import Config, ModelConfig, released
from afjax.diffusion.solver import make_grid
from afjax.nn.condition_encoder import Conditions
from afjax.nn.transformer import ForcingTransformer, cast_params
from afjax.normalizer import Normalizer
from afjax.streaming import live_step
from afjax.streaming.step import make_step
from afjax.training.generator.state import init_params

__all__ = ["SMALL", "Program", "Sizes", "bytes_of", "programs", "live_config"]


@dataclass(frozen=True)
class Sizes:
    """Sizes of the three networks; the defaults are the released ones."""

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


class Program(NamedTuple):
    """A jitted function and its arguments' shapes, the weights first.

    `again`: bytes of weights that a call must read more than once, because no cache holds them.
    """

    call: Any
    arguments: tuple
    again: int = 0


def live_config(sizes: Sizes, block: int = 10, precision: str = "tf32") -> Config:
    """The released network's config without its joint start, at given sizes and block lengths."""
    config = released.config(start=0)
    cache = config.layout.cache + config.layout.block - block
    layout, compute = replace(config.layout, block=block, cache=cache), replace(config.compute, precision=precision)
    return replace(config, model=sizes.flow, layout=layout, data=replace(config.data, window=block), compute=compute)


def programs(config: Config, sizes: Sizes, sessions: int = 1) -> dict[str, Program]:
    """The programs by name, for a config of `setting`."""
    key, precision, block = jax.random.key(0), config.compute.precision, config.layout.block
    side, dim, wide = sizes.codec.size, config.model.motion_dim, config.model.audio_dim

    def weights(key):
        ready = codec.ready_at(codec.ready(network.init_params(sizes.codec, key)), precision)
        speech = features.narrowed(features.init_params(sizes.speech, key), precision)
        return ready, cast_params(init_params(config, key), precision), speech

    ready, flow, speech = jax.eval_shape(weights, key)
    extractor = Wav2Vec2Features(sizes.speech, speech, precision=precision)
    plain = Normalizer(*(jax.ShapeDtypeStruct((n,), jnp.float32) for n in (dim, dim, wide, wide)))
    params = live_step.LiveParams.of(flow, speech, plain)
    state = jax.eval_shape(partial(live_step.init_live, config, extractor, sessions))
    sound = _of(sessions, block * FRAME)
    motion = _of(sessions, block, dim)
    model = ForcingTransformer(config.model, precision)
    conditions = Conditions(_of(sessions, block, wide), _of(sessions, block, wide), motion)
    pictures = jax.ShapeDtypeStruct((block, side, side, 3), np.uint8)
    person = jax.eval_shape(
        partial(codec.identified, precision=precision), ready, pictures.update(shape=(side, side, 3))
    )
    each = {name: tree for name, tree in flow["params"].items() if name.startswith(("blocks_", "embed_motion", "head"))}
    again = len(make_grid(config.sampler).network_levels) * bytes_of(each)  # first by the clean pass
    generate = make_step(model, config.layout, config.sampler)
    heard = jax.eval_shape(partial(live_step.init_live, config, extractor, 2 * sessions)).avatar_extractor
    return {
        "hear": Program(_extract(extractor), (speech, heard, _of(2 * sessions, block * FRAME))),
        "see": Program(_bound(codec.seen, precision), (ready, pictures)),
        "generate": Program(generate, (flow, state.stream, conditions), again),
        "show": Program(_bound(codec.shown, precision), (ready, person, _of(block, dim))),
        "step": Program(
            live_step.make_live_step(config, extractor), (params, state, live_step.Inputs(sound, sound, motion)), again
        ),
    }


def bytes_of(tree) -> int:
    """Bytes of a tree of shapes; a random key's are left out."""
    leaves = (leaf for leaf in jax.tree.leaves(tree) if not jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key))
    return sum(leaf.size * np.dtype(leaf.dtype).itemsize for leaf in leaves)


def _extract(extractor: Wav2Vec2Features):
    return jax.jit(lambda params, state, sound: jax.vmap(partial(extractor.step, params))(state, sound))


def _bound(function, precision: str):
    return jax.jit(partial(function, precision=precision))


def _of(*shape: int):
    return jax.ShapeDtypeStruct(shape, jnp.float32)
