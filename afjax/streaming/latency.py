"""The three latencies of a live avatar: of computing, of collecting, and from an event to the picture that shows it.

The play-out clock shows frame n at `offset + n / 25` seconds. The offset is set when a conversation starts and moves
only where blocks come late, or early again for long enough. Block b, with B frames per block and a user delay of d,
reads user frames that end at ((b + 1) B - d) / 25 at the latest, so that

    offset = max(B - d, 0) / 25 + headroom              headroom: what is allowed for computing a block

`Playout` keeps that clock and counts late blocks. A **reaction** is measured by counterfactual, with two streams of one
key whose inputs are equal up to t. Its latency is the time from t to when the first frame is due that differs in a
channel by more than SEEN of that channel's recorded deviation. The **visible reaction** is the time from t to when a
channel's mean difference over many of these pairs has come to half of its peak.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from afjax.audio.framing import FPS
from afjax.config import LayoutConfig
from afjax.types import typed

__all__ = ["Playout", "SEEN", "algorithmic", "earliest_reaction", "first_seen", "half_peak", "offset", "percentiles"]

SEEN = 0.1
"""Share of a channel's recorded deviation from which a difference counts as seen."""


def algorithmic(layout: LayoutConfig) -> dict[str, float]:
    """Algorithmic delay in ms, exact.

    `collected`: length of the user's frames that a step waits for. `behind`: by how much the play-out clock is behind
    the user's, without computing. `speech_ahead`: how far ahead of its first frame a block's own speech must be known.
    Look-ahead adds nothing, features read no sound after their frame, and the alignment is cut at the block's end.
    """
    ms, block = 1000 / FPS, layout.block
    return {"collected": ms * block, "behind": ms * max(block - layout.user_delay, 0), "speech_ahead": ms * block}


def offset(layout: LayoutConfig, headroom: float) -> float:
    """Seconds by which the play-out clock is behind the user's."""
    return max(layout.block - layout.user_delay, 0) / FPS + headroom


def earliest_reaction(layout: LayoutConfig, headroom: float) -> dict[str, float]:
    """`p50` and `p95` in ms of the time from an event to the first frame that can show it, exact.

    An event falls anywhere into the B frames that a block is the first to see. That block's first frame is shown
    (max(d, B) - u B) / 25 + headroom seconds after the event, u uniform in [0, 1]. A delay of up to a block thus costs
    nothing.
    """
    block, longest = layout.block, max(layout.user_delay, layout.block)
    return {f"p{q}": 1000 * ((longest - block * (1 - q / 100)) / FPS + headroom) for q in (50, 95)}


@dataclass
class Playout:
    """The clock by which frames are shown, with a count of blocks and of late ones.

    `offset`: seconds at which frame 0 is due.
    """

    offset: float
    blocks: int = 0
    late_blocks: int = 0
    slack: list[float] = field(default_factory=list)

    def due(self, frame: int) -> float:
        """Time at which a frame is shown, in seconds."""
        return self.offset + frame / FPS

    def delivered(self, first: int, parts: Sequence[tuple[int, float]]):
        """Notes a block from frame `first` on, which came in `parts`: number of frames and time of each."""
        slack = []
        for count, time in parts:
            slack.append(self.due(first) - time)
            first += count
        self.slack.append(min(slack))
        self.blocks += 1
        self.late_blocks += min(slack) < 0


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and max of values, and their number n."""
    if not len(values):
        return {"p50": None, "p95": None, "p99": None, "max": None, "n": 0}
    marks = np.percentile(values, [50, 95, 99, 100])
    return {**dict(zip(("p50", "p95", "p99", "max"), map(float, marks), strict=True)), "n": len(values)}


@typed
def first_seen(
    one: Float[np.ndarray, "t d"], other: Float[np.ndarray, "t d"], deviation: Float[np.ndarray, " d"]
) -> tuple[int, int] | None:
    """First frame at which two motions `[t, d]` differ visibly, and the channel in which they differ most there.

    `deviation`: that of recorded motion, `[d]`, in the same units. Returns None where they never differ visibly.
    """
    share = np.abs(one - other) / deviation
    frames = np.flatnonzero((share > SEEN).any(axis=1))
    return None if not frames.size else (int(frames[0]), int(share[frames[0]].argmax()))


def half_peak(curves: Sequence[tuple[float, np.ndarray]], step: float = 0.01) -> float | None:
    """Seconds from the event to half of the mean difference's peak; None if nothing ever differs.

    Args:
      curves: per event, the time from it to when its curve's first frame is shown, and the difference `[t]` of one
        channel from that frame on, one value per frame.
      step: grid of the mean curve in seconds.
    """
    end = min((start + len(curve) / FPS for start, curve in curves), default=0.0)
    grid = np.arange(0, end, step)
    total = np.zeros(len(grid))
    for start, curve in curves:
        shown = np.floor((grid - start) * FPS + 1e-9).astype(int)  # a frame stays until the next one is shown
        total += np.where(shown >= 0, curve[np.clip(shown, 0, len(curve) - 1)], 0.0)
    peak = np.abs(total).max(initial=0.0)
    if peak == 0:
        return None
    return float(grid[np.flatnonzero(np.abs(total) >= peak / 2)[0]])
