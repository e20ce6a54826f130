"""The whole way: trains the quickstart model, streams held-out conversations, measures and shows them.

    python -m experiments.demo --out out/demo
    python -m experiments.demo --out out/ahead --config.layout.look_ahead=2      # any setting, measured the same way

Writes to `--out`: `run/` (the trained model), `conversation.mp4` (user left, avatar right, each voice in its channel),
`contact_sheet.png`, `masks.png`, `response_map.png`, `motion_curves.png`, `report.html`, `eval.npz` and `summary.json`.
Started again it continues an unfinished training and makes the rest anew. The conversation shown is the first
held-out one, with the noise of a fixed seed.
"""

import dataclasses
from pathlib import Path

import numpy as np
from absl import flags

from afjax.audio.framing import FPS
from afjax.codec.face.channels import CHANNELS
from afjax.config import Config, LayoutConfig, from_dict
from afjax.metrics import reactiveness, report
from afjax.nn import masks
from afjax.nn.passes import pass_layout
from data_pipeline.schema import Conversation
from experiments import cli, evaluation, figures, report_html
from experiments.conversation import marks, write_conversation
from experiments.runs import load_run
from experiments.training import train_run, training_data

SHOWN = ("smile", "jaw_open", "pitch", "brow_raise")


def main():
    out = cli.writable(_OUT.value, folder=True)
    summary, table = demo(from_dict(_CONFIG.value.to_dict()), out)
    print(report.text(table))
    for name in report.blind(table):
        print(f"note: {name} does not tell recorded from shuffled conversations here, so it is no evidence")
    cli.print_table([(stage, round(seconds, 1)) for stage, seconds in summary["seconds"].items()], ("stage", "s"))
    print(f"written: {out}")


def demo(config: Config, out: Path) -> tuple[dict, report.Table]:
    """Trains, streams, measures and draws into `out`; returns the summary and the metric table."""
    watch = cli.Watch()
    trained = train_run(config, out / "run")
    watch.seconds |= trained["seconds"]
    run = load_run(out / "run")
    clips = evaluation.held_out(training_data(config, out / "run"))
    with watch("stream"):
        generated = evaluation.generate(run, clips)
    arrays = evaluation.eval_arrays(clips, generated)
    with cli.aside(out / "eval.npz") as path:
        np.savez_compressed(path, **arrays)
    with watch("metrics"):
        table = evaluation.metric_table(arrays, config.layout.block)
    with watch("pictures"):
        pictures = draw(out, arrays, clips[0], config.layout)
    video, sheet = out / "conversation.mp4", out / "contact_sheet.png"
    with watch("video"):
        write_conversation(video, clips[0], generated["model"][0], sheet=sheet)
    summary = {
        "workdir": out / "run",
        "seconds": watch.seconds,
        "clips": len(clips),
        "clip_seconds": clips[0].frames / FPS,
        "steps": trained["steps"],
        "parameters": trained["parameters"],
        "metrics": table,
    }
    cli.write_json(out / "summary.json", summary)
    lines = (
        f"Model {trained['name']}: {trained['parameters']:,} parameters, {trained['steps']} steps on simulated "
        f"conversations. Measured with averaged weights on {len(clips)} held-out conversations of "
        f"{clips[0].frames / FPS:.0f} s.",
    )
    report_html.write(
        out / "report.html",
        table,
        title="afjax: a face that listens",
        lines=lines,
        video=video,
        pictures=pictures,
        seconds=watch.seconds,
    )
    return summary, table


def draw(out: Path, arrays: dict[str, np.ndarray], clip: Conversation, layout: LayoutConfig) -> list[tuple[Path, str]]:
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
            figures.masks(out / "masks.png", drawn_masks(layout), layout.block),
            "Who may attend to whom: the training masks, and the passes of a stream side by side.",
        ),
    ]


def drawn_masks(layout: LayoutConfig) -> dict[str, np.ndarray]:
    """The masks worth looking at, by name; those with look-ahead show two frames where the model has none."""
    block, ahead = layout.block, layout.look_ahead or min(2, layout.block - 1)
    frames = block * max(2, 30 // block)
    return {
        "framewise": masks.framewise(frames),
        "blockwise": masks.blockwise(frames, block),
        f"blockwise, look-ahead {ahead}": masks.blockwise_lookahead(frames, block, ahead),
        f"framewise, look-ahead {ahead}": masks.framewise_lookahead(frames, ahead),
        "alignment": masks.alignment(frames, layout.alignment),
        f"passes, look-ahead {ahead}": pass_layout(dataclasses.replace(layout, look_ahead=ahead), frames).attention,
    }


if __name__ == "__main__":
    _OUT = flags.DEFINE_string("out", "out/demo", "Folder for everything.")
    _CONFIG = cli.define_config("config", Path(__file__).parent / "configs" / "quickstart.py")
    cli.run(main)
