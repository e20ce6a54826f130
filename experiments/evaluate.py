"""Measures a trained model, or finished videos of any system.

    python -m experiments.evaluate --workdir out/demo/run --talking_only out/talking_only --out out/evaluation
    python -m experiments.evaluate --user_video user.mp4 --generated_video generated.mp4 --out out/evaluation
    python -m experiments.evaluate --user_video users/ --recorded_video recorded/ --generated_video generated/ --out ...

A model is measured on the held-out conversations of `--data`, by default those that it came with, R-DGG included (a
minute or two). Videos are files, or folders of files that have the same name; faces are tracked, and clips are cut into
pieces of `--piece` seconds, which serve as clips for intervals and shuffled users. Without recorded videos there is
nothing to compare with: the table then holds what can be said of the generated motion alone. Writes `eval.npz`,
`summary.json` and `table.txt`.
"""

from pathlib import Path

import numpy as np
from absl import flags

from afjax.audio.framing import FPS
from afjax.errors import InputError
from afjax.metrics import report
from data_pipeline.sources import first
from experiments import cli, evaluation, video_motion
from experiments.runs import load_run

ALONE = ("response_peak_", "response_lag_", "lip_envelope_", "sid", "constant_tracks")
"""Starts of the names of metrics that need no recorded avatar."""


def main():
    out = cli.writable(_OUT.value or "out/evaluation", folder=True)
    if _GENERATED.value:
        if not _USER.value:
            raise InputError("--user_video is missing", do="name the videos that the avatar listened to")
        arrays, table, notes = of_videos(_USER.value, _GENERATED.value, _RECORDED.value, _PIECE.value, _BLOCK.value)
    elif _WORKDIR.value:
        arrays, table, notes = of_model(_WORKDIR.value, _DATA.value, _TALKING_ONLY.value)
    else:
        raise InputError("there is nothing to measure", do="give --workdir, or --user_video and --generated_video")
    write(out, arrays, table, notes)
    print(report.text(table))
    for note in notes:
        print(f"note: {note}")
    print(f"written: {out}")


def of_model(workdir: str, data: str = "", talking_only: str = ""):
    """Arrays, table and notes of a run folder; `talking_only`, another one, adds its row."""
    run = load_run(workdir)
    data = cli.absolute(data or first(run.config.data.path) or cli.absolute(workdir) / "data")
    clips = evaluation.held_out(data)
    generated = evaluation.generate(run, clips)
    if talking_only:
        generated["talking_only"] = evaluation.generate(load_run(talking_only), clips, kept={"model": "avatar"})[
            "model"
        ]
    arrays = evaluation.eval_arrays(clips, generated) | evaluation.speech_features(clips)
    table = evaluation.metric_table(arrays, run.config.layout.block)
    return arrays, table, [f"{len(clips)} conversations of {clips[0].frames / FPS:.0f} s, {data}", *_blind(table)]


def of_videos(user: str, generated: str, recorded: str = "", piece: float = 5.0, block: int = 10):
    """Arrays, table and notes of videos; `block`, frames, says where the generator's blocks meet."""
    tracks, notes = video_motion.pieces({"user": user, "generated": generated, "recorded": recorded}, piece)
    count, frames = tracks["user"].shape[:2]
    arrays = {
        "user": tracks["user"],
        "recorded": tracks.get("recorded", tracks["generated"]),
        "partner": np.roll(np.arange(count), 1),
        "channels": np.array(evaluation.CHANNELS),
        "avatar_speaking": np.zeros((count, frames), bool),
    }
    if "recorded" in tracks:
        arrays["model"] = tracks["generated"]
    vocabulary = report.Vocabulary(evaluation.EXPRESSION, evaluation.POSE)
    table = report.evaluate(arrays, vocabulary, block=block)
    if "recorded" not in tracks:
        table = {
            name: {metric: value for metric, value in table[row].items() if metric.startswith(ALONE)}
            for name, row in (("model", "recorded"), ("model_shuffled", "shuffled"), ("frozen", "frozen"))
        }
        notes.append("without recorded videos only the generated motion itself is measured")
    return arrays, table, notes


def _blind(table: report.Table) -> list[str]:
    return [
        f"{name} does not tell recorded from shuffled conversations here: no evidence" for name in report.blind(table)
    ]


def write(out: Path, arrays: dict[str, np.ndarray], table: report.Table, notes: list[str]):
    """The files of an evaluation."""
    with cli.aside(out / "eval.npz") as path:
        np.savez_compressed(path, **arrays)
    with cli.aside(out / "table.txt") as path:
        path.write_text(report.text(table) + "\n")
    cli.write_json(out / "summary.json", {"notes": notes, "clips": len(arrays["user"]), "metrics": table})


if __name__ == "__main__":
    _WORKDIR = flags.DEFINE_string("workdir", "", "Run folder of a trained model.")
    _DATA = flags.DEFINE_string("data", "", "Folder of conversations; without it the model's own.")
    _TALKING_ONLY = flags.DEFINE_string("talking_only", "", "Run folder of a talking-only model, a row of the table.")
    _USER = flags.DEFINE_string("user_video", "", "Video of the user, or a folder of them.")
    _GENERATED = flags.DEFINE_string("generated_video", "", "Generated video of the avatar, or a folder of them.")
    _RECORDED = flags.DEFINE_string("recorded_video", "", "Video of what a real listener did, or a folder of them.")
    _PIECE = flags.DEFINE_float("piece", 5.0, "Seconds of the pieces that videos are cut into.", lower_bound=2.0)
    _BLOCK = flags.DEFINE_integer("block", 10, "Frames of the generator's blocks.", lower_bound=2)
    _OUT = flags.DEFINE_string("out", "", "Folder of the results; out/evaluation without it.")
    cli.run(main)
