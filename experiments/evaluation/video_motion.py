"""Motion and speech of people in finished videos, in pieces of one length."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from afjax import files
from afjax.audio.envelope import envelope, speaking
from afjax.audio.framing import FPS, FRAME, RATE
from afjax.codec.face.codec import FaceCodec
from afjax.errors import InputError
from afjax.media.audio import read_audio
from afjax.media.container import VIDEOS
from afjax.media.video import VideoInfo, probe, read_frames
from data_pipeline.records import EXTRACTOR
from experiments import cli

Reader = Callable[[Path, list[str]], dict[str, np.ndarray]]
"""Reads a file: `motion` `[t, d]` and, with sound, `speaking`, `envelope` and `features`; adds to the notes."""
SIDE = 960
"""Pixels of the longer side that faces are tracked at."""


@dataclass
class Pieces:
    """n pieces of t frames.

    `motion` `[n, t, d]` by role; `sound` by role whose videos all have some (`speaking` and `envelope` `[n, t]`,
    `features` `[n, t, f]`); `clip` `[n]`: the clip of each piece.
    """

    motion: dict[str, np.ndarray]
    sound: dict[str, dict[str, np.ndarray]]
    clip: np.ndarray
    notes: list[str] = field(default_factory=list)


def pieces(sources: Mapping[str, str], seconds: float, read: Reader | None = None) -> Pieces:
    """Motion and sound of videos by role, in pieces.

    `sources`: a video or a folder of videos by role, roles without any left out. The videos of a clip have the same
    name in all folders. A clip is as long as its shortest video; its rest after whole pieces is not used. `read`:
    reader of a file, in place of our own tracker here.
    """
    read = read or _tracks
    sources = {role: name for role, name in sources.items() if name}
    frames, cut, clip_of, notes = round(seconds * FPS), {role: [] for role in sources}, [], []
    for number, clip in enumerate(paired(sources, notes)):
        tracks = {role: read(path, notes) for role, path in clip.items()}
        lengths = [len(track["motion"]) for track in tracks.values()]
        length, longest = min(lengths), max(lengths)
        if longest > length + 1:
            name, whole = next(iter(clip.values())).stem, longest / FPS
            notes.append(f"{name}: lengths differ, {length / FPS:.2f} of {whole:.2f} s, from the start, are compared")
        starts = range(0, length - frames + 1, frames)
        clip_of += [number] * len(starts)
        for role, track in tracks.items():
            cut[role] += [{name: row[start : start + frames] for name, row in track.items()} for start in starts]
    if len(clip_of) < 2:
        raise InputError(
            f"{len(clip_of)} pieces of {seconds:g} s, at least two are needed", do="longer videos or a smaller --piece"
        )
    notes.append(f"{len(clip_of)} pieces of {seconds:g} s")
    whole = {role: _stacked(rows) for role, rows in cut.items()}
    sound = {role: {name: row for name, row in track.items() if name != "motion"} for role, track in whole.items()}
    motion = {role: track["motion"] for role, track in whole.items()}
    return Pieces(motion, {role: track for role, track in sound.items() if track}, np.array(clip_of), notes)


def _stacked(rows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays that all pieces have."""
    common = set.intersection(*(set(row) for row in rows))
    return {name: np.stack([row[name] for row in rows]) for name in sorted(common)}


def paired(sources: Mapping[str, str], notes: list[str]) -> list[dict[str, Path]]:
    """The files of each clip by role, in the order of their names; files without a partner are noted."""
    paths = {role: files.absolute(name) for role, name in sources.items()}
    folders = {role: path for role, path in paths.items() if path.is_dir()}
    if not folders:
        return [paths]
    if len(folders) < len(paths):
        odd = next(path for role, path in paths.items() if role not in folders)
        raise InputError("is a file, the others are folders", odd, "give files for all or folders for all")
    named = {role: _videos(folder) for role, folder in folders.items()}
    common = sorted(set.intersection(*(set(found) for found in named.values())))
    if not common:
        raise InputError("no video has the same name in all folders", next(iter(folders.values())))
    for role, found in named.items():
        alone = sorted(found.keys() - set(common))
        if alone:
            notes.append(f"{len(alone)} videos of {folders[role]} are in it alone and not measured: {alone[0]} ...")
    return [{role: found[stem] for role, found in named.items()} for stem in common]


def _videos(folder: Path) -> dict[str, Path]:
    """Videos of a folder by their names without endings; other files are ignored.

    Raises InputError for two of one name.
    """
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in VIDEOS and not path.name.startswith("."):
            if path.stem in found:
                raise InputError(f"{found[path.stem].name} and {path.name} have one name", folder, "move one away")
            found[path.stem] = path
    return found


def _tracks(path: Path, notes: list[str]) -> dict[str, np.ndarray]:
    """Motion `[t, d]` of a video and, where it has sound, `speaking`, `envelope` and `features` of as many frames."""
    video = probe(path)
    tracks = {"motion": _motion(video, notes)}
    frames = len(tracks["motion"])
    try:
        if not video.has_sound:
            raise InputError("it has no sound")
        wave = read_audio(path, RATE, video.start)
        tracks |= {"speaking": speaking(wave, frames), "envelope": envelope(wave, frames)}
        tracks["features"] = EXTRACTOR.clip(wave[: frames * FRAME], frames)
    except InputError as error:
        notes.append(f"{path.name}: {error}; nothing that is heard is measured in videos beside it")
        tracks = {"motion": tracks["motion"]}
    return tracks


def _motion(video: VideoInfo, notes: list[str]) -> np.ndarray:
    path = video.path
    with cli.Progress(video.frames, f"track {path.name}") as progress:

        def counted():
            for frame in read_frames(video, SIDE):
                yield frame
                progress.update()

        try:
            with cli.quiet():  # the face models greet on stderr
                encoded = FaceCodec().encode(counted())
        except InputError as error:
            raise InputError(str(error), path) from None
    if not encoded.found.all():
        notes.append(f"{path.name}: the face is found in {encoded.found.sum()} of {len(encoded.found)} frames")
    return encoded.motion
