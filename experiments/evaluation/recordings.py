"""Pictures of recorded people beside a model's: cut from recordings as the codec sees them, and their portraits.

A portrait is the first frame that the codec accepts among every PACE-th of a clip's first FIRST seconds: eyes may be
closed in the very first one.
"""

import csv
import json
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from afjax import digests
from afjax.audio.framing import FPS, RATE
from afjax.avatar.avatar import Avatar
from afjax.codec.base import Codec
from afjax.codec.face.track.tracker import FaceTracker
from afjax.codec.latent.crop import Square, box_of, crop, square_of
from afjax.errors import InputError, InputWarning
from afjax.media.audio import read_audio
from afjax.media.image import read_portrait
from afjax.media.video import VideoInfo, probe, read_frames
from data_pipeline.recorded.build import WORK
from data_pipeline.recorded.pairs import ROLES, Pair, read_pairs
from data_pipeline.recorded.prepare import frames_of
from data_pipeline.schema import Conversation
from experiments import cli
from experiments.evaluation.protocols import Protocol
from experiments.evaluation.rendering import Videos, clip_name, render, write_picture, write_video
from experiments.evaluation.video_features import fitted
from experiments.evaluation.video_motion import paired
from experiments.talk.inputs import track_user

__all__ = ["cut_held_out", "render_from_videos"]

PACE, FIRST = 5, 2.0
PORTRAIT = 256
"""Least side of a portrait in pixels: no face would be found again in a small codec's picture."""
_ROWS = {"avatar": "recorded", "user": "user"}
_AGAIN = "build the data again from its table, and keep its folder clips"


def cut_held_out(data: Path, table: str | Path, clips: Sequence[Conversation], out: Path, codec: Codec):
    """Cuts the held-out clips of a data set out of the recordings from which it was built.

    Writes `OUT/videos/recorded` and `user`, each with the person's own voice, and `OUT/portraits`. Returns the
    portraits by name, without clips that have no usable one.

    Args:
      data: folder of `data_pipeline.build --pairs TABLE`; table: that table.
      clips: the held-out conversations.
    """
    pairs = {pair.name: pair for pair in read_pairs(table, separate=True)}
    places = _places(data, len(clips))
    with cli.Progress(2 * len(clips), "cut", "videos") as progress:
        for name, found in places.items():
            if name not in pairs:
                raise InputError(f"the conversation {name} is not in it", table, "give the table of the data set")
            for role in ROLES:
                _cut(pairs[name], role, found, clips, out, codec, progress)
    portraits = {clip_name(n): out / "portraits" / f"{clip_name(n)}.png" for n in range(len(clips))}
    return {name: read_portrait(path) for name, path in portraits.items() if path.is_file()}


def _places(data: Path, count: int) -> dict[str, list[tuple[int, int, dict]]]:
    """(record, first frame, squares) of the held-out clips by conversation, in the order of time."""
    try:
        with open(data / "clips.csv", newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["kept"] == "1" and row["split"] == "eval"]
        places: dict[str, list] = {}
        for row in rows:
            plan = json.loads((data / WORK / row["conversation"] / "survey.json").read_text())
            entry = plan["clips"][int(row["clip"])]
            places.setdefault(row["conversation"], []).append((int(row["record"]), entry["start"], entry))
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"where its clips were cut can't be read ({error})", data, _AGAIN) from None
    if sorted(record for found in places.values() for record, *_ in found) != list(range(count)):
        raise InputError(f"clips.csv names other held-out clips than its {count} records", data, _AGAIN)
    return {name: sorted(found, key=lambda each: each[1]) for name, found in places.items()}


def _cut(pair: Pair, role: str, places, clips, out: Path, codec: Codec, progress: cli.Progress):
    """Cuts the missing clips of one person of a conversation in one reading."""
    frames, at = None, 0
    for record, start, entry in places:
        path = out / "videos" / _ROWS[role] / f"{clip_name(record)}.mp4"
        if not path.is_file():
            if frames is None:
                frames = frames_of(getattr(pair, role), probe(getattr(pair, role).video))
            next(islice(frames, start - at, start - at), None)
            clip, square = clips[record], Square(**entry[role])
            at = start + clip.frames
            wave = getattr(clip, f"{role}_wave").astype(np.float32) / 32768
            portrait = out / "portraits" / f"{clip_name(record)}.png" if role == "avatar" else None
            write_video(path, _watched(islice(frames, clip.frames), square, codec, portrait), wave)
        progress.update()


def _cropped(frames: Iterator[np.ndarray], square: Square, size: int) -> Iterator[np.ndarray]:
    return (crop(frame, square, size)[None] for frame in frames)


def _watched(frames: Iterator[np.ndarray], square: Square, codec: Codec, portrait: Path | None) -> Iterator[np.ndarray]:
    """The square at the codec's size. The first that the codec accepts is written as the portrait, if one is wanted.

    A small codec's portrait is larger, so that a face is found in it.
    """
    for n, frame in enumerate(frames):
        if portrait is not None and n % PACE == 0 and n <= FIRST * FPS:
            picture = crop(frame, square, max(codec.size, PORTRAIT))
            if accepted(codec, picture):
                write_picture(portrait, picture)
                portrait = None
        yield crop(frame, square, codec.size)[None]


