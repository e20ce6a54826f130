"""Masks against their drawings, and against each other."""

import re

import numpy as np
import pytest

from afjax.config import LayoutConfig
from afjax.errors import InputError
from afjax.nn import masks, token_layout

DRAWN = [
    (masks.framewise, (4,)),
    (masks.blockwise, (6, 2)),
    (masks.blockwise_lookahead, (6, 3, 1)),
    (masks.framewise_lookahead, (5, 2)),
    (masks.bidirectional, (2,)),
    (masks.alignment, (5, 1)),
    (masks.causal_window, (5, 2)),
    (masks.stream_mask, ("blockwise_lookahead", 3, 1, 2)),
]


def drawing(docstring: str) -> np.ndarray:
    """The rows of zeros and ones in a docstring; words to their right are comments."""
    rows = [re.match(r"\s*([01|][01| ]*?)(\s{3,}.*)?$", line) for line in docstring.splitlines()]
    return np.array([[int(c) for c in row[1] if c in "01"] for row in rows if row], bool)


@pytest.mark.parametrize("function, arguments", DRAWN, ids=lambda x: getattr(x, "__name__", ""))
def test_mask_is_as_drawn(function, arguments):
    np.testing.assert_array_equal(function(*arguments), drawing(function.__doc__))


def test_pass_layout_is_as_drawn():
    layout = token_layout.pass_layout(
        LayoutConfig(block=2, look_ahead=1, cache=2, mask="blockwise_lookahead", alignment=1, condition_window=3), 6
    )
    rows = re.findall(r"^    (\d) (\d)\s{3,}((?:[01]\s+){7}[01])", token_layout.__doc__, re.MULTILINE)
    drawn = np.array([[int(c) for c in row[2].split()] for row in rows], bool)
    np.testing.assert_array_equal(layout.attention_mask, drawn)
    np.testing.assert_array_equal(layout.frame, [int(row[1]) for row in rows])
    np.testing.assert_array_equal(layout.is_clean, [0, 0, 1, 0, 0, 1, 0, 0])


def test_released_mask_has_no_block_term():
    """In the released network an earlier block implies a smaller frame, so the block term adds nothing."""
    n = np.arange(50)
    query, key = n[:, None], n[None]
    with_blocks = (key // 10 < query // 10) | (key <= query + 2)
    np.testing.assert_array_equal(masks.framewise_lookahead(50, 2), with_blocks)


@pytest.mark.parametrize("block, look_ahead", [(5, 0), (10, 2), (1, 0)])
def test_masks_contain_each_other(block, look_ahead):
    framewise = masks.framewise(50)
    blockwise = masks.blockwise(50, block)
    ahead = masks.blockwise_lookahead(50, block, look_ahead)
    assert (framewise <= blockwise).all() and (blockwise <= ahead).all() and (ahead <= masks.bidirectional(50)).all()
    if block == 1 and look_ahead == 0:
        np.testing.assert_array_equal(framewise, ahead)


def test_stream_rows_are_rows_of_the_training_mask():
    block, look_ahead, cache = 10, 2, 38
    rows = masks.stream_mask("framewise_lookahead", block, look_ahead, cache)
    np.testing.assert_array_equal(rows, masks.framewise_lookahead(50, look_ahead)[38:])


@pytest.mark.parametrize("mask", masks.MASKS)
def test_passes_without_look_ahead_are_the_plain_banded_forward(mask):
    config = LayoutConfig(block=5, look_ahead=0, mask=mask, cache=15)
    layout = token_layout.pass_layout(config, 40)
    n = np.arange(40)
    query, key = n[:, None], n[None]
    start = query // 5 * 5
    own_block = (key // 5 == query // 5) & masks.allowed(mask, query, key, 5, 0)
    np.testing.assert_array_equal(layout.attention_mask, own_block | ((key < start) & (key >= start - 15)))
    np.testing.assert_array_equal(layout.frame, n)
    assert not layout.is_clean.any()


@pytest.mark.parametrize("block, look_ahead", [(5, 0), (5, 2), (10, 2), (25, 3)])
def test_pass_layout_size_and_causality(block, look_ahead):
    frames = 50
    layout = token_layout.pass_layout(LayoutConfig(block=block, look_ahead=look_ahead, mask="bidirectional"), frames)
    assert len(layout.frame) == frames + look_ahead * (frames // block - 1)
    assert (~layout.is_clean).sum() == frames
    last = (layout.frame // block + layout.is_clean) * block + block - 1  # last frame of the token's own pass
    for mask, keys in ((layout.attention_mask, layout.frame), (layout.cross_mask, layout.condition_frame)):
        assert mask.any(axis=1).all()
        assert not (mask & (keys[None] > last[:, None])).any()
    assert not (layout.encoder_mask & (layout.condition_frame[None] > layout.condition_frame[:, None])).any()


@pytest.mark.parametrize("look_ahead", [0, 1])
def test_in_the_stream_layout_noise_sees_what_a_stream_sees(look_ahead):
    """Noisy tokens and the copies of their pass see the same earlier frames, clean ones only, as in `pass_layout`."""
    config = LayoutConfig(block=2, look_ahead=look_ahead, cache=2, mask="blockwise_lookahead", alignment=1)
    layout, passes = token_layout.stream_layout(config, 6), token_layout.pass_layout(config, 6)
    if look_ahead == 0:
        rows = re.findall(r"^    \d[nc] (\d) +((?:[01] +){9}[01])", token_layout.__doc__, re.MULTILINE)
        np.testing.assert_array_equal(layout.attention_mask, [[int(c) for c in row[1].split()] for row in rows])
        np.testing.assert_array_equal(layout.frame, [int(row[0]) for row in rows])
    noisy = ~layout.is_clean
    assert noisy.sum() == 6
    for mask, other in ((layout.attention_mask, passes.attention_mask), (layout.cross_mask, passes.cross_mask)):
        keys, their = (
            (layout.frame, passes.frame)
            if len(mask) == mask.shape[1]
            else (layout.condition_frame, passes.condition_frame)
        )
        for token, same in zip(np.flatnonzero(noisy), np.flatnonzero(~passes.is_clean), strict=True):
            assert sorted(keys[mask[token]]) == sorted(their[other[same]])


def test_look_ahead_leaks_through_depth():
    """Frame 0 reads l frames ahead in one layer and l * depth ahead in `depth` layers."""
    for depth in (1, 3, 8):
        reached = masks.receptive_field(masks.framewise_lookahead(50, 2), depth)
        assert np.flatnonzero(reached[0]).max() == 2 * depth


def test_unknown_mask_and_ragged_passes_are_refused():
    with pytest.raises(InputError, match="unknown mask 'causal'"):
        masks.allowed("causal", 0, 0, 1, 0)
    with pytest.raises(InputError, match="not a multiple"):
        token_layout.pass_layout(LayoutConfig(block=10), 45)
