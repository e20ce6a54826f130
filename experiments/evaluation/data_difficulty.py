"""Contents of a simulated data set, and how hard it is to predict."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from afjax.audio.framing import FPS
from afjax.codec.face.channels import channel
from afjax.errors import InputError
from afjax.metrics import events, reactiveness
from data_pipeline.records import read_metadata, read_split
from data_pipeline.schema import EVENT_KINDS, Conversation
from experiments.evaluation import linear_baseline


def responses(clips: Sequence[Conversation], motions: Sequence[np.ndarray]) -> dict[str, float]:
    """Event response of every kind, of the voice-only kinds together, and the mean over the kinds."""
    causes = [clip.event_frames() for clip in clips]
    counts = {
        kind: np.array([events.event_counts(m, frames[kind], kind) for m, frames in zip(motions, causes, strict=True)])
        for kind in EVENT_KINDS
    }
    table = {kind: float(events.event_response({kind: counts[kind]})) for kind in EVENT_KINDS}
    voice = events.event_response({kind: counts[kind] for kind in events.VOICE_ONLY})
    return {**table, "voice_only": float(voice), "mean": float(np.nanmean(list(table.values())))}


def smile_response(clips: Sequence[Conversation], motions: Sequence[np.ndarray]) -> dict[str, float]:
    """Peak of the clip-averaged lagged correlation of the user's smile with the avatar's, and its lag in ms."""
    smile = channel("smile")
    curves = [
        reactiveness.response_curve(clip.user_motion[None, :, smile], motion[None, :, smile])
        for clip, motion in zip(clips, motions, strict=True)
    ]
    mean = np.concatenate(curves).mean(axis=0)
    return {"peak": float(mean.max()), "lag_ms": float(mean.argmax() * 1000 / FPS)}


def measure(folder: Path) -> tuple[dict, list[Conversation]]:
    """Every figure of the data set, and its evaluation clips."""
    metadata = read_metadata(folder)
    clips = list(read_split(folder, "eval"))
    if not clips or clips[0].avatar_oracle is None:
        raise InputError("the evaluation split is empty or has no oracle", folder, "build it with --eval 64")
    scale = metadata.normalizer.motion_std
    shares = {"eval": _share(clips)}
    train = []

    def training():
        for clip in read_split(folder, "train"):
            train.append(_share([clip]))
            yield clip

    weights = linear_baseline.fit(training(), scale)
    shares["train"] = float(np.mean(train))
    rows = {
        "recorded": [clip.avatar_motion for clip in clips],
        "oracle": [clip.avatar_oracle for clip in clips],
        "linear": [linear_baseline.predict(clip.user_motion, weights, scale) for clip in clips],
    }
    per_clip = {kind: float(np.mean([len(clip.event_frames()[kind]) for clip in clips])) for kind in EVENT_KINDS}
    return {
        "clips": metadata.splits,
        "listening": shares,
        "events_per_clip": per_clip,
        "event_response": {name: responses(clips, motions) for name, motions in rows.items()},
        "smile_response": {name: smile_response(clips, motions) for name, motions in rows.items()},
    }, clips


def _share(clips: Sequence[Conversation]) -> float:
    return float(np.mean([np.mean(clip.user_speaking & ~clip.avatar_speaking) for clip in clips]))
