"""Whole clips through the stream's step."""

import jax
import numpy as np

from afjax.nn.condition_encoder import Conditions


def pad_to_blocks(conditions: Conditions, block: int) -> Conditions:
    """Repeats the last frame of [b, t, ...] up to a multiple of the block; on the host, where it compiles nothing."""
    extra = -conditions.user_motion.shape[1] % block
    return jax.tree.map(lambda x: np.pad(x, [(0, 0), (0, extra), (0, 0)], mode="edge"), jax.device_get(conditions))


def rollout(step, params, state, conditions: Conditions, block: int, start=None, first: int = 0):
    """Motion [b, t, d] for conditions [b, t, ...] of any length, a NumPy array, and the state after the last block.

    `start` (from `make_start`) makes the `first` frames at once where `first` is not 0.
    """
    frames = conditions.user_motion.shape[1]
    blocks = []
    if first:
        state, motion = start(params, state, pad_to_blocks(_cut(conditions, 0, first), first))
        blocks.append(motion)
    padded = pad_to_blocks(_cut(conditions, first, frames), block)
    for at in range(0, frames - first, block):
        state, motion = step(params, state, _cut(padded, at, at + block))
        blocks.append(motion)
    return np.concatenate(jax.device_get(blocks), axis=1)[:, :frames], state


def _cut(conditions: Conditions, start: int, end: int) -> Conditions:
    return jax.tree.map(lambda x: x[:, start:end], conditions)
