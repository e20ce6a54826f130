"""Looks at a simulated data set: what is in it, how hard it is, and one conversation as curves and as a video.

    python -m experiments.look --data DIR --out OUT [--clip K] [--portrait face.png]

The table compares the recorded avatar with the oracle (other private noise) and with the best linear guess from the
last second of the user's motion, on the evaluation split. OUT receives `summary.json`, `curves.png`,
`contact_sheet.png` and `conversation.mp4` (user left, avatar right, both voices).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

from afjax.audio.framing import FPS
from afjax.codec.face.channels import CHANNELS, channel
from afjax.errors import InputError
from afjax.media.image import read_portrait
from afjax.metrics import events, reactiveness
from data_pipeline import baseline
from data_pipeline.records import read_metadata, read_split
from data_pipeline.schema import EVENT_KINDS, Conversation
from experiments import cli, figures
from experiments.conversation import marks, write_conversation

SHOWN = ("smile", "jaw_open", "brow_raise", "pitch", "roll", "yaw", "scale")


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
    """-> every figure of the data set, and its evaluation clips."""
    metadata = read_metadata(folder)
    clips = list(read_split(folder, "eval"))
    if not clips or clips[0].avatar_oracle is None:
        raise InputError("the evaluation split is empty or has no oracle", folder, "build it with --eval 64")
    scale = metadata.statistics.motion_std
    shares = {"eval": _share(clips)}
    train = []

    def training():
        for clip in read_split(folder, "train"):
            train.append(_share([clip]))
            yield clip

    weights = baseline.fit(training(), scale)
    shares["train"] = float(np.mean(train))
    rows = {
        "recorded": [clip.avatar_motion for clip in clips],
        "oracle": [clip.avatar_oracle for clip in clips],
        "linear": [baseline.predict(clip.user_motion, weights, scale) for clip in clips],
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


def draw(out: Path, clip: Conversation, portrait: np.ndarray | None) -> None:
    """Writes the curves of a conversation, its video and the video's contact sheet."""
    tracks = {"user": clip.user_motion, "recorded": clip.avatar_motion}
    speaking = {"user": clip.user_speaking, "avatar": clip.avatar_speaking}
    names = CHANNELS
    figures.motion_curves(out / "curves.png", tracks, names, SHOWN, events=marks(clip), speaking=speaking)
    video = out / "conversation.mp4"
    write_conversation(video, clip, clip.avatar_motion, portrait=portrait, sheet=out / "contact_sheet.png")


def main() -> None:
    if not _DATA.value or not _OUT.value:
        raise InputError("--data and --out are needed", do="--help lists the flags")
    out = cli.writable(_OUT.value, folder=True)
    portrait = read_portrait(_PORTRAIT.value) if _PORTRAIT.value else None
    summary, clips = measure(cli.absolute(_DATA.value))
    if _CLIP.value >= len(clips):
        raise InputError(f"no evaluation conversation {_CLIP.value}", do=f"--clip is 0 to {len(clips) - 1}")
    out.mkdir(parents=True, exist_ok=True)
    kinds = (*EVENT_KINDS, "voice_only", "mean")
    per_clip, table = summary["events_per_clip"], summary["event_response"]
    rows = [(kind, per_clip.get(kind, ""), *(row[kind] for row in table.values())) for kind in kinds]
    cli.print_table(rows, header=("event response", "a clip", *table))
    for name, row in summary["smile_response"].items():
        print(f"smile of {name}: peak {row['peak']:.2f} at {row['lag_ms']:.0f} ms")
    print("listening: " + ", ".join(f"{split} {share:.2f}" for split, share in summary["listening"].items()))
    cli.write_json(out / "summary.json", summary)
    draw(out, clips[_CLIP.value], portrait)
    print(f"written: {out}")


if __name__ == "__main__":
    _DATA = flags.DEFINE_string("data", None, "folder of a data set that data_pipeline.build wrote")
    _OUT = flags.DEFINE_string("out", None, "folder for tables, plots and the video")
    _CLIP = flags.DEFINE_integer("clip", 0, "number of the evaluation conversation to draw", lower_bound=0)
    _PORTRAIT = flags.DEFINE_string("portrait", "", "picture of the avatar's face; drawn if not given")
    cli.run(main)