def accepted(codec: Codec, picture: np.ndarray) -> bool:
    """Whether a codec takes a picture as a portrait."""
    try:
        with warnings.catch_warnings(), cli.quiet():
            warnings.simplefilter("ignore", InputWarning)
            codec.identity(picture)
    except InputError:
        return False
    return True


def render_from_videos(run: Avatar, recorded: str, user: str, out: Path, protocol: Protocol, size: int = 0) -> Videos:
    """Videos of a model that is given the people of recorded ones, row `model`; recorded ones are cropped beside them.

    Args:
      run: the model.
      recorded: a video of the person whom the model plays, or a folder of them; its first good frame is the portrait
        and, where the protocol has a voice, its sound the avatar's voice.
      user: videos, of the same names, of the person to whom the avatar listens; "": none.
      out: where `videos/recorded`, `videos/model` and `portraits` are made.
      protocol: who is given to the model.

    Raises InputError for videos that can't be used.
    """
    notes: list[str] = []
    sources = {"recorded": recorded} | ({"user": user} if protocol.user else {})
    codec, clips = run.codec(size), paired(sources, notes)
    rows: dict[str, dict[str, Path]] = {row: {} for row in (*sources, "model")}
    with cli.Progress(len(clips), "make", "clips") as progress:
        for clip in clips:
            name = clip["recorded"].stem
            recorded_file, made = (out / "videos" / row / f"{name}.mp4" for row in ("recorded", "model"))
            face = out / "portraits" / f"{name}.png"
            videos = {role: probe(path) for role, path in clip.items()}
            frames = min(video.frames for video in videos.values())
            wave = _voice(videos["recorded"], frames, needed=protocol.voice)
            if not (recorded_file.is_file() and face.is_file()):
                square = _square(videos["recorded"], face, codec)
                pictures = _watched(islice(read_frames(videos["recorded"]), frames), square, codec, None)
                silent = np.zeros(frames * RATE // FPS, np.float32)
                write_video(recorded_file, pictures, silent if wave is None else wave)
            if not made.is_file():
                identity = codec.identity(read_portrait(face))
                heard, motion = None, None
                if protocol.user:
                    motion, _ = track_user(codec, videos["user"], frames, notes)
                    heard = _voice(videos["user"], frames, needed=False)
                    if heard is None:
                        notes.append(f"{name}: the user's video has no sound, the model hears nobody")
                voice = wave if protocol.voice else None
                motion = run.generate(
                    frames, motion, heard, voice, seed=_seed(name), reference_motion=codec.reference_motion(identity)
                )
                said = np.zeros(frames * RATE // FPS, np.float32) if voice is None else voice
                render(made, codec, identity, motion, np.round(said.clip(-1, 1) * 32767).astype(np.int16))
            rows["recorded"][name], rows["model"][name] = recorded_file, made
            if protocol.user:
                rows["user"][name] = clip["user"]
            progress.update()
    people = {name: (f"{name}, avatar", f"{name}, user") for name in rows["model"]}
    return Videos(rows, out / "portraits", people, list(dict.fromkeys(notes)))


def _seed(name: str) -> int:
    """Seed of a clip's noise, by its name alone, so that other clips in the folder change nothing."""
    return int(digests.of_json(name)[:7], 16)


def _voice(video: VideoInfo, frames: int, needed: bool) -> np.ndarray | None:
    """Sound at 16 kHz as long as the frames; None without. Raises InputError where needed sound is missing."""
    if not video.has_sound:
        if needed:
            raise InputError("it has no sound, which is to be the avatar's voice", video.path, "leave it out")
        return None
    return fitted(read_audio(video.path, RATE, video.start), frames)


def _square(video: VideoInfo, portrait: Path, codec: Codec) -> Square:
    """Finds the square of a video by the faces of its first seconds, and writes its portrait."""
    tracker, boxes, held = FaceTracker(), [], []
    for n, frame in enumerate(islice(read_frames(video), round(FIRST * FPS))):
        landmarks = tracker.step(frame)
        if landmarks is not None:
            boxes.append(box_of(landmarks.mesh))
        if n % PACE == 0:
            held.append(frame)
    if not boxes:
        raise InputError(f"no face in its first {FIRST:g} s", video.path, "leave it out")
    square = square_of(np.stack(boxes), *held[0].shape[:2], getattr(getattr(codec, "config", None), "margin", 1.0))
    for frame in held:
        picture = crop(frame, square, max(codec.size, PORTRAIT))
        if accepted(codec, picture):
            write_picture(portrait, picture)
            return square
    raise InputError(f"none of its first frames can be a portrait ({FIRST:g} s)", video.path, "leave it out")
