"""Reactions of a model to the people of real clips: from videos to the figures of `afjax.metrics.real_response`.

A clip shows the user, tracked as a webcam is and heard with its own sound; the avatar is silent. Seeds are generated
side by side, once with the user and once without.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from afjax import files
from afjax.audio.envelope import speaking
from afjax.audio.feature_extractors import silence
from afjax.audio.framing import FPS
from afjax.avatar.avatar import Avatar
from afjax.config import condition_set_name
from afjax.errors import InputError
from afjax.media.video import VideoInfo, read_frames
from afjax.metrics import real_response
from afjax.metrics.real_response import BARS, CHANNELS, Clip, Episode
from data_pipeline.simulate.portrait.draw import paint_portrait
from experiments import cli
from experiments.report.face_sheet import sheet
from experiments.talk.inputs import Inputs, fit, identity_of, read_inputs, track_user

__all__ = ["LABELS", "episodes_of", "measure", "of_videos", "rows", "strip"]

LABELS = Path(__file__).with_name("episodes.json")
"""Labels of clips by eye, in seconds; `kind`: smile, laugh, slight (a hint of a smile: neither a smile nor calm) or
talk
(without a smile). A clip that is not in it is measured without episodes."""
SHORTEST = 3.0
"""Seconds of a clip that can be measured."""
STRIP_SECONDS, STRIP_SIDE, STRIP_COLUMNS = 0.4, 128, 20


def of_videos(workdir: str, videos: Sequence[str], seeds: int, picture: Path | None = None) -> dict[str, Any]:
    """`real_response.measure` of a model that watches the users of videos, with `bars`, `passed`, notes and warnings.

    picture: PNG to write of user over avatar. Raises InputError.
    """
    paths = [files.absolute(video).resolve() for video in videos]
    if not paths:
        raise InputError("--user_video is missing", do="name the video of a user, once for each of several")
    if len(set(paths)) < len(paths):
        raise InputError("a --user_video is named twice", do="name each once: the others are its null")
    inputs = [read_inputs("", str(path), "", "") for path in paths]
    for path, one in zip(paths, inputs, strict=True):
        if one.frames < SHORTEST * FPS:
            raise InputError(
                f"is {one.frames / FPS:.1f} s long", path, f"clips of {SHORTEST:g} s and more are measured"
            )
    run = cli.load_avatar(workdir)
    codec = run.codec()
    missing = [name for name in CHANNELS if name not in codec.channels]
    if missing:
        raise InputError(f"the model's motion has no {missing[0]}", workdir, "measure a model of the face codec")
    identity = None if picture is None else identity_of(codec, paint_portrait(0), 0, "portrait", [])
    at = [codec.channels.index(name) for name in CHANNELS]
    clips, shown, said = [], [], {}
    for n, (path, one) in enumerate(zip(paths, inputs, strict=True)):
        name = "/".join(path.parts[-2:])
        doubts = list(one.warnings)
        user, _ = track_user(codec, one.video, one.frames, doubts)
        avatar, alone = (generate(run, one, user, seeds, n, seen) for seen in (True, False))
        episodes = episodes_of(name, one.frames)
        if episodes is None:
            doubts.append(f"nobody has labelled its smiles ({LABELS.name}): it counts without episodes")
        silent = one.user_wave is None
        speech = np.zeros(one.frames, bool) if silent else speaking(fit(one.user_wave, one.frames), one.frames)
        clips.append(Clip(name, user[:, at], avatar[..., at], alone[..., at], speech, episodes))
        shown.append(avatar[0])
        said[name] = [*one.notes, *doubts]
    found = measure(clips)
    if picture is not None:
        pairs = [(one.video, clip, motion) for one, clip, motion in zip(inputs, clips, shown, strict=True)]
        strip(picture, codec, identity, pairs)
    return {
        "workdir": run.folder,
        "seeds": seeds,
        **found,
        "said": {name: lines for name, lines in said.items() if lines},
    }


def measure(clips: Sequence[Clip]) -> dict[str, Any]:
    """`real_response.measure` with the `bars`, and with `passed`, whether each is met."""
    found = real_response.measure(clips)
    bars = {name: {"least": low, "most": high} for name, (low, high) in BARS.items()}
    return {**found, "bars": bars, "passed": real_response.verdicts(found["figures"])}


def generate(run: Avatar, one: Inputs, user: np.ndarray, seeds: int, key: int, seen: bool) -> np.ndarray:
    """Motion `[s, t, d]` of a silent avatar that sees the user `[t, d]` of a clip, or none.

    A key has the same seeds with and without a user. Clips have keys of their own, so that no mood is in all of them.
    """
    hears = one.user_wave is not None
    features = [
        run.features.clip(silence(one.frames), one.frames),
        np.zeros((one.frames, run.features.dim), np.float32),
    ]
    if hears and seen:
        features[1] = run.features.clip(one.user_wave, one.frames)
    condition_set = condition_set_name(run.hears_silence, hears and seen, seen)
    sides = [np.repeat(rows[None], seeds, axis=0) for rows in (*features, user if seen else np.zeros_like(user))]
    return run.generator.clips(*sides, seed=key, condition_set=condition_set)


def episodes_of(name: str, frames: int, labels: Path = LABELS) -> tuple[Episode, ...] | None:
    """Labels by eye of the clip FOLDER/FILE; None where nobody has looked."""
    found = [each for each in json.loads(labels.read_text()) if each["clip"] == name]
    cut = [Episode(round(e["start"] * FPS), min(round(e["end"] * FPS), frames), e["kind"]) for e in found]
    return tuple(each for each in cut if each.start < frames) if found else None


def strip(path: Path, codec, identity, pairs: Sequence[tuple[VideoInfo, Clip, np.ndarray]]):
    """Writes a PNG of users over an avatar, one frame per 0.4 s; pairs: a video, its clip, motion `[t, d]`."""
    step, pictures, words = round(STRIP_SECONDS * FPS), [], []
    for video, clip, motion in pairs:
        frames = np.arange(0, clip.frames, step)
        above = [_square(frame) for n, frame in enumerate(read_frames(video, 4 * STRIP_SIDE)) if n % step == 0]
        below = [_square(frame) for frame in codec.render(identity, motion[frames])]
        pictures += [np.concatenate(pair) for pair in zip(above, below, strict=True)]
        kinds = {kind: clip.marked((kind,)) for kind in real_response.KINDS}
        words += [" ".join([f"{n / FPS:.1f}", *(kind for kind, at in kinds.items() if at[n])]) for n in frames]
        rest = -len(pictures) % STRIP_COLUMNS
        pictures += [np.full((2 * STRIP_SIDE, STRIP_SIDE, 3), 255, np.uint8)] * rest
        words += [""] * rest
    with files.aside(path) as unfinished:
        sheet(unfinished, np.stack(pictures), words, STRIP_COLUMNS)


def _square(frame: np.ndarray) -> np.ndarray:
    """The middle of a frame, uint8 `[STRIP_SIDE, STRIP_SIDE, 3]`."""
    from PIL import Image

    height, width = frame.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    picture = Image.fromarray(frame[top : top + side, left : left + side])
    return np.asarray(picture.resize((STRIP_SIDE, STRIP_SIDE), Image.Resampling.LANCZOS))


def rows(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    """The table: figure, value, interval, bar, verdict."""
    said = {True: "pass", False: "FAIL", None: "not measured"}
    return [
        (name, _two(each["mean"]), _span(each["low"], each["high"]), _bar(*BARS[name]), said[summary["passed"][name]])
        for name, each in ((name, summary["figures"][name]) for name in BARS)
    ]


def _two(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if abs(value) >= 0.01 or not value else f"{value:.3f}"


def _span(low: float | None, high: float | None) -> str:
    return "" if low is None else f"{_two(low)} .. {_two(high)}"


def _bar(low: float, high: float) -> str:
    if np.isfinite(low) and np.isfinite(high):
        return f"{low:g} .. {high:g}"
    return f">= {low:g}" if np.isfinite(low) else f"<= {high:g}"
