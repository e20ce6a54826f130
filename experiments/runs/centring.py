"""Centring: the bias of a model's head, set so that its streams have the mean of what was recorded.

Training shows a model recorded pasts alone, so it learns what the next block is after those. A stream's past is its
own, and a small bias b of its blocks adds up: where motion returns by a share r of the way per block, the stream's mean
is off by b / r. That is many times b for the pose of a head, which hardly returns.

The head predicts the velocity v = noise - motion (`afjax.diffusion.path`), so that a constant c added to its bias takes
c from every block, whatever the noise level and the guidance, whose weights add up to 1. Per channel, in deviations of
the recorded motion, with the same noise in all streams:

    e(c) = mean of streams - mean of recorded       e(c) is about e(0) - g c
    c1 = e(0) / G                                   a first move by a gain that is about right
    g  = (e(0) - e(c1)) / c1                        the gain as it is
    c2 = c1 + e(c1) / g
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from afjax.avatar.avatar import Avatar
from afjax.avatar.features import require_same
from afjax.errors import InputError
from afjax.streaming.generator import Generator
from data_pipeline.records import read_metadata, read_split
from data_pipeline.schema import Conversation
from experiments.runs import divided
from experiments.runs.data import check_codec, check_fits

FIRST_GAIN = 4.0
"""G: between the gain of a face (2 to 3) and that of a head's pose (6 to 8), as measured on the listener."""
MOST = 512
"""Most conversations by which a model is centred: e has a standard error of about a third of a deviation by the root of
their number."""
GAINS = (1.0, 16.0)
"""Range of a gain: a constant moves a block by itself at least, and channels that hardly moved say nothing."""


def training_clips(run: Avatar, data: Path) -> list[Conversation]:
    """Training conversations of a folder, MOST at most. Raises InputError for those that the model can't be given."""
    metadata = read_metadata(data)
    check_fits(run.config, len(metadata.channels), metadata.feature_dim, data)
    check_codec(run, metadata, data)
    require_same(run.features, metadata.features, data)
    clips = list(islice(read_split(data, "train"), MOST))
    if len({clip.frames for clip in clips}) != 1:
        raise InputError("the training conversations are not all of one length", data, "build them with one --seconds")
    return clips


def centred(run: Avatar, clips: list[Conversation], seed: int = 0) -> tuple[Avatar, np.ndarray]:
    """The model with its head's bias moved, and e `[3, d]`: before, after the first move, after the second.

    `clips` are recorded conversations of one length. They should not be those by which the model is measured.
    """
    error = off(run, clips, seed)
    before = error(np.zeros_like(run.normalizer.motion_std))
    first = before / FIRST_GAIN
    halfway = error(first)
    gain = np.clip((before - halfway) / np.where(first == 0.0, 1.0, first), *GAINS)
    second = first + halfway / gain
    return moved(run, second), np.stack([before, halfway, error(second)])


def off(run: Avatar, clips: list[Conversation], seed: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """The function e of the head's further bias c `[d]`: how far the mean of streams is from the recorded one."""
    tracks = [
        np.stack([getattr(clip, name) for clip in clips]).astype(np.float32)
        for name in ("avatar_features", "user_features", "user_motion")
    ]
    rest = np.stack([clip.rest for clip in clips])
    recorded = np.stack([clip.avatar_motion for clip in clips]).mean(axis=(0, 1), dtype=np.float64)

    generator = moved(run, np.zeros_like(recorded)).generator  # one for all, since each is compiled

    def error(bias: np.ndarray) -> np.ndarray:
        generator.params = _moved(run, bias)
        made = divided.clips(generator, *tracks, rest, seed)
        return (made.mean(axis=(0, 1), dtype=np.float64) - recorded) / run.normalizer.motion_std

    return error


def moved(run: Avatar, bias: np.ndarray) -> Avatar:
    """The model with c `[d]` added to its head's bias."""
    old = run.generator
    return replace(run, generator=Generator(old.config, _moved(run, bias), old.normalizer, old.absolute))


def _moved(run: Avatar, bias: np.ndarray) -> dict:
    params = run.generator.params["params"]
    head = params["head"] | {"bias": params["head"]["bias"] + np.asarray(bias, np.float32)}
    return {**run.generator.params, "params": params | {"head": head}}
