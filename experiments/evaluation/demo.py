"""The steps of `experiments.demo`: train, stream, measure, draw."""

import dataclasses
from pathlib import Path

import numpy as np

from afjax import files
from afjax.audio.framing import FPS
from afjax.avatar.runs import load_run
from afjax.avatar.shipped import shipped
from afjax.codec.face.channels import CHANNELS
from afjax.config import Config, LayoutConfig
from afjax.metrics import reactiveness
from afjax.metrics.table import report
from afjax.nn import masks
from afjax.nn.token_layout import pass_layout
from data_pipeline.schema import Conversation
from experiments import cli
from experiments.evaluation import eval_set
from experiments.report import figures, page
from experiments.report.conversation_video import marks, write_conversation
from experiments.runs.data import training_data
from experiments.runs.train import train_run

SHOWN = ("smile", "jaw_open", "pitch", "brow_raise")


def demo(config: Config, out: Path) -> tuple[dict, report.Table]:
    """Trains, streams, measures and draws into `out`; returns the summary and the metric table."""
    watch = cli.Watch()
    trained = train_run(config, out / "run")
    watch.seconds |= trained["seconds"]
    run = load_run(out / "run")
    clips = eval_set.held_out(training_data(config, out / "run"))
    with watch("stream"):
        generated = eval_set.generate(run, clips)
    arrays = eval_set.eval_arrays(clips, generated)
    with files.aside(out / "eval.npz") as path:
        np.savez_compressed(path, **arrays)
    with watch("metrics"):
        table = eval_set.metric_table(arrays, config.layout.block)
    with watch("pictures"):
        pictures = plot(out, arrays, clips[0], config.layout)
    video, sheet = out / "conversation.mp4", out / "contact_sheet.png"
    with watch("video"):
        write_conversation(video, clips[0], generated["model"][0], sheet=sheet)
    videos = [video]
    if fits_shipped(clips):
        with watch(cli.SHIPPED):
            table[cli.SHIPPED], other, picture = beside(out, clips)
        videos.append(other)
        pictures.append(picture)
    summary = {
        "workdir": out / "run",
        "seconds": watch.seconds,
        "clips": len(clips),
        "clip_seconds": clips[0].frames / FPS,
        "steps": trained["steps"],
        "parameters": trained["parameters"],
        "metrics": table,
    }
    files.write_json(out / "summary.json", summary)
    lines = (
        f"Model {trained['name']}: {trained['parameters']:,} parameters, {trained['steps']} steps on simulated "
        f"conversations. Measured with averaged weights on {len(clips)} held-out conversations of "
        f"{clips[0].frames / FPS:.0f} s.",
    )
    if videos[1:]:
        lines += (f"Beside it, in the second video and the column {cli.SHIPPED}, the model that ships with afjax.",)
    page.write(
        out / "report.html",
        table,
        title="afjax: a face that listens",
        lines=lines,
        videos=videos,
        pictures=pictures,
        seconds=watch.seconds,
    )
    return summary, table


def fits_shipped(clips: list[Conversation]) -> bool:
    """Whether a model ships that hears the conversations' features and sees their motion."""
    if cli.SHIPPED not in shipped():
        return False
    model = cli.load_avatar().config.model
    sizes = clips[0].user_motion.shape[-1], clips[0].user_features.shape[-1]
    return (model.motion_dim, model.audio_dim) == sizes


def beside(out: Path, clips: list[Conversation]) -> tuple[dict, Path, tuple[Path, str]]:
    """The model that ships: figures on the same conversations, by its own block; a video and a sheet of the first."""
    run = cli.load_avatar()
    motion = eval_set.generate(run, clips, kept={"model": "joint"})
    row = eval_set.metric_table(eval_set.eval_arrays(clips, motion), run.config.layout.block)["model"]
    video, sheet = out / f"conversation_{cli.SHIPPED}.mp4", out / f"contact_sheet_{cli.SHIPPED}.png"
    write_conversation(video, clips[0], motion["model"][0], sheet=sheet)
    return row, video, (sheet, "The conversation of the video by the model that ships.")


def plot(out: Path, arrays: dict[str, np.ndarray], clip: Conversation, layout: LayoutConfig) -> list[tuple[Path, str]]:
    """The still pictures, each with its caption."""
    peaks = {name: reactiveness.response_map(arrays["user"], arrays[name]) for name in ("recorded", "model")}
    return [
        (
            figures.response_map(out / "response_map.png", peaks, CHANNELS),
            "How every channel of the avatar answers to every channel of its user, recorded and generated.",
        ),
        (
            figures.motion_curves(
                out / "motion_curves.png",
                {"user": arrays["user"][0], "recorded": arrays["recorded"][0], "model": arrays["model"][0]},
                CHANNELS,
                SHOWN,
                events=marks(clip),
                speaking={"user": clip.user_speaking, "avatar": clip.avatar_speaking},
            ),
            "The conversation of the video: causes on the user's side, the recorded avatar's reactions, the model.",
        ),
        (
            figures.masks(out / "masks.png", mask_plots(layout), layout.block),
            "Who may attend to whom: the training masks, and the passes of a stream side by side.",
        ),
    ]


def mask_plots(layout: LayoutConfig) -> dict[str, np.ndarray]:
    """The masks worth looking at, by name; those with look-ahead show two frames where the model has none."""
    block, ahead = layout.block, layout.look_ahead or min(2, layout.block - 1)
    frames = block * max(2, 30 // block)
    return {
        "framewise": masks.framewise(frames),
        "blockwise": masks.blockwise(frames, block),
        f"blockwise, look-ahead {ahead}": masks.blockwise_lookahead(frames, block, ahead),
        f"framewise, look-ahead {ahead}": masks.framewise_lookahead(frames, ahead),
        "alignment": masks.alignment(frames, layout.alignment),
        f"passes, look-ahead {ahead}": pass_layout(
            dataclasses.replace(layout, look_ahead=ahead), frames
        ).attention_mask,
    }
