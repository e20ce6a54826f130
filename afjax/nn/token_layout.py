"""Layouts of motion tokens for one offline forward.

`frames`   one token a frame under a training mask (the paper).
`passes`   every pass of a stream side by side: exactly what the stream computes, as one forward.

Pass p of a stream makes frames [s, s + block) with s = p * block. It re-feeds the last `look_ahead` finished frames
at level 0, sees its own tokens by the mask's rule, and the tokens that earlier passes left in the cache: all but their
last `look_ahead` frames, bounded to `cache` frames. Conditions stop at the pass's last frame.

`pass_layout(frames=6, block=2, look_ahead=1, cache=2, mask="blockwise_lookahead", alignment=1)`, attention:

    pass      0 0   1 1 1   2 2 2          (a token of frame -1 is never made)
    frame     0 1   1 2 3   3 4 5
    0 0       1 1   0 0 0   0 0 0
    0 1       1 1   0 0 0   0 0 0
    1 1       1 0   1 1 0   0 0 0          frame 1 again, clean: one frame ahead; pass 0 left frame 0
    1 2       1 0   1 1 1   0 0 0
    1 3       1 0   1 1 1   0 0 0
    2 3       0 0   1 1 0   1 1 0          pass 1 left frames 1 and 2; frame 0 is past the cache's bound
    2 4       0 0   1 1 0   1 1 1
    2 5       0 0   1 1 0   1 1 1
"""

from typing import NamedTuple

import numpy as np

from afjax.config import LayoutConfig
from afjax.errors import InputError
from afjax.nn import masks


class TokenLayout(NamedTuple):
    """Tokens of one forward: which frame each one is, and what it may see (host arrays, inputs of the jitted step)."""

    frame: np.ndarray  # [n] int32
    context: np.ndarray  # [n] bool: a finished frame fed again, without loss
    attention: np.ndarray  # [n, n] bool, self-attention
    alignment: np.ndarray  # [n, n] bool, cross-attention to the conditions
    encoder: np.ndarray  # [n, n] bool, inside the condition encoder


def frame_layout(config: LayoutConfig, frames: int) -> TokenLayout:
    """One token a frame, under the configured mask; the alignment window is not cut at block ends."""
    n = np.arange(frames)
    query, key = n[:, None], n[None, :]
    return TokenLayout(
        n.astype(np.int32),
        np.zeros(frames, bool),
        masks.allowed(config.mask, query, key, config.block, config.look_ahead),
        masks.alignment(frames, config.alignment),
        encoder_mask(config, query, key, np.ones((frames, frames), bool)),
    )


def pass_layout(config: LayoutConfig, frames: int) -> TokenLayout:
    """All passes of a stream of `frames` frames (a multiple of the block), side by side.

    frames + look_ahead * (frames / block - 1) tokens; for look-ahead 0 a plain banded mask with one token a frame.
    """
    if frames % config.block:
        raise InputError(f"{frames} frames are not a multiple of the block of {config.block}")
    block, look_ahead = config.block, config.look_ahead
    starts = np.arange(0, frames, block)
    spans = [np.arange(max(s - look_ahead, 0), s + block) for s in starts]
    frame = np.concatenate(spans)
    index = np.concatenate([np.full(len(span), p) for p, span in enumerate(spans)])
    start = starts[index]
    kept = frame < start + block - look_ahead
    query, key = frame[:, None], frame[None, :]
    own = index[:, None] == index[None, :]
    earlier = (index[None, :] < index[:, None]) & kept[None, :]
    cached = earlier & (key >= start[:, None] - look_ahead - config.cache)
    near = np.abs(query - key) <= config.alignment
    # the cross cache holds `alignment` frames before the pass, whatever the self cache holds
    aligned = earlier & (key >= start[:, None] - look_ahead - config.alignment)
    return TokenLayout(
        frame.astype(np.int32),
        frame < start,
        (own & masks.allowed(config.mask, query, key, block, look_ahead)) | cached,
        (own | aligned) & near,
        encoder_mask(config, query, key, own, context=(frame < start)[None, :]),
    )


def encoder_mask(config: LayoutConfig, query, key, own, context=False):
    """What the condition encoder sees: the pass itself, or a causal window over frames, each frame once."""
    if config.condition_window == 0:
        return own
    return masks.in_window(query, key, config.condition_window) & np.logical_not(context)
