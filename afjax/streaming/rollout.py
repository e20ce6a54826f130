"""Generation of whole clips by the stream's step."""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Float

from afjax.nn.condition_encoder import Conditions
from afjax.streaming.state import StreamState
from afjax.types import Params, typed


def pad_to_blocks(conditions: Conditions, block: int) -> Conditions:
    """Conditions with the last frame repeated up to a multiple of `block` frames; on the host, so nothing compiles."""
    extra = -conditions.user_motion.shape[1] % block
    return jax.tree.map(lambda x: np.pad(x, [(0, 0), (0, extra), (0, 0)], mode="edge"), jax.device_get(conditions))


@typed
def rollout(
    step: Callable, params: Params, state: StreamState, conditions: Conditions, block: int,
    start: Callable | None = None, first: int = 0,
) -> tuple[Float[np.ndarray, "b t d"], StreamState]:  # fmt: skip
    """Motion `[b, t, d]` for conditions of any number t of frames, a NumPy array, and the state after the last block.

    Args:
      step: from `make_step`; block: frames of its block.
      params: those of the network; state: used up.
      start: from `make_start`; it makes the `first` frames at once where `first` is not 0.

    Conditions and motion are standardised.
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
