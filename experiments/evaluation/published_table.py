"""The metrics that papers print, for finished videos with their sound and for tracks made elsewhere."""

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from afjax import digests, files
from afjax.audio.framing import FRAME
from afjax.errors import InputError
from afjax.media.image import read_portrait
from afjax.media.video import probe, read_frames
from afjax.metrics import groups
from afjax.metrics.pretrained.dlib_face import DlibFace
from afjax.metrics.pretrained.networks import SUFFIX, load_folder
from afjax.metrics.table import published
from afjax.metrics.table.dependence import of_dependence
from afjax.metrics.table.pictures import NO_SOUND, of_pictures
from afjax.metrics.table.tracks import EXPRESSION, POSE, of_tracks
from data_pipeline.records import EXTRACTOR
from experiments import cli
from experiments.evaluation.protocols import Protocol
from experiments.evaluation.rendering import Videos
from experiments.evaluation.video_features import Seen, VideoReader
from experiments.evaluation.video_motion import SIDE, Reader, paired

__all__ = ["Measured", "finished", "measure", "reader_of", "tracker", "write"]

NO_TRACKS = "no tracks of SPECTRE or EMOCA (--tracks)"
SLACK = 2
"""Frames by which tracks and videos may differ in length."""
_SEEN = {"thumbnail": {"inception", "i3d"}, "opening": {"syncnet_lips"}, "envelope": {"syncnet_lips"}}
"""Tracks of the stand-ins, and the networks with which they are not used."""
_MOTION = ("motion", "speaking", "envelope", "features")


@dataclass
class Measured:
    """The table, the reasons why famous metrics are missing in it, its number of clips, and notes."""

    table: published.Table
    missing: dict[str, str]
    clips: int
    notes: list[str] = field(default_factory=list)


def finished(sources: Mapping[str, str], people: str = "", portraits: str = "") -> Videos:
    """Finished videos by role (`user`, `recorded`, `model`): files, or folders of files that have the same names.

    Args:
      people: a CSV file with the columns `name`, `avatar` and `user` that says who is in each video; "": each has
        people of its own.
      portraits: a folder of pictures of the same names; "": the first frames of the recorded videos.
    """
    notes: list[str] = []
    rows: dict[str, dict[str, Path]] = {}
    for clip in paired({role: name for role, name in sources.items() if name}, notes):
        name = clip["model"].stem
        for role, path in clip.items():
            rows.setdefault(role, {})[name] = path
    names = list(next(iter(rows.values())))
    folder = files.absolute(portraits) if portraits else None
    if folder is not None and not folder.is_dir():
        raise InputError("no such folder", folder, "a folder of pictures named like the videos")
    return Videos(rows, folder, _people(people, names), notes)


def _people(path: str, names: list[str]) -> dict[str, tuple[str, str]]:
    if not path:
        return {name: (f"{name}, avatar", f"{name}, user") for name in names}
    try:
        with open(files.absolute(path), newline="", encoding="utf-8-sig") as file:
            found = {row["name"].strip(): (row["avatar"].strip(), row["user"].strip()) for row in csv.DictReader(file)}
    except OSError as error:
        raise InputError(error.strerror or "can't be read", path) from None
    except (KeyError, AttributeError, UnicodeDecodeError, csv.Error):
        raise InputError("it is no CSV table with the columns name, avatar, user", path) from None
    if missing := [name for name in names if name not in found]:
        raise InputError(f"{missing[0]} is not in it", path, "a line for every video: name, avatar, user")
    return {name: found[name] for name in names}


def reader_of(protocol: Protocol, networks: str, cache: Path) -> tuple[VideoReader, dict[str, str], list[str]]:
    """A reader of videos with the networks that a protocol needs, digests of their files by kind, and notes.

    Raises InputError for a folder that `load_folder` refuses.
    """
    notes = []
    loaded = load_folder(networks) if networks else {}
    if unused := sorted(set(loaded) - protocol.kinds):
        notes.append(f"not needed here: {', '.join(unused)}")
    loaded = {kind: network for kind, network in loaded.items() if kind in protocol.kinds}
    known = {kind: digests.of_file(files.absolute(networks) / f"{kind}{SUFFIX}") for kind in loaded}
    embed = None
    if "CSIM" in protocol.metrics and "arcface" not in loaded:
        try:
            embed = DlibFace()
        except InputError as error:
            notes.append(f"no stand-in for CSIM: {error}")
    return VideoReader(cache, loaded, known, embed), known, notes


