"""Whether the motion of long streams drifts."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from afjax import files
from afjax.audio.framing import FPS
from afjax.avatar.avatar import Avatar
from afjax.errors import InputError
from afjax.metrics import frechet
from afjax.metrics.long import minute_distances
from afjax.metrics.pretrained.networks import metric_name
from afjax.user_delay import turned
from data_pipeline.schema import Conversation
from experiments import cli
from experiments.evaluation import endless_conditions
from experiments.evaluation.portrait_identity import PortraitsUnderTest, drift_verdict
from experiments.report.drift_plot import picture
from experiments.runs.columns import Columns, columns_of
from experiments.runs.data import check_fits

MINUTE = 60 * FPS


DRAWS = 200


SEED, DRAWN_SEED = 1, 1_000_000


FRAMES, LIFE = 2, 48
"""Embedded frames per session: of each minute, and of recorded motion."""


def with_anchor(run: Avatar, seconds: float | None, band: float | None) -> Avatar:
    """The run with other anchor settings; None keeps the run's."""
    given = {"anchor_seconds": seconds, "anchor_band": band}
    sampler = replace(run.config.sampler, **{name: value for name, value in given.items() if value is not None})
    return run.with_config(replace(run.config, sampler=sampler))


def drift(run: Avatar, clips: list[Conversation], count: int, sessions: int, embed: Callable | None = None) -> dict:
    """Figures by kind: `groups` (`minute_distances.measure`), `shift` and `spread` of columns by minute, `seconds`.

    The unit of a column is its standard deviation over all recorded frames. Figures of the latent codec have `off_span`
    too; `embed` (as for `PortraitsUnderTest`) adds `identity`.
    """
    config = run.config
    check_fits(config, clips[0].user_motion.shape[-1], clips[0].user_features.shape[-1])
    if MINUTE % config.layout.block or (MINUTE - config.sampler.start_frames) % config.layout.block:
        raise InputError(f"a minute of {MINUTE} frames is not made of whole blocks of {config.layout.block}")
    codec = run.codec() if config.data.codec or embed else None
    columns = columns_of(codec)
    portraits = None if codec is None else PortraitsUnderTest(codec, sessions, embed)
    motions = [columns.project(clip.avatar_motion) for clip in clips]
    scale = np.concatenate(motions).std(axis=0, dtype=np.float64)
    scale = np.where(scale > 0, scale, 1.0)
    found = {}
    with cli.Progress(count * len(endless_conditions.KINDS), "stream", "minutes") as progress:
        for kind in endless_conditions.KINDS:
            played = endless_conditions.pieces(clips, kind)
            recorded_motion = recorded([columns.project(piece["avatar_motion"]) / scale for piece in played], sessions)
            rng, started = np.random.default_rng(SEED), time.perf_counter()
            made, outside, faces = [], [], []
            for motion in generated(run, played, portraits, count, sessions):
                part = columns.project(motion)
                made.append(frechet.moments(part / scale))
                if config.data.codec:
                    outside.append(1.0 - float(np.square(part).sum() / np.square(motion).sum()))
                if embed is not None:
                    chosen = rng.integers(MINUTE, size=(sessions, FRAMES, 1))
                    faces.append(portraits.cosines(np.take_along_axis(motion, chosen, 1)))
                progress.update()
            found[kind] = _figures(columns, np.stack(made, axis=1), recorded_motion) | {
                "seconds": time.perf_counter() - started
            }
            if config.data.codec:
                found[kind]["off_span"] = outside
            if embed is not None:
                named = {"name": metric_name("CSIM", embed.name), "others": portraits.others}
                found[kind]["identity"] = (
                    drift_verdict(np.stack(faces, 1), _recorded_faces(portraits, clips, kind), DRAWS) | named
                )
    return found


def _figures(columns: Columns, made: np.ndarray, recorded_motion: minute_distances.Recorded) -> dict:
    """Distances by group, and errors of each column's mean and deviation, from moments `[s, m, c, c + 1]`."""
    shifts, spreads = minute_distances.shift(made.mean(axis=0), recorded_motion)
    return {
        "groups": {
            name: minute_distances.measure(made, recorded_motion, [columns.names.index(column) for column in names])
            for name, names in columns.groups.items()
        },
        "shift": dict(zip(columns.names, shifts.T, strict=True)),
        "spread": dict(zip(columns.names, spreads.T, strict=True)),
    }


