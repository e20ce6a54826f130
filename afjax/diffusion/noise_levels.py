"""Sampling of noise levels (timesteps) in training.

    token   one level per frame (diffusion forcing, eq. 6 read literally)
    block   one level per block (the paper's text, and the released code)
    clip    one level per clip (ordinary flow matching)

`clean_prefix` is the share of the clips in which all blocks before a random one have level 0, as a stream sees them. A
stream's past also holds the model's own errors. `sample_history_noise` therefore says how much noise is added to frames
of level 0. It is added and not mixed in: a model that learned from a shrunk past enlarges a clean one, block after
block.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from afjax.types import FrameNoiseLevel, typed


@typed
def sample_noise_level(
    key: Key[Array, ""], clips: int, frames: int, block: int, kind: str, clean_prefix: float, power: float = 1.0
) -> FrameNoiseLevel:
    """Levels `[b, t]` in (0, 1] with density power * level^(power - 1); clean frames have 0 and no loss.

    Args:
      clips, frames: b and t; block: frames.
      kind: what has one level: `token`, `block` or `clip`.
      clean_prefix: share of the clips that begin with clean blocks.
    """
    k_level, k_clean, k_start = jax.random.split(key, 3)
    width = {"token": 1, "block": block, "clip": frames}[kind]
    drawn = (1 - jax.random.uniform(k_level, (clips, -(-frames // width)))) ** (1 / power)
    noise_level = jnp.repeat(drawn, width, axis=1)[:, :frames]
    chosen = jax.random.uniform(k_clean, (clips, 1)) < clean_prefix
    start = block * jax.random.randint(k_start, (clips, 1), 0, -(-frames // block))
    return jnp.where(chosen & (jnp.arange(frames) < start), 0.0, noise_level)


@typed
def sample_history_noise(key: Key[Array, ""], clips: int, most: float) -> Float[Array, "b 1"]:
    """Deviation of the noise on clean frames, `[b, 1]`: one per clip, uniform in [0, most); 0 for `most` 0."""
    return most * jax.random.uniform(key, (clips, 1))
