"""Motion of people in finished videos, in pieces of one length."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from afjax import files
from afjax.audio.framing import FPS
from afjax.codec.face.codec import FaceCodec
from afjax.errors import InputError
from afjax.media.container import VIDEOS
from afjax.media.video import probe, read_frames
from experiments import cli

SIDE = 960
"""Pixels of the longer side that faces are tracked at."""


def pieces(sources: Mapping[str, str], seconds: float) -> tuple[dict[str, np.ndarray], list[str]]:
    """Motion `[n, T, D]` by role, T frames of `seconds`, and notes of what was found.

    `sources`: a video or a folder of videos by role, roles without any left out; the videos of a clip have the same
    name in all folders. A clip is as long as its shortest video, and what is left of it after whole pieces is not used.
    """
    sources = {role: name for role, name in sources.items() if name}
    frames, cut, notes = round(seconds * FPS), {role: [] for role in sources}, []
    for clip in _clips(sources, notes):
        motions = {role: _motion(path, notes) for role, path in clip.items()}
        length = min(map(len, motions.values()))
        longest = max(map(len, motions.values()))
        if longest > length + 1:
            name, whole = next(iter(clip.values())).stem, longest / FPS
            notes.append(f"{name}: lengths differ, {length / FPS:.2f} of {whole:.2f} s, from the start, are compared")
        for role, motion in motions.items():
            cut[role] += [motion[start : start + frames] for start in range(0, length - frames + 1, frames)]
    count = len(next(iter(cut.values())))
    if count < 2:
        raise InputError(
            f"{count} pieces of {seconds:g} s, at least two are needed", do="longer videos or a smaller --piece"
        )
    notes.append(f"{count} pieces of {seconds:g} s")
    return {role: np.stack(rows) for role, rows in cut.items()}, notes


def _clips(sources: Mapping[str, str], notes: list[str]) -> list[dict[str, Path]]:
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
    """Videos of a folder by their name without its end; what else lies there is not looked at.

    Raises InputError for two of one name.
    """
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in VIDEOS and not path.name.startswith("."):
            if path.stem in found:
                raise InputError(f"{found[path.stem].name} and {path.name} have one name", folder, "move one away")
            found[path.stem] = path
    return found


def _motion(path: Path, notes: list[str]) -> np.ndarray:
    video = probe(path)
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
