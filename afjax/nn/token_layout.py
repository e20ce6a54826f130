"""Layouts of motion tokens for one offline forward.

`frames`   one token per frame under a training mask (the paper).
`passes`   every pass of a stream side by side: exactly what the stream computes, as one forward.
`stream`   every pass twice, noisy and clean: each noisy block sees a finished past, as in a stream.

Pass p of a stream makes frames [s, s + block) with s = p * block. It re-feeds the last `look_ahead` finished frames
at level 0. It sees its own tokens by the mask's rule, and those that earlier passes left in the cache: all but their
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

The past of a noisy block is as noisy as training draws it in `passes`. It consists of clean copies in `stream`, so that
the whole loss lies in states that the sampler meets; T frames take nearly 2 T tokens.
`stream_layout(frames=6, block=2, look_ahead=0, cache=2, mask="blockwise_lookahead", alignment=1)`, attention; n are
noisy tokens, c their clean copies:

    pass      0n 0n   0c 0c   1n 1n   1c 1c   2n 2n
    0n 0       1  1    0  0    0  0    0  0    0  0
    0n 1       1  1    0  0    0  0    0  0    0  0
    0c 0       0  0    1  1    0  0    0  0    0  0
    0c 1       0  0    1  1    0  0    0  0    0  0
    1n 2       0  0    1  1    1  1    0  0    0  0
    1n 3       0  0    1  1    1  1    0  0    0  0
    1c 2       0  0    1  1    0  0    1  1    0  0
    1c 3       0  0    1  1    0  0    1  1    0  0
    2n 4       0  0    0  0    0  0    1  1    1  1          frames 0 and 1 are past the cache's bound
    2n 5       0  0    0  0    0  0    1  1    1  1

Conditions do not depend on the noise. A causal condition encoder reads each frame once (one entry per frame). An
encoder that sees its whole pass reads the frames of every pass separately (one entry per token).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from afjax.config import LayoutConfig
from afjax.errors import InputError
from afjax.nn import masks
from afjax.types import HostOrDevice, typed


class TokenLayout(NamedTuple):
    """Tokens of one forward: which frame each one is, and what it may see (host arrays, inputs of the jitted step)."""

    frame: Int[HostOrDevice, " n"]
    is_clean: Bool[HostOrDevice, " n"]  # a finished frame fed again, without loss
    attention_mask: Bool[HostOrDevice, "n n"]  # self-attention
    condition_frame: Int[HostOrDevice, " m"]  # frame of each entry of the condition encoder
    cross_mask: Bool[HostOrDevice, "n m"]  # cross-attention to the conditions
    encoder_mask: Bool[HostOrDevice, "m m"]  # inside the condition encoder


@typed
def frame_layout(config: LayoutConfig, frames: int) -> TokenLayout:
    """One token per frame, under the configured mask; the alignment window is not cut at block ends."""
    n = np.arange(frames)
    query, key = n[:, None], n[None, :]
    return TokenLayout(
        n.astype(np.int32),
        np.zeros(frames, bool),
        masks.allowed(config.mask, query, key, config.block, config.look_ahead),
        n.astype(np.int32),
        masks.alignment(frames, config.alignment),
        _encoder(config, n, np.ones((frames, frames), bool)),
    )


@typed
def pass_layout(config: LayoutConfig, frames: int) -> TokenLayout:
    """All passes of a stream of `frames` frames (a multiple of the block), side by side.

    It has frames + look_ahead * (frames / block - 1) tokens; look-ahead 0 gives a plain banded mask with one token per
    frame. Raises InputError where `frames` is no multiple of the block.
    """
    return _passes(config, frames, copies=False)


@typed
def stream_layout(config: LayoutConfig, frames: int) -> TokenLayout:
    """All passes of a stream side by side, and a clean copy of each but the last. Later passes see the copies alone.

    Raises InputError where `frames` is no multiple of the block.
    """
    return _passes(config, frames, copies=True)


def _passes(config: LayoutConfig, frames: int, copies: bool) -> TokenLayout:
    if frames % config.block:
        raise InputError(f"{frames} frames are not a multiple of the block of {config.block}")
    block, look_ahead = config.block, config.look_ahead
    starts = np.arange(0, frames, block)
    # (first frame of a pass's block, whether the pass is a clean copy)
    passes = [(s, clean) for s in starts for clean in ((False, True) if copies and s < starts[-1] else (False,))]
    spans = [np.arange(max(s - look_ahead, 0), s + block) for s, _ in passes]
    frame = np.concatenate(spans)
    index, start, clean = (
        np.concatenate([np.full(len(span), value) for span, value in zip(spans, values, strict=True)])
        for values in (range(len(passes)), *zip(*passes, strict=True))
    )
    kept = (frame < start + block - look_ahead) & (clean == copies)
    query, key = frame[:, None], frame[None, :]
    own = index[:, None] == index[None, :]
    earlier = (start[None, :] < start[:, None]) & kept[None, :]
    cached = earlier & (key >= start[:, None] - look_ahead - config.cache)
    attention = (own & masks.allowed(config.mask, query, key, block, look_ahead)) | cached
    if config.condition_window:  # conditions of the pass and of the frames before it, each frame once
        condition_frame, own = np.arange(frames), np.ones((frames, frames), bool)
        seen = (condition_frame < start[:, None] + block) & (
            condition_frame >= start[:, None] - look_ahead - config.alignment
        )
    else:  # the cross cache holds `alignment` frames before the pass, whatever the self cache holds
        condition_frame = frame
        seen = own | (earlier & (key >= start[:, None] - look_ahead - config.alignment))
    return TokenLayout(
        frame.astype(np.int32),
        (frame < start) | clean,
        attention,
        condition_frame.astype(np.int32),
        seen & (np.abs(query - condition_frame) <= config.alignment),
        _encoder(config, condition_frame, own),
    )


def _encoder(config: LayoutConfig, frame, own):
    """Mask of the condition encoder: the pass itself, or a causal window over frames."""
    if config.condition_window == 0:
        return own
    return masks.in_window(frame[:, None], frame[None, :], config.condition_window)
