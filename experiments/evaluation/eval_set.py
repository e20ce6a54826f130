"""Held-out conversations through a model: the arrays of `eval.npz` and the metric table."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from afjax.audio.envelope import envelope
from afjax.avatar.avatar import Avatar
from afjax.codec.face.channels import CHANNELS
from afjax.errors import InputError
from afjax.metrics.table import report
from data_pipeline.records import read_metadata, read_split
from data_pipeline.schema import EVENT_KINDS, Conversation
from experiments.runs import divided
from experiments.runs.columns import FACE, Columns
from experiments.runs.data import check_fits, people_of

# row of the table -> what the model is given
KEPT = {
    "model": "joint",
    "model_user_dropped": "avatar",
    "model_user_motion_dropped": "avatar_and_user_audio",
    "model_user_audio_dropped": "avatar_and_user_motion",
}


SEED = 1


def held_out(folder: str | Path, channels: Sequence[str] = CHANNELS) -> list[Conversation]:
    """The evaluation split of a data set, all of one length; its motion must have these channels."""
    if read_metadata(Path(folder)).channels != tuple(channels):
        which = "the face codec's channels" if channels == CHANNELS else "the channels of the model's codec"
        raise InputError(f"the figures are of {which}", folder, "give conversations of that codec")
    clips = list(read_split(Path(folder), "eval"))
    if len(clips) < 2 or len({clip.frames for clip in clips}) != 1:
        raise InputError("evaluation needs at least two conversations of one length", folder)
    return clips


def eval_arrays(
    clips: list[Conversation], generated: Mapping[str, np.ndarray], columns: Columns = FACE
) -> dict[str, np.ndarray]:
    """All arrays from which the metrics are computed: n clips of T frames, D columns.

    Recorded conversations have no oracle, and their people may talk in several. Simulated ones draw people anew.
    """

    def stack(name):
        rows = np.stack([getattr(clip, name) for clip in clips])
        return columns.project(rows) if name in ("user_motion", "avatar_motion", "avatar_oracle") else rows

    return {
        "user": stack("user_motion"),
        "recorded": stack("avatar_motion"),
        **_either(clips, stack),
        **({} if columns is FACE else {"rest": columns.project(stack("rest"))}),
        **{name: columns.project(motion.astype(np.float32)) for name, motion in generated.items()},
        "channels": np.array(columns.names),
        "avatar_speaking": stack("avatar_speaking"),
        "user_speaking": stack("user_speaking"),
        "avatar_envelope": np.stack([envelope(clip.avatar_wave / np.float32(32768), clip.frames) for clip in clips]),
        "event_clip": np.repeat(np.arange(len(clips)), [len(clip.event_kind) for clip in clips]),
        "event_kind": np.array(EVENT_KINDS)[np.concatenate([clip.event_kind for clip in clips])],
        "event_frame": np.concatenate([clip.event_frame for clip in clips]),
    }


def _either(clips: list[Conversation], stack) -> dict[str, np.ndarray]:
    if clips[0].avatar_oracle is not None:
        return {"oracle": stack("avatar_oracle")}
    return {"people": people_of(clips)}


def speech_features(clips: list[Conversation]) -> dict[str, np.ndarray]:
    """Arrays that R-DGG needs besides `eval_arrays`; with them the table takes seconds longer per row."""
    return {name: np.stack([getattr(clip, name) for clip in clips]) for name in ("user_features", "avatar_features")}


def generate(
    run: Avatar,
    clips: Sequence[Conversation],
    seed: int = SEED,
    kept: Mapping[str, str] = KEPT,
    first: int = 0,
    reference_motion=None,
) -> dict[str, np.ndarray]:
    """Motion [n, T, D] of the model with all conditions and with parts of the user dropped; `kept` names them.

    `first`: number of the first clip; clips draw their noise by their numbers. `reference_motion`: that of the avatars,
    as for `Generator.clips`; by default the conversations' own. Several processes each make their part, and all get the
    whole. Raises InputError where the conversations do not fit the model.
    """
    check_fits(run.config, clips[0].user_motion.shape[-1], clips[0].user_features.shape[-1])
    tracks = [
        np.stack([getattr(clip, name) for clip in clips]).astype(np.float32)
        for name in ("avatar_features", "user_features", "user_motion")
    ]
    rest = np.stack([clip.rest for clip in clips]) if reference_motion is None else reference_motion
    return {
        row: divided.clips(run.generator, *tracks, rest, seed, condition_set, first)
        for row, condition_set in kept.items()
    }


def metric_table(
    arrays: Mapping[str, np.ndarray], block: int, metrics: Sequence[str] = (), columns: Columns = FACE
) -> report.Table:
    """The table of `afjax.metrics.table.report` from the arrays of `eval_arrays`; `metrics`, if any, name some alone.

    Answers to events are counted in the face codec's channels only.
    """
    events = [
        {
            kind: arrays["event_frame"][(arrays["event_clip"] == clip) & (arrays["event_kind"] == kind)]
            for kind in EVENT_KINDS
        }
        for clip in range(len(arrays["user"]))
    ]
    events = events if columns is FACE else None
    rest = arrays["rest"][:, None] if "rest" in arrays else None
    return report.evaluate(arrays, columns.channel_groups, block=block, clip_events=events, rest=rest, metrics=metrics)