def tracker(cache: Path) -> Reader:
    """A reader of motion and speech for `tables.of_videos`, without networks."""
    reader = VideoReader(cache)

    def read(path: Path, notes: list[str]) -> dict[str, np.ndarray]:
        seen = reader(path)
        notes += seen.notes
        return {name: seen.tracks[name] for name in _MOTION if name in seen.tracks}

    return read


def measure(
    videos: Videos, protocol: Protocol, reader: VideoReader, networks: Collection[str], tracks: str = "", seed: int = 0
) -> Measured:
    """The metrics of a protocol.

    Args:
      videos: rows other than `user` are the avatar's and are compared with `recorded`.
      reader: reads the videos; networks: its kinds.
      tracks: folder of tracks, `ROW/NAME.npz`; "": none.
      seed: seed of intervals and clusters.
    """
    names = list(videos.people)
    people = np.array([videos.people[name] for name in names])
    rows = {row: found for row, found in videos.rows.items() if row != "user"}
    table: published.Table = {row: {} for row in rows}
    missing, notes = {}, list(videos.notes)
    if any(published.PUBLISHED[metric].of != published.TRACKS for metric in protocol.metrics):
        clips = {row: [_arrays(reader(found[name]), networks, notes) for name in names] for row, found in rows.items()}
        shown = [{} if picture is None else reader.portrait(picture) for picture in _portraits(videos, names)]
        table, missing = of_pictures(clips, shown, tuple(networks), groups.of_people(people), seed)
    if tracks:
        user, ours = _tracks_of(files.absolute(tracks), rows, protocol, names)
        notes += _lengths(videos, names, ours | ({} if user is None else {"user": user}))
        figures = [of_tracks(user, ours, people, seed)]
        if "R-DGG" in protocol.metrics:
            figures.append(_dependence(user, ours, videos, protocol, people, reader, seed))
        for found, absent in figures:
            for row, more in found.items():
                table.setdefault(row, {}).update(more)
            missing |= absent
    else:
        motion = [metric for metric in protocol.metrics if published.PUBLISHED[metric].of == published.TRACKS]
        missing |= dict.fromkeys(motion, NO_TRACKS)
    table = {row: {name: value for name, value in found.items() if protocol.has(name)} for row, found in table.items()}
    missing = {name: missing[name] for name in protocol.metrics if name in missing}
    notes += _rows(table)
    return Measured(table, missing, len(names), notes)


def _arrays(seen: Seen, networks: Collection[str], notes: list[str]) -> dict[str, np.ndarray]:
    """Arrays of a video for `of_pictures`: features, which stay on disk, and tracks of the stand-ins in use."""
    notes += [note for note in seen.notes if note not in notes]
    wanted = [name for name, kinds in _SEEN.items() if name in seen.tracks and not kinds <= set(networks)]
    return {name: seen.tracks[name] for name in wanted} | seen.features


def _portraits(videos: Videos, names: list[str]):
    """Pictures of the portraits, or, where there is no folder, first frames of the recorded videos; None without."""
    for name in names:
        path = None
        if videos.portraits is not None:
            path = next((p for p in sorted(videos.portraits.glob(f"{name}.*")) if p.stem == name), None)
            if path is None:
                raise InputError(f"no picture named {name}", videos.portraits, "a portrait for every video")
            yield read_portrait(path)
        elif "recorded" in videos.rows:
            yield next(read_frames(probe(videos.rows["recorded"][name]), SIDE))
        else:
            yield None


