"""Pictures of a suite: responses, jitter at block edges, drift, preference margins, reaction latency, faces."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from afjax.audio.framing import FPS
from afjax.codec.face.channels import CHANNELS
from afjax.metrics import frechet, reactiveness, richness
from data_pipeline.schema import EVENT_KINDS, Conversation
from experiments.ablation.runner import CellResult
from experiments.evaluation import eval_set
from experiments.report import comparison_plots, figures
from experiments.report.conversation_video import render_tracks

WINDOW = 5 * FPS
"""Frames of a window of the drift curve."""
CLOSE = 0.1
"""Share of the first cell's figure within which another figure counts as good."""
EVALUATED = {"fd": "Fréchet distance", "event_response_smile": "event response, smile", "variance": "variance"}
"""Metrics of the frontier of evaluations, and their labels."""
SHOWN = np.arange(-10, 91, 10)
"""Frames of the faces that are drawn, from the user's smile on."""
FACE = slice(48, 208)
"""Rows and columns of a picture of 256 pixels that hold the face."""


def plot(out: Path, suite: str, first_cell: str, made: Sequence[CellResult], data: Path):
    """Draws the cells that did not fail; a picture of one model shows the first seed.

    The frontier is beside the cell named `first_cell`.
    """
    good = [one for one in made if "error" not in one.record]
    if not good:
        return
    first = [one for one in good if one.seed == good[0].seed]
    clips = eval_set.held_out(data)
    user, recorded = (np.stack([getattr(clip, name) for clip in clips]) for name in ("user_motion", "avatar_motion"))
    motions = {"recorded": recorded} | {one.cell.name: _motion(one.folder) for one in first}
    maps = {name: reactiveness.response_map(user, motion) for name, motion in motions.items()}
    figures.response_map(out / f"{suite}_responses.png", maps, CHANNELS)
    comparison_plots.bars(out / f"{suite}_jitter.png", _jitter(good), "shaking, recorded = 1")
    drift = {name: _distances(motion, recorded) for name, motion in motions.items() if name != "recorded"}
    seconds = (np.arange(recorded.shape[1] // WINDOW) + 0.5) * WINDOW / FPS
    comparison_plots.curves(
        out / f"{suite}_drift.png", {n: (seconds, d) for n, d in drift.items()}, "s", "Fréchet distance"
    )
    margins = {one.cell.name: _margins(one.folder) for one in first if one.cell.tunes}
    if margins:
        comparison_plots.curves(out / f"{suite}_margins.png", margins, "steps", "margin (below 0: prefers the winner)")
    if any(one.cell.taught_by for one in good):
        _evaluations(out / f"{suite}_evaluations.png", first_cell, good)
    measured = [one for one in good if "reaction" in one.record]
    if measured:
        _frontier(out / f"{suite}_frontier.png", first_cell, measured)
    _faces(out / f"{suite}_faces.png", clips, motions)


def _faces(path: Path, clips: Sequence[Conversation], motions: Mapping[str, np.ndarray]):
    """Draws the first smile of a held-out user that the recorded avatar answered, and every avatar's answer."""
    smile = EVENT_KINDS.index("smile")
    for number, clip in enumerate(clips):
        inside = (clip.event_frame + SHOWN[0] >= 0) & (clip.event_frame + SHOWN[-1] < clip.frames)
        answered = clip.event_frame[(clip.event_kind == smile) & (clip.event_response >= 0) & inside]
        if len(answered):
            shown = answered[0] + SHOWN
            avatars = {name: motion[number, shown] for name, motion in motions.items()}
            frames = render_tracks(clip.user_motion[shown], avatars, size=256)
            comparison_plots.strips(
                path, {name: pictures[:, FACE, FACE] for name, pictures in frames.items()}, SHOWN / FPS
            )
            return


def _motion(folder: Path) -> np.ndarray:
    with np.load(folder / "motion.npz") as stored:
        return stored["model"].astype(np.float32)


def _jitter(good: Sequence[CellResult]) -> dict[str, dict[str, float]]:
    """Means over seeds by cell, inside blocks and at their edges; NaN inside blocks of two frames, which have no
    inside.
    """
    found = {}
    for name in dict.fromkeys(one.cell.name for one in good):
        rows = [one.record["metrics"]["model"] for one in good if one.cell.name == name]
        found[name] = {
            where: float(np.mean([_or_nan(row[key]["mean"]) for row in rows]))
            for where, key in (("inside", "jitter_inside"), ("at edges", "jitter_boundary"))
        }
    return found


def _distances(motion: np.ndarray, recorded: np.ndarray) -> np.ndarray:
    """Fréchet distance of every window of the clips from all recorded frames."""
    scale = richness.scale(recorded)
    windows = range(0, motion.shape[1] - WINDOW + 1, WINDOW)
    return np.array([frechet.fd(motion[:, start : start + WINDOW] / scale, recorded / scale) for start in windows])


def _margins(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    return np.array([line["step"] for line in lines]), np.array([line["margin"] for line in lines])


def _evaluations(path: Path, first: str, good: Sequence[CellResult]):
    """Draws, per seed, what every cell's evaluations of the network per block buy."""
    panels = {}
    for metric, label in EVALUATED.items():
        places: dict[str, list] = {}
        for one in good:
            value = one.record["metrics"]["model"][metric]["mean"]
            places.setdefault(one.cell.name, []).append((one.record["evaluations"], _or_nan(value)))
        level = np.mean([up for _, up in places.get(first, [(0, np.nan)])])
        panels[label] = (places, (0 if metric == "fd" else level * (1 - CLOSE), level * (1 + CLOSE)))
    x = "evaluations of the network per block"
    comparison_plots.trades(path, panels, x, float("nan"), ticks=(1, 2, 5, 10, 20, 80))


def _frontier(path: Path, first: str, measured: Sequence[CellResult]):
    """Draws, per seed, how soon every cell answers a smile against what that costs in distance and response."""
    panels = {}
    for metric, label in (("fd", "Fréchet distance"), ("event_response_smile", "event response, smile")):
        places: dict[str, list] = {}
        for one in measured:
            wait, value = one.record["reaction"]["model"]["p50"], one.record["metrics"]["model"][metric]["mean"]
            places.setdefault(one.cell.name, []).append((_or_nan(wait), _or_nan(value)))
        level = np.mean([up for _, up in places.get(first, [(0, np.nan)])])
        panels[label] = (places, (0, level * (1 + CLOSE)) if metric == "fd" else (level * (1 - CLOSE), 1))
    people = np.median([_or_nan(one.record["reaction"]["people"]["p50"]) for one in measured])
    x = "from a smile to the first frame that differs, median, ms"
    comparison_plots.trades(path, panels, x, float(people), ticks=(250, 500, 1000, 2000, 4000))


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value
