"""Attention masks: True = may attend; rows are queries, columns are keys.

Every self-attention mask is a rule on two frame numbers (`allowed`). A training window, a pass of a stream and the
side-by-side layout of all passes (`afjax.nn.token_layout`) thus use one rule on different frames. Sources: Avatar
Forcing eq. (5) and the text around it; the released weights were trained with `framewise_lookahead`.
"""

import numpy as np
from jaxtyping import Bool, Int

from afjax.config import MASKS
from afjax.errors import InputError
from afjax.types import HostOrDevice, typed

Numbers = Int[HostOrDevice, "..."] | int
"""Frame numbers, of any shapes that broadcast."""
Square = Bool[np.ndarray, "t t"]


@typed
def allowed(mask: str, query: Numbers, key: Numbers, block: int, look_ahead: int) -> Bool[HostOrDevice, "..."]:
    """Whether frame `query` may attend to frame `key`: integer arrays that broadcast; block and look-ahead in frames.

    Raises InputError for a name that is none of `afjax.config.MASKS`.
    """
    if mask == "framewise":
        return key <= query
    if mask == "blockwise":
        return key // block <= query // block
    if mask == "blockwise_lookahead":
        return (key // block <= query // block) | (key <= query + look_ahead)
    if mask == "framewise_lookahead":
        return key <= query + look_ahead
    if mask == "bidirectional":
        return (key == key) & (query == query)
    raise InputError(f"unknown mask {mask!r}", do=f"choose one of {', '.join(MASKS)}")


def _square(mask: str, frames: int, block: int = 1, look_ahead: int = 0) -> Square:
    n = np.arange(frames)
    return allowed(mask, n[:, None], n[None, :], block, look_ahead)


def framewise(frames: int) -> Square:
    """Causal by frame, `[t, t]`. `framewise(4)`:

    1 0 0 0
    1 1 0 0
    1 1 1 0
    1 1 1 1
    """
    return _square("framewise", frames)


def blockwise(frames: int, block: int) -> Square:
    """Own block and earlier ones, `[t, t]`. `blockwise(6, 2)`:

    1 1 0 0 0 0
    1 1 0 0 0 0
    1 1 1 1 0 0
    1 1 1 1 0 0
    1 1 1 1 1 1
    1 1 1 1 1 1
    """
    return _square("blockwise", frames, block)


def blockwise_lookahead(frames: int, block: int, look_ahead: int) -> Square:
    """Own block and earlier ones, plus `look_ahead` frames (the paper's text). `blockwise_lookahead(6, 3, 1)`:

    1 1 1 0 0 0
    1 1 1 0 0 0
    1 1 1 1 0 0
    1 1 1 1 1 1
    1 1 1 1 1 1
    1 1 1 1 1 1
    """
    return _square("blockwise_lookahead", frames, block, look_ahead)


def framewise_lookahead(frames: int, look_ahead: int) -> Square:
    """Causal by frame plus `look_ahead` frames (the released network). `framewise_lookahead(5, 2)`:

    1 1 1 0 0
    1 1 1 1 0
    1 1 1 1 1
    1 1 1 1 1
    1 1 1 1 1
    """
    return _square("framewise_lookahead", frames, look_ahead=look_ahead)


def bidirectional(frames: int) -> Square:
    """Everything sees everything, `[t, t]`. `bidirectional(2)`:

    1 1
    1 1
    """
    return _square("bidirectional", frames)


def alignment(frames: int, window: int) -> Square:
    """Cross-attention to conditions at most `window` frames away. `alignment(5, 1)`:

    1 1 0 0 0
    1 1 1 0 0
    0 1 1 1 0
    0 0 1 1 1
    0 0 0 1 1
    """
    n = np.arange(frames)
    return np.abs(n[:, None] - n[None, :]) <= window


def causal_window(frames: int, window: int) -> Square:
    """The present frame and the `window - 1` before it (windowed condition encoder). `causal_window(5, 2)`:

    1 0 0 0 0
    1 1 0 0 0
    0 1 1 0 0
    0 0 1 1 0
    0 0 0 1 1
    """
    n = np.arange(frames)
    return in_window(n[:, None], n[None, :], window)


@typed
def in_window(query: Numbers, key: Numbers, window: int) -> Bool[HostOrDevice, "..."]:
    """Whether frame `key` is `query` or one of the `window - 1` frames before it; integer arrays that broadcast."""
    return (key <= query) & (key > query - window)


def stream_mask(mask: str, block: int, look_ahead: int, cache: int) -> Bool[np.ndarray, "n m"]:
    """What the tokens of one pass of a stream see: `cache` old frames, then the pass (look_ahead + block). `[n, m]`.

    `stream_mask("blockwise_lookahead", 3, 1, 2)`, rows: the re-fed frame, then the block; columns: 2 cached, pass:

    1 1 | 1 1 0 0      the re-fed frame sees one frame ahead
    1 1 | 1 1 1 1
    1 1 | 1 1 1 1
    1 1 | 1 1 1 1
    """
    n = np.arange(-look_ahead, block)
    own = allowed(mask, n[:, None], n[None, :], block, look_ahead)
    return np.concatenate([np.ones((len(n), cache), bool), own], axis=1)


@typed
def receptive_field(mask: Square, layers: int) -> Square:
    """Transitive closure `[t, t]`: which keys influence which queries through `layers` layers of the same mask.

    Look-ahead leaks through depth: under `framewise_lookahead` with l frames, `layers` layers read l * layers ahead.
    """
    paths = mask.astype(np.int64)
    result = np.eye(len(mask), dtype=np.int64)
    for _ in range(layers):
        result = (result @ paths > 0).astype(np.int64)
    return result > 0