def _dependence(user, rows, videos: Videos, protocol: Protocol, people: np.ndarray, reader: VideoReader, seed: int):
    """R-DGG of tracks. It needs the voices of both; an avatar that doesn't talk may have none."""
    if user is None or "recorded" not in rows:
        return {}, {"R-DGG": f"no tracks of {'users' if user is None else 'recorded avatars'}"}
    if not {"user", "recorded"} <= set(videos.rows):
        return {}, {"R-DGG": "no videos of users and recorded avatars, whose voices are needed"}
    speech, listener = [], reader.without_networks()
    for name in videos.people:
        heard = {}
        for role, row in (("avatar", "recorded"), ("user", "user")):
            seen = listener(videos.rows[row][name])
            if seen.has_sound:
                heard |= {f"{role}_{track}": seen.tracks[track] for track in ("features", "speaking")}
            elif role == "avatar" and not protocol.voice:
                frames = len(seen.tracks["found"])
                silence = EXTRACTOR.clip(np.zeros(frames * FRAME, np.float32), frames)
                heard |= {"avatar_features": silence, "avatar_speaking": np.zeros(frames, bool)}
            else:
                return {}, {"R-DGG": NO_SOUND}
        speech.append(heard)
    return of_dependence(user, rows, speech, people, seed)


def _tracks_of(folder: Path, rows, protocol: Protocol, names: list[str]):
    """Tracks of users, where the protocol has users and tracks are there; and tracks of every row that has some."""
    if not folder.is_dir():
        raise InputError("no such folder", folder, "docs/metrics.md describes it")
    there = [row for row in dict.fromkeys(("recorded", *rows)) if (folder / row).is_dir()]
    if not there:
        raise InputError(f"no tracks of {' or '.join(rows)}", folder, "folders ROW with NAME.npz, docs/metrics.md")
    found = {row: [read_tracks(folder / row / f"{name}.npz") for name in names] for row in there}
    user = None
    if protocol.user and (folder / "user").is_dir():
        user = [read_tracks(folder / "user" / f"{name}.npz") for name in names]
    return user, found


def _lengths(videos: Videos, names: list[str], tracks: Mapping[str, list[np.ndarray]]) -> list[str]:
    """Notes on tracks with more or fewer frames than their videos at 25 per second: they may have another rate."""
    notes = []
    for row, found in tracks.items():
        for name, track in zip(names, found, strict=True):
            if name in videos.rows.get(row, {}):
                frames = probe(videos.rows[row][name]).frames
                if abs(frames - len(track)) > SLACK:
                    notes.append(f"{row}/{name}: {len(track)} frames of tracks, {frames} of the video at 25 a second")
    return notes


def read_tracks(path: Path) -> np.ndarray:
    """Tracks float64 `[t, 56]` of an npz file with `exp` `[t, 50]` and `pose` `[t, 6]`. Raises InputError."""
    wanted = {"exp": EXPRESSION, "pose": POSE}
    try:
        with np.load(path, allow_pickle=False) as stored:
            parts = [np.asarray(stored[name], np.float64) for name in wanted]
    except FileNotFoundError:
        raise InputError("no such file", path, "tracks of every video, docs/metrics.md") from None
    except KeyError:
        raise InputError("it has no arrays named exp and pose", path, "docs/metrics.md says how to write it") from None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"no readable npz file ({error})", path) from None
    for part, (name, width) in zip(parts, wanted.items(), strict=True):
        if part.ndim != 2 or part.shape[1] != width or len(part) != len(parts[0]):
            raise InputError(f"{name} has shape {part.shape}, not [T, {width}]", path, "frames at 25 a second")
        if not np.isfinite(part).all():
            raise InputError(f"{name} has values that are not finite numbers", path)
    return np.concatenate(parts, axis=1)


def _rows(table: published.Table) -> list[str]:
    """Notes on how many rows of features the distances rest on, where these are few."""
    notes = []
    for metric, features in (("FID", 2048), ("FVD", 400)):
        counts = [found[metric]["rows"] for found in table.values() if metric in found]
        if counts and min(counts) < 10 * features:
            notes.append(f"{metric} is of {min(counts)} rows of {features} features: too few to compare with papers")
    return notes


def write(out: Path, measured: Measured, protocol: Protocol, networks: Mapping[str, str]):
    """Writes `published.json` and `published.txt`; `networks`: digests of the files by kind."""
    with files.aside(out / "published.txt") as path:
        path.write_text(published.text(measured.table, measured.missing, protocol.metrics) + "\n")
    content = {"metrics": measured.table, "missing": measured.missing, "clips": measured.clips}
    content |= {"networks": networks, "notes": measured.notes, "warnings": cli.said()}
    files.write_json(out / "published.json", content)