def _recorded_faces(portraits: PortraitsUnderTest, clips: list[Conversation], kind: str) -> np.ndarray:
    """Cosines `[sessions, LIFE]` of the portraits under random recorded frames of a kind."""
    speaks = kind == "speaking"
    frames = np.concatenate([clip.avatar_motion[clip.avatar_speaking == speaks] - clip.rest for clip in clips])
    chosen = np.random.default_rng(DRAWN_SEED).integers(len(frames), size=(portraits.sessions, LIFE))
    return portraits.cosines_of_relative_motion(frames[chosen])


def generated(
    run: Avatar, played, portraits: PortraitsUnderTest | None, count: int, sessions: int
) -> Iterator[np.ndarray]:
    """Yields minute after minute `[sessions, MINUTE, d]` of the model's motion.

    A user delay makes the user's tracks late within each piece.
    """
    generator, delay = run.generator, run.config.layout.user_delay
    late = [turned(piece, delay) for piece in played]
    chain = endless_conditions.Chain(late, sessions, SEED)
    state = generator.begin(sessions, SEED, reference_motion=0.0 if portraits is None else portraits.references)
    first = run.config.sampler.start_frames
    for _ in range(count):
        tracks = chain.take(MINUTE)
        given = (tracks[name] for name in ("avatar_features", "user_features", "user_motion"))
        motion, state = generator.go_on(state, *given, first)
        first = 0
        yield motion


def recorded(motions: Sequence[np.ndarray], sessions: int, draws: int = DRAWS) -> minute_distances.Recorded:
    """Pooled moments of halves of the pieces `[T_i, d]`, and of minutes chained from them like the conditions."""
    motions = [{"avatar_motion": motion} for motion in motions]
    of_piece = np.concatenate([frechet.moments(piece["avatar_motion"][None]) for piece in motions])
    weights = np.array([len(piece["avatar_motion"]) for piece in motions], float)
    references, drawn = [], []
    for draw in range(draws):
        order = np.random.default_rng((DRAWN_SEED, draw)).permutation(len(motions))
        halves = np.array_split(order, 2)
        references.append(np.average(of_piece[halves[0]], axis=0, weights=weights[halves[0]]))
        takes = (
            endless_conditions.Chain([motions[i] for i in half], sessions, DRAWN_SEED + 2 * draw + side).take(MINUTE)
            for side, half in enumerate(halves)
        )
        drawn.append([frechet.moments(taken["avatar_motion"]).mean(axis=0) for taken in takes])
    return minute_distances.Recorded(np.array(references), np.array(drawn))


HEADER = ("", "first", "last", "band", "", "slope per minute", "from the first", "band", "", "slope per minute")


def rows(conditions: dict) -> list[tuple]:
    """Rows per kind and group, and per kind's identity."""
    lines = [
        (f"{kind}, {group}", *_cells(figures["to_recorded"], first=True), *_cells(figures["to_first"]))
        for kind, found in conditions.items()
        for group, figures in found["groups"].items()
    ]
    faces = {kind: found["identity"] for kind, found in conditions.items() if "identity" in found}
    empty = ("",) * (len(HEADER) - 6)
    return lines + [(f"{kind}, {one['name']}", *_cells(one, first=True), *empty) for kind, one in faces.items()]


def _cells(figure: dict, first: bool = False) -> tuple:
    track, (low, high), slope = figure["minutes"], figure["band"], figure["slope"]
    cells = (
        f"{track[-1]:.3f}",
        f"{low:.3f} .. {high:.3f}",
        "inside" if figure["inside"] else "OUTSIDE",
        f"{slope['mean']:+.4f} [{slope['low']:+.4f}, {slope['high']:+.4f}]",
    )
    return (f"{track[0]:.3f}", *cells) if first else cells


def write(out: Path, summary: dict):
    """Writes the files of the command."""
    conditions = summary["conditions"]
    lines = ["distances from the recorded distribution, then what channels' means are off, in standard deviations"]
    for kind, found in conditions.items():
        columns = {group: figures["to_recorded"]["minutes"] for group, figures in found["groups"].items()}
        if "identity" in found:
            columns[found["identity"]["name"]] = found["identity"]["minutes"]
        columns |= {"off span": found["off_span"]} if "off_span" in found else {}
        columns |= found["shift"]
        lines += ["", f"{kind:10}" + "".join(f"{name:>13}" for name in columns)]
        for minute, row in enumerate(zip(*columns.values(), strict=True)):
            lines.append(f"{minute + 1:10d}" + "".join(f"{value:13.3f}" for value in row))
    with files.aside(out / "table.txt") as path:
        path.write_text("\n".join(lines) + "\n")
    picture(out / "drift.png", conditions)
    files.write_json(out / "summary.json", summary)
