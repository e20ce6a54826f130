"""Reaction lag: how soon a model answers its user's smile, beside the people from whom it learned."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from afjax.audio.framing import FPS
from afjax.avatar.avatar import Avatar
from afjax.codec.face.channels import USUAL_HIGH, channel
from afjax.config import LayoutConfig
from afjax.errors import InputError
from afjax.streaming import latency
from data_pipeline.schema import Conversation
from data_pipeline.simulate.conversation import answer_to_smile
from experiments import cli
from experiments.evaluation import eval_set
from experiments.runs.data import measured_on

RESPONSE = 2 * FPS
"""Frames after a smile, or after the block that sees it, in which an answer counts as one."""


CALM = FPS
"""Frames before and after a smile's beginning in which the user otherwise hardly smiles."""


HEADROOM = 0.1
"""Seconds for computing a block on two CPU cores that share a machine."""


FIRST = 4 * FPS
"""Frame of a clip from which smiles may begin: the stream is then under way, and the longest block fits before it."""


def of_run(workdir: str, data: str, out: Path, rounds: int = 4, headroom: float = HEADROOM) -> dict[str, Any]:
    """`measure` of a model on held-out conversations, its own or simulated into `out`. Raises InputError."""
    run = cli.load_avatar(workdir)
    folder = measured_on(run, data, out)
    clips = eval_set.held_out(folder)
    require_simulated(clips, folder)
    return {"workdir": run.folder, **measure(run, clips, rounds, headroom)}


def measure(run: Avatar, clips: list[Conversation], rounds: int, headroom: float = HEADROOM) -> dict[str, Any]:
    """How soon a run answers smiles: `rounds` smiles per clip, `headroom` seconds for computing a block.

    Returns percentiles of `model`, its `own` lag and `people` in ms over seen reactions, with the share of smiles seen;
    and `offset_ms` of the play-out clock, with the `earliest_ms` that a reaction can be shown on it.
    """
    layout = run.config.layout
    began = starts(layout, np.stack([calm(clip.user_motion) for clip in clips]), rounds)
    deviation = run.generator.normalizer.motion_std
    offset = latency.offset(layout, headroom)
    base = eval_set.generate(run, clips, kept={"model": "joint"})["model"]
    waits = {"own": [], "people": []}
    with cli.Progress(len(began), "smile", "rounds") as progress:
        for frames in began:
            smiling = [smiles_from(clip, frame) for clip, frame in zip(clips, frames, strict=True)]
            other = eval_set.generate(run, smiling, kept={"model": "joint"})["model"]
            for clip, one, two, frame in zip(clips, base, other, frames, strict=True):
                if frame < 0:
                    continue
                change = answer_to_smile(clip, frame, float(USUAL_HIGH[channel("smile")]))
                waits["own"].append(_wait(one, two, deviation, frame, layout.block))
                waits["people"].append(_wait(np.zeros_like(change), change, deviation, frame, 0))
            progress.update()
    waits["model"] = [None if wait is None else 1000 * offset + wait for wait in waits["own"]]
    clock = {
        "headroom_ms": 1000 * headroom,
        "offset_ms": 1000 * offset,
        "earliest_ms": latency.earliest_reaction(layout, headroom),
    }
    return clock | {who: _summary(each) for who, each in waits.items()}


def require_simulated(clips: list[Conversation], data: Path | str):
    """Raises InputError for recorded conversations: it is not known how their people answer."""
    if clips[0].avatar_oracle is None:
        raise InputError("how people answer is known of simulated conversations only", data, "give --data")


def calm(user_motion: np.ndarray) -> np.ndarray:
    """Frames of motion `[t, d]` around which the user smiles less than a quarter of a full smile, bool `[t]`.

    A user who already smiles changes little by smiling, so that the answer is late or missing. For a user who does not
    smile the two inputs differ by a full smile, as the definition asks. The calm extends CALM before a smile, since the
    avatar may still answer an earlier one.
    """
    smiles = user_motion[:, channel("smile")] > USUAL_HIGH[channel("smile")] / 4
    around = np.lib.stride_tricks.sliding_window_view(np.pad(smiles, (CALM, CALM - 1)), 2 * CALM)
    return ~around.any(axis=1)


def starts(layout: LayoutConfig, calm: np.ndarray, rounds: int) -> np.ndarray:
    """Frames `[rounds, clips]` at which smiles begin, -1 where there is no room for another; at most `rounds`.

    Each smile of a clip is in another block. All places in a block are taken equally often, as far as clips allow.
    `calm`: where smiles may begin, bool `[clips, t]`. Raises InputError where there is room for none.
    """
    rng, (clips, frames) = np.random.default_rng(0), calm.shape
    left = np.zeros_like(calm)
    left[:, FIRST : max(frames - RESPONSE, 0)] = calm[:, FIRST : max(frames - RESPONSE, 0)]
    taken, chosen = np.zeros(layout.block), np.full((rounds, clips), -1)
    for turn, clip in np.ndindex(rounds, clips):
        free = np.flatnonzero(left[clip])
        if len(free):
            frame = free[np.argmin(taken[free % layout.block] + rng.random(len(free)))]
            taken[frame % layout.block] += 1
            begin = frame - frame % layout.block
            left[clip, begin : begin + layout.block] = False
            chosen[turn, clip] = frame
    if (chosen < 0).all():
        what = f"conversations of {frames / FPS:g} s hold no smile of a user who does not smile anyway"
        raise InputError(what, do="simulate longer ones")
    return chosen[(chosen >= 0).any(axis=1)]


def smiles_from(clip: Conversation, frame: int) -> Conversation:
    """The conversation with a user who smiles as much as the channel allows from a frame on; -1: unchanged."""
    if frame < 0:
        return clip
    motion = clip.user_motion.copy()
    motion[frame:, channel("smile")] = USUAL_HIGH[channel("smile")]
    return replace(clip, user_motion=motion)


def _wait(one: np.ndarray, other: np.ndarray, deviation: np.ndarray, frame: int, before: int) -> float | None:
    """Milliseconds from a frame to the first that differs, searched from `before` frames before it on."""
    window = slice(frame - before, frame + RESPONSE)
    seen = latency.first_seen(one[window], other[window], deviation)
    return None if seen is None else 1000 * (seen[0] - before) / FPS


def _summary(waits: list[float | None]) -> dict[str, float]:
    seen = [wait for wait in waits if wait is not None]
    return {**latency.percentiles(seen), "seen": len(seen) / len(waits)}
