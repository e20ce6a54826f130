"""Metric tables of a model, or of finished videos."""

from pathlib import Path

import jax
import numpy as np

from afjax import files
from afjax.audio.framing import FPS
from afjax.metrics.table import report
from afjax.training import sharding
from data_pipeline.schema import Conversation
from experiments import cli
from experiments.evaluation import eval_set, video_motion
from experiments.runs.columns import FACE, columns_of
from experiments.runs.data import groups_of, measured_on

ALONE = ("response_peak_", "response_lag_", "lip_envelope_", "sid", "constant_tracks")
"""Starts of the names of metrics that need no recorded avatar."""


def of_model(workdir: str, data: str = "", talking_only: str = "", out: Path | None = None, clips: int = 0):
    """Arrays, table and notes of a run folder, or of the model that ships; the model `talking_only` adds its row.

    `out` and `clips`: as for `measured_on`. Several processes generate; those after the first wait for its table and
    get nothing.
    """
    run = cli.load_avatar(workdir)
    with sharding.first_process_first("conversations"):
        data = measured_on(run, data, out, clips)
    columns = columns_of(run.codec() if run.config.data.codec else None)
    clips = eval_set.held_out(data, columns.channels)
    generated = eval_set.generate(run, clips)
    if talking_only:
        generated["talking_only"] = _deaf(talking_only, clips)
    if jax.process_index() > 0:
        sharding.together("table")
        return {}, {}, []
    arrays = eval_set.eval_arrays(clips, generated, columns) | eval_set.speech_features(clips)
    table = eval_set.metric_table(arrays, run.config.layout.block, columns=columns)
    sharding.together("table")
    people = groups_of(clips)
    notes = _few(len(set(people))) or _blind(table)
    return arrays, table, [f"{len(clips)} conversations of {clips[0].frames / FPS:.0f} s, {data}", *notes]


def _deaf(workdir: str, clips: list[Conversation]) -> np.ndarray:
    return eval_set.generate(cli.load_avatar(workdir), clips, kept={"model": "avatar"})["model"]


def of_videos(
    user: str,
    generated: str,
    recorded: str = "",
    piece: float = 5.0,
    block: int = 10,
    read: video_motion.Reader | None = None,
):
    """Arrays, table and notes of videos; `block`: frames of the generator's blocks.

    `read`: as for `video_motion.pieces`.
    """
    found = video_motion.pieces({"user": user, "generated": generated, "recorded": recorded}, piece, read)
    motion, notes = found.motion, found.notes
    arrays = {
        "user": motion["user"],
        "recorded": motion.get("recorded", motion["generated"]),
        "people": np.stack([2 * found.clip, 2 * found.clip + 1], axis=1),
        "channels": np.array(eval_set.CHANNELS),
        **_speech(found),
    }
    if "recorded" in motion:
        arrays["model"] = motion["generated"]
    table = report.evaluate(arrays, FACE.channel_groups, block=block)
    if "recorded" not in motion:
        table = {
            name: {metric: value for metric, value in table[row].items() if metric.startswith(ALONE)}
            for name, row in (("model", "recorded"), ("model_shuffled", "shuffled"), ("frozen", "frozen"))
            if row in table
        }
        notes.append("without recorded videos only the generated motion itself is measured")
    return arrays, table, [*notes, *_few(len(set(found.clip)))]


def _few(groups: int) -> list[str]:
    """Notes on what few groups of people can't tell."""
    if groups < 2:
        return ["one conversation: no other user to shuffle with, and nothing to take an interval over"]
    if 2 / 2**groups >= report.LEVEL:
        return [f"{groups} groups of people: no p-value can be below {2 / 2**groups:.2g}, too few to tell chance apart"]
    return []


def _speech(found: video_motion.Pieces) -> dict[str, np.ndarray]:
    """Arrays of both voices for the metrics; the avatar's is that of the recorded videos, else of the generated."""
    role = next((role for role in ("recorded", "generated") if role in found.sound), "")
    if not role:
        found.notes.append("not all of the avatar's videos have sound: lips are not measured")
        return {"avatar_speaking": np.zeros(found.motion["user"].shape[:2], bool)}
    avatar = found.sound[role]
    speech = {"avatar_speaking": avatar["speaking"], "avatar_envelope": avatar["envelope"]}
    found.notes.append(f"the avatar's speech is what is heard in the {role} videos")
    if user := found.sound.get("user"):
        speech |= {"user_speaking": user["speaking"], "user_features": user["features"]}
        speech["avatar_features"] = avatar["features"]
    return speech


def _blind(table: report.Table) -> list[str]:
    return [
        f"{name} does not tell recorded from shuffled conversations here: no evidence"
        for name in report.not_discriminative(table)
    ]


def write(out: Path, arrays: dict[str, np.ndarray], table: report.Table, notes: list[str]):
    """Writes the files of an evaluation."""
    with files.aside(out / "eval.npz") as path:
        np.savez_compressed(path, **arrays)
    with files.aside(out / "table.txt") as path:
        path.write_text(report.text(table) + "\n")
    summary = {"notes": notes, "warnings": cli.said(), "clips": len(arrays["user"]), "metrics": table}
    files.write_json(out / "summary.json", summary)
