"""Windows of held-out conversations for the probe of a training (`afjax.training.generator.probe`).

Windows lie at fixed places: WINDOWS for the losses, evenly over all clips, and up to EVENT_WINDOWS per kind of event,
evenly over the events. Only they are read. Only motion of the face codec has events and groups of channels.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from afjax.codec.face.channels import CHANNELS, EXPRESSION, POSE, channel
from afjax.config import Config
from afjax.metrics.events import EVENTS
from afjax.training.generator.probe import EventWindows, Windows, make_probe, places
from data_pipeline.records import Metadata
from data_pipeline.schema import EVENT_KINDS
from data_pipeline.shards import open_split
from data_pipeline.windows import Clip, Place, ReadWindow

WINDOWS, EVENT_WINDOWS = 64, 32
FEWEST = 4
"""Least number of events of a kind; an average of fewer says nothing."""


def held_out_probe(config: Config, folder: Path, metadata: Metadata) -> Callable[[dict], dict] | None:
    """The probe of a run whose records are in `folder`; None where no held-out clip is as long as a window."""
    frames = config.data.window
    split = open_split(folder, "eval")
    clips = [Clip(split, int(number), "") for number in np.flatnonzero(split.frames >= frames)]
    if not clips:
        return None
    read = ReadWindow(frames, config.layout.user_delay, earlier=config.model.earlier_frames)
    step = metadata.features.get("block", 1)  # features of a stream's blocks: windows begin where blocks do

    def window(clip: int, start: int) -> Windows:
        found = read.map(Place(clips[clip], start, False, None))
        del found["window"]
        return metadata.normalizer.scale(found)

    windows = stack([window(clip, start // step * step) for clip, start in even(clips, frames)])
    if metadata.channels != CHANNELS:
        return make_probe(config, windows, {}, {})
    answers, events = {}, [clip.piece(0, 0) for clip in clips]
    for kind, detector in EVENTS.items():
        number = EVENT_KINDS.index(kind)
        causes = [(n, int(at)) for n, one in enumerate(events) for at in one.event_frame[one.event_kind == number]]
        found = around(clips, causes, frames, config.layout.block, step)
        if len(found) >= FEWEST:
            cuts = stack([window(clip, start) for clip, start, _ in found])
            answers[kind] = EventWindows(cuts, np.array([place for *_, place in found]), channel(detector.channel))
    groups = {"expression": EXPRESSION, "pose": POSE}
    groups = {name: np.array([channel(one) for one in members]) for name, members in groups.items()}
    return make_probe(config, windows, answers, groups)


def even(clips: Sequence[Clip], frames: int) -> list[tuple[int, int]]:
    """Clip and first frame of WINDOWS windows: equally many per clip, evenly over its length."""
    each = -(-WINDOWS // len(clips))
    chosen = spread([(clip, turn) for turn in range(each) for clip in range(len(clips))], WINDOWS)
    return [(clip, (2 * turn + 1) * (clips[clip].frames - frames) // (2 * each)) for clip, turn in chosen]


def around(
    clips: Sequence[Clip], causes: Sequence[tuple[int, int]], frames: int, block: int, step: int = 1
) -> list[tuple[int, int, int]]:
    """Clip, first frame, and the event's frame in the window, of up to EVENT_WINDOWS windows around `causes`.

    `causes`: clip and frame of each. First frames are multiples of `step`.
    """
    turns, after = places(frames, block, len(causes))
    starts = [(frame - int(place)) // step * step for (_, frame), place in zip(causes, turns, strict=True)]
    found = [(clip, start, frame - start) for (clip, frame), start in zip(causes, starts, strict=True)]
    whole = [one for one in found if after > 0 and one[1] >= 0 and one[1] + frames <= clips[one[0]].frames]
    return spread(whole, EVENT_WINDOWS)


def spread(entries: list, count: int) -> list:
    """`count` of the entries, evenly over all, or all if there are fewer."""
    if len(entries) <= count:
        return entries
    return [entries[int(place)] for place in np.linspace(0, len(entries) - 1, count).round()]


def stack(windows: Sequence[Windows]) -> Windows:
    """Windows as one array per track."""
    return {name: np.stack([window[name] for window in windows]).astype(np.float32) for name in windows[0]}
